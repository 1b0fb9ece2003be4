#pragma once
// Priors of the core's residual and of the wing, and the gauge constraints in them.

#include <array>
#include <vector>

#include "skyloom/sky/field_psf.hpp"

namespace skyloom::photometry::epsf {

/// What the core's prior needs to know about the nodes.
struct PriorGeometry {
  std::vector<double> x;  ///< of the nodes in units of the effective FWHM
  std::vector<double> y;
  std::vector<double> moffat;  ///< circular Moffat at the nodes, over its centre
  double centre = 0.0;         ///< value of the Moffat there
  std::array<std::vector<double>, 3>
      gauge;  ///< overlap of the splines with M, M_u, M_v, normalised
};
[[nodiscard]] PriorGeometry prior_geometry(const sky::FieldPsfModel& model);

/// Precision of c for sigma_R = 1, and its log determinant.
struct CorePrior {
  std::vector<double> precision;  ///< (n, n)
  double log_determinant = 0.0;
};
/// Amplitudes centre * (M / centre)^p, correlated over `ell` FWHM. With `gauge`, moving, scaling
/// and shifting the Moffat by the residual is forbidden.
[[nodiscard]] CorePrior core_prior(const PriorGeometry& geometry, double ell, double p, bool gauge);

/// Precision of q at the knots: curvature is penalised, a change of the power law hardly.
class WingPrior {
 public:
  WingPrior(const sky::FieldPsfModel& model, bool gauge);
  [[nodiscard]] std::vector<double> precision(double sigma_q) const;

 private:
  std::size_t n_;
  double step_;
  std::vector<double> gauge_;  ///< light at each knot, normalised; empty = none
};

}  // namespace skyloom::photometry::epsf
