#pragma once
// Means of the wing's profile over many pixels at once, in the widest vectors of the machine.
// Floats: relative error some 1e-6.

#include <array>
#include <cstddef>

namespace skyloom::photometry::epsf {

/// F(t) = (1 + t)^-beta exp(q(s)) of sky/radial_profile.hpp for one shape.
struct LaneProfile {
  static constexpr std::size_t kMostKnots = 32;
  float beta = 0.0F;
  float scale = 0.0F;  ///< t = scale (a^2 + b^2)
  float g1 = 0.0F;
  float g2 = 0.0F;
  float q0 = 0.0F;       ///< q at s = 0
  float q_slope = 0.0F;  ///< and its slope there
  int knots = 0;
  std::array<float, kMostKnots> knot{};  ///< where the slope of q changes,
  std::array<float, kMostKnots> bend{};  ///< and by how much
};

/// Points of a quadrature rule; that of one point is corrected by the second derivatives.
struct LaneRule {
  int n = 0;
  std::array<float, 16> first{};
  std::array<float, 16> second{};
  std::array<float, 16> weight{};
};

/// Sums over the points of every pixel: F, dF/dt times a, b, a^2, a b and b^2, and F s.
struct LaneSums {
  float* light;
  std::array<float*, 5> bend;
  float* light_s;
};

/// Pixels are padded to a multiple of this.
inline constexpr std::size_t kMostLanes = 16;

/// @param a, b centres of the pixels where the PSF is round
/// @param count of pixels, a multiple of kMostLanes
void sum_wing(const LaneProfile& profile, const LaneRule& rule, const float* a, const float* b,
              std::size_t count, const LaneSums& sums);

}  // namespace skyloom::photometry::epsf
