#pragma once
// Marginal errors at the solution: inverse normal matrix, or the sandwich H^-1 S H^-1 when the
// weights leave the source noise out (White 1982).

#include <vector>

#include "pipelines/photometry/fit/kernel_scene.hpp"

namespace skyloom::photometry::fit {

/// Covariances, and how the fluxes follow the skies. `theta` (n * n) belongs to the active
/// parameters, `linear[b]` (L * L) to the unknowns of Scene::band(b).
struct Covariance {
  int n = 0;
  std::vector<double> theta;
  std::vector<std::vector<double>> linear;
  /// Frames whose sky is fitted, and per band (sources of the band) * (those frames): change of a
  /// flux per change of a sky that is set to another value, everything else following.
  std::vector<int> sky_frame;
  std::vector<std::vector<double>> flux_per_sky;
};

/// @param inverse (n * n) of Scene::normal_matrix() plus the precision of the prior
/// @param hessian (n * n) inverse of the second derivatives: how far everything follows the skies
/// @param prior_precision (n,) diagonal that was added
Covariance covariance(Scene& scene, const std::vector<double>& inverse,
                      const std::vector<double>& hessian,
                      const std::vector<double>& prior_precision);

}  // namespace skyloom::photometry::fit
