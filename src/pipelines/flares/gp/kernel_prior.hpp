#pragma once
// Priors, bounds and starting points of the parameters (flares.md 6.2, flares-kernel.md 4.4).

#include <array>
#include <vector>

#include "pipelines/flares/gp/kernel.hpp"

namespace skyloom::flares::gp {

/// What the priors are taken from.
struct Scales {
  double scatter = 0.0;       ///< standard deviation of the quiet flux / median - 1
  double median_error = 0.0;  ///< of the quiet cadences
  Rotation rotation;
};

/// Independent Gaussians in the logarithms of the parameters, and bounds.
struct Prior {
  std::vector<double> mean, sd, lower, upper;  ///< (parameters,)
};

Prior make_prior(numerics::KernelFamily family, const Scales& scales);

/// 13 points, the first near the prior means, all inside the bounds. Among them small quality of
/// one mode and large of the other, where fast rotators have optima of their own.
std::vector<std::vector<double>> starting_points(numerics::KernelFamily family, const Prior& prior);

/// The same point with the smooth term small and short (rho_s = 0.3 d).
std::vector<double> with_short_smooth_term(numerics::KernelFamily family, const Prior& prior,
                                           std::vector<double> theta);

}  // namespace skyloom::flares::gp
