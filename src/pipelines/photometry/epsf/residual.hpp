#pragma once
// Wing and core residual of the PSF: one linear system for both with every star's flux, position
// and sky projected out, priors whose widths the evidence chooses (MacKay 1992), and gauge
// constraints for the directions that the projection hides from the data.

#include <vector>

#include "pipelines/photometry/epsf/joint_fit.hpp"
#include "pipelines/photometry/epsf/stars.hpp"

namespace skyloom::photometry::epsf {

/// Widths of the priors, chosen by the evidence and kept between rounds.
struct HyperParameters {
  double sigma_r = 0.03;     ///< of the core's coefficients in units of the PSF's peak
  double sigma_q = 0.1;      ///< curvature of the wing
  double ell = 0.5;          ///< correlation length of the core's residual, FWHM
  double p = 0.75;           ///< power of the PSF that the residual's amplitude follows
  bool shape_fixed = false;  ///< ell and p are settled
};

struct ResidualSolution {
  bool ok = false;
  sky::FieldPsfModel model;  ///< with new c and q
  HyperParameters hyper;
  double ln_evidence = 0.0;
  double wing_step = 0.0;  ///< largest change of the wing factor at a knot that was asked for
  double flux_err = 0.0;   ///< predicted error of a bright star's flux, fraction
  double flux_err_core = 0.0;
  double flux_err_wing = 0.0;
};

/// Puts knots and nodes into a model that has none yet.
[[nodiscard]] sky::FieldPsfModel with_residual_basis(sky::FieldPsfModel model,
                                                     const Options& options);

/// New c and q around the current model. The light is linear in exp(q), not in q: where the wing
/// has to change by more than a fraction, the solution is a step on the way. `ok` is false when a
/// factorisation fails.
/// @param gauge false leaves the invisible directions free (for the test that shows why not)
[[nodiscard]] ResidualSolution solve_residual(const sky::FieldPsf& psf,
                                              const std::vector<Star>& stars,
                                              const Options& options, double gain, double sigma_sky,
                                              HyperParameters hyper, bool gauge = true);

}  // namespace skyloom::photometry::epsf
