#include "pipelines/skycells/convolve/kernel_preview.hpp"

#include <algorithm>
#include <limits>

namespace skyloom::skycells {
namespace {

/// First multiple of `step` from `pixel` on, over `step`.
int first_point(int pixel, int step) {
  return (pixel + step - 1) / step;
}

}  // namespace

int preview_step(const CellGeometry& geometry) {
  return (std::max(geometry.width, geometry.height) + kPreviewPoints - 1) / kPreviewPoints;
}

Preview::Preview(const CellGeometry& geometry, int x, int y)
    : step_(preview_step(geometry)),
      x0_(x * geometry.step_x()),
      y0_(y * geometry.step_y()),
      first_x_(first_point(x0_, step_)),
      first_y_(first_point(y0_, step_)),
      points_(kPreviewPoints, kPreviewPoints, std::numeric_limits<float>::quiet_NaN()) {}

void Preview::add(int row, std::span<const float> values) {
  const int y = y0_ + row;
  if (y % step_ != 0) {
    return;
  }
  for (int j = 0; j < points_.width(); ++j) {
    const int column = (first_x_ + j) * step_ - x0_;
    if (column < static_cast<int>(values.size())) {
      points_(y / step_ - first_y_, j) = values[static_cast<std::size_t>(column)];
    }
  }
}

}  // namespace skyloom::skycells
