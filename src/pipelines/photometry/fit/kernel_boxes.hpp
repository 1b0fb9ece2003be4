#pragma once
// What the choice of boxes and that of grids share.

#include <array>
#include <cmath>

#include "pipelines/photometry/fit/kernel_scene.hpp"

namespace skyloom::photometry::fit {

inline constexpr std::array kHalfSizes{7, 11, 15, 23, 31, 39, 47, 63, 95, 127, 191, 255, 383};
/// A starting flux may be too small by this factor before boxes are too small.
inline constexpr double kFluxMargin = 1.3;

/// Square of the minor half-light axis in pixels.
inline double minor_axis_factor(const Source& source) {
  const double ee = std::hypot(source.value[3], source.value[4]);
  const double q = 1.0 / (2.0 * std::exp(ee) - 1.0);
  return std::exp(2.0 * source.value[2]) * q * q;
}

}  // namespace skyloom::photometry::fit
