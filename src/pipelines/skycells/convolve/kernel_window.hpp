#pragma once
// The plain way from combined cells to a convolved one: the part of the assembled row that reaches
// the cell is put together pixel by pixel and convolved. For methods that have no coarse grid, and
// what the streaming form is compared with.

#include <vector>

#include "pipelines/skycells/combine/kernel_zones.hpp"
#include "pipelines/skycells/convolve/kernel.hpp"
#include "skyloom/core/image.hpp"
#include "skyloom/numerics/gaussian.hpp"

namespace skyloom::skycells {

/// Part of a combined cell and its paddings, NaN where it has no value.
struct CellPixels {
  int x = 0;  ///< column and row in the projection
  int y = 0;
  Box box;  ///< which pixels of the cell; may go beyond its sides
  Image<float> pixels;
};

/// What there is around cell (x, y), as Surroundings has it.
struct PixelSurroundings {
  int x = 0;
  int y = 0;
  std::vector<CellPixels> cells;
  bool row_below = false;
  bool row_above = false;
};

/// Pixels of the cell (dx, dy) away that lie within `reach` of a cell; empty when none does.
/// @param margin how far its pixels go beyond its sides
Box box_in_reach(const CellGeometry& geometry, int dx, int dy, int reach, int margin);

/// Pixels -reach .. width + reach and -reach .. height + reach of cell (around.x, around.y) in its
/// assembled row; NaN where there is no value.
Image<float> assembled_window(const CellGeometry& geometry, const RimRules& rules,
                              const PixelSurroundings& around, int reach);

/// The convolved cell. @param convolution of the plan's radius
Image<float> convolved_pixels(numerics::GaussianConvolution& convolution,
                              const CellGeometry& geometry, const RimRules& rules,
                              const PixelSurroundings& around);

}  // namespace skyloom::skycells
