#pragma once
// Point-spread functions as sums of Gaussians: the fit to a stamp by expectation maximisation
// (Dempster, Laird & Rubin 1977) and what stands for a stamp in rendering. Lengths in image pixels
// from the PSF centre.

#include <memory>
#include <vector>

#include "skyloom/sky/psf.hpp"
#include "skyloom/sky/render.hpp"

namespace skyloom::sky {

/// weight * N(mean, covariance): light per pixel at a pixel centre, not integrated over the pixel.
struct GaussianTerm {
  double weight = 0.0;
  double mean_x = 0.0;
  double mean_y = 0.0;
  Symmetric2 covariance;
};

struct PsfMixture {
  std::vector<GaussianTerm> terms;

  /// Light per pixel at (x, y).
  [[nodiscard]] double at(double x, double y) const;
};

inline constexpr int kMixtureSteps = 1000;
/// Radius in pixels to which point sources of a mixture are rendered.
inline constexpr double kMixtureRadiusPix = 25.0;
/// Width (sigma, pixels, along the major axis) from which the terms of a galaxy count as very wide.
inline constexpr double kVeryWidePix = 20.0;

/// Fits `n_terms` Gaussians to the samples of a stamp at whole pixels (negative ones count as 0).
/// Start: equal weights, means 0, covariances (k + 1) I; then `steps` steps, with the densities at
/// pixel centres, without those of squared Mahalanobis distance 100 and more. No regularisation: a
/// term that shrinks onto a single sample (determinant below 1e-4 pixel^4) or loses all its light
/// is left out, so there may be fewer terms than asked for. The weights sum to the light in the
/// stamp, so that a mixture has the flux of its stamp. The number of steps is part of the
/// definition: four terms have not converged after 1000.
/// @throws ConfigError for n_terms < 1 or a stamp whose sum is not positive
PsfMixture fit_psf_mixture(const PsfStamp& stamp, int n_terms, int steps = kMixtureSteps);

/// The same values as psf_transform() of a stamp of the mixture without end and of any fineness.
AlignedVector<float> mixture_transform(const PsfMixture& mixture, const DftGrid& grid);

/// The mixture as the PSF, the same everywhere. Point sources: a stamp sampled at pixel centres
/// (two samples per pixel, four where a term is narrower than 1 pixel), of radius
/// ceil(radius_pix); galaxies: the analytic transform.
/// @throws ConfigError for a mixture without light
std::shared_ptr<const Psf> make_mixture_psf(PsfMixture mixture,
                                            double radius_pix = kMixtureRadiusPix);

/// `psf`, but terms of galaxies at least `from_pix` wide are convolved with the mixture.
std::shared_ptr<const Psf> with_mixture(std::shared_ptr<const Psf> psf, PsfMixture mixture,
                                        double from_pix);

}  // namespace skyloom::sky
