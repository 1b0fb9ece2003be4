#pragma once
// A convolved cell small enough to be shown: pixels on a lattice of the projection, so that the
// lattices of its cells are one and neighbours can be compared where they overlap.

#include <span>

#include "pipelines/skycells/combine/kernel_zones.hpp"
#include "skyloom/core/image.hpp"

namespace skyloom::skycells {

/// Points of a preview along each axis.
inline constexpr int kPreviewPoints = 64;
/// Pixels of a projection from one that is shown to the next: the least with which all of a cell's
/// fit into kPreviewPoints.
[[nodiscard]] int preview_step(const CellGeometry& geometry);

/// Point (i, j) of a preview is the pixel ((first_x + j) step, (first_y + i) step) of the
/// projection; NaN where that has no value or is outside of the cell.
class Preview {
 public:
  Preview(const CellGeometry& geometry, int x, int y);

  [[nodiscard]] int first_x() const { return first_x_; }
  [[nodiscard]] int first_y() const { return first_y_; }
  [[nodiscard]] const Image<float>& points() const { return points_; }
  /// Any row of the cell, in any order.
  void add(int row, std::span<const float> values);

 private:
  int step_;
  int x0_;  ///< first pixel in the projection
  int y0_;
  int first_x_;
  int first_y_;
  Image<float> points_;
};

}  // namespace skyloom::skycells
