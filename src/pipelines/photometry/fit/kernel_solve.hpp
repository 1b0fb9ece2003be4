#pragma once
// Drives the nonlinear solves of a patch: which sources move, when they are quiet, when boxes are
// chosen again, and the final test of convergence per source.

#include <vector>

#include "pipelines/photometry/fit/kernel_scene.hpp"

namespace skyloom::photometry::fit {

/// What a fit leaves behind; all sources with free parameters are active in the scene.
struct SolveReport {
  int iterations = 0;
  bool stopped = false;
  double dlnp_last = 0.0;
  std::vector<IterationRow> history;
  std::vector<double> prior_precision;  ///< (n,)
  std::vector<double> inverse;          ///< of the normal matrix with the prior (n * n)
  /// Of the same with the curvatures that Gauss-Newton leaves out; 0 for parameters at a bound.
  std::vector<double> inverse_hessian;
  std::vector<double> newton_step;  ///< (n,) what one more step would change
};

/// Chooses the first boxes, for fluxes from a linear solve, and who of the halo takes part.
void place_sources(Scene& scene);

/// Change of a parameter, in marginal errors, below which one more step changes nothing.
inline constexpr double kConvergedStep = 0.05;

/// Solves to convergence with the weights the scene has.
/// @throws UnitError numerical when the objective is not finite
/// @param first places the sources and approaches from their starts; later calls polish
SolveReport solve(Scene& scene, bool first, int iterations_before);

}  // namespace skyloom::photometry::fit
