#pragma once
// The shape of the PSF from all stars at once: Gauss-Newton with every star's flux, position and
// sky projected out (Golub & Pereyra 1973), rejection of what is no star, order of the polynomials
// by leave-one-out, and fits of single stars.

#include <array>
#include <vector>

#include "pipelines/photometry/epsf/stars.hpp"
#include "skyloom/sky/field_psf.hpp"

namespace skyloom::photometry::epsf {

/// How single stars and shapes are weighted.
struct Weighting {
  double gain = 0.0;          ///< electrons per flux; 0 = sky noise only
  double model_error = 0.01;  ///< of the model, as a fraction of it
};

/// Variance of a pixel for a model value.
[[nodiscard]] inline double pixel_variance(const Weighting& weighting, double sky_variance,
                                           double model) {
  const double light = model > 0.0 ? model : 0.0;
  const double photons = weighting.gain > 0.0 ? light / weighting.gain : 0.0;
  return sky_variance + photons + weighting.model_error * weighting.model_error * light * light;
}

struct ShapeFitOptions {
  Weighting weighting;
  int max_rounds = 8;
  bool free_beta = true;
  bool measure_excess = true;  ///< bring the stars' excess shapes up to date at the end
};

struct ShapeFit {
  sky::FieldPsfModel model;
  bool ok = false;
  bool beta_on_bound = false;
  int rounds = 0;
};

/// Polynomial coefficients and beta from the used core stars, starting from `model`; wing, residual
/// and local variation of the model stay as they are. Star parameters follow. At the end the stars'
/// excess shapes are up to date.
[[nodiscard]] ShapeFit fit_shape(sky::FieldPsfModel model, std::vector<Star>& stars,
                                 const ShapeFitOptions& options);

/// Excess shape of every used core star over the model.
void measure_excess(const sky::FieldPsfModel& model, std::vector<Star>& stars,
                    const ShapeFitOptions& options);

/// Marks stars whose excess is off the others' (galaxies, blends).
/// @return number of newly rejected stars; at most a quarter, and never below four remaining
int reject_by_shape(std::vector<Star>& stars, double nsigma);

struct OrderChoice {
  int order = 0;
  std::array<double, 3> loo_chi2;  ///< per star and order, NaN where not tried
  sky::FieldPsfModel model;        ///< the input with the polynomials of the chosen order
};
/// Order of the shape polynomials by linearised leave-one-out over the stars' excess shapes.
[[nodiscard]] OrderChoice choose_order(const sky::FieldPsfModel& model,
                                       const std::vector<Star>& stars, int max_order);

/// Fits flux, position and sky of every used star (wing stars too).
void fit_stars(const sky::FieldPsf& psf, std::vector<Star>& stars, const Weighting& weighting,
               int steps);

/// Number of used core stars.
[[nodiscard]] int count_core(const std::vector<Star>& stars);

}  // namespace skyloom::photometry::epsf
