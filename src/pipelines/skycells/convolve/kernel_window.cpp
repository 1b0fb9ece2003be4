#include "pipelines/skycells/convolve/kernel_window.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace skyloom::skycells {
namespace {

const CellPixels* find(const PixelSurroundings& around, int x, int y) {
  const auto found =
      std::find_if(around.cells.begin(), around.cells.end(),
                   [&](const CellPixels& cell) { return cell.x == x && cell.y == y; });
  return found == around.cells.end() ? nullptr : &*found;
}

/// Columns of a cell that stand in its assembled row, from left to right.
/// @param reach how far beyond its sides its pixels count where it has no neighbour
std::array<PixelRange, 2> owned_columns(const CellGeometry& g, const RimRules& rules,
                                        const PixelSurroundings& around, const CellPixels& cell,
                                        int reach) {
  const bool has_left = find(around, cell.x - 1, cell.y) != nullptr;
  const bool drops_left = has_left || (rules.strict_slots && cell.x != rules.first_column);
  const bool has_right = find(around, cell.x + 1, cell.y) != nullptr;
  const PixelRange beyond{has_left ? 0 : -reach, 0};
  return {beyond,
          {drops_left ? g.overlap - g.edge : 0, has_right ? g.width - g.edge : g.width + reach}};
}

/// Row `row` of the assembled row `around.y`, in pixels of the cell: which row of cells it comes
/// from, and which of their rows.
struct SourceRow {
  int y = 0;
  int row = 0;
  bool exists = true;
};

SourceRow source_of(int row, const CellGeometry& g, const RimRules& rules,
                    const PixelSurroundings& around) {
  if (around.row_below && row < g.edge) {
    return {around.y - 1, row + g.step_y()};
  }
  if (around.row_above && row >= g.height - g.edge) {
    return {around.y + 1, row - g.step_y()};
  }
  const bool voided =
      rules.void_top && !around.row_above && row >= g.height - g.edge && row < g.height;
  return {around.y, row, !voided};
}

/// @param beyond how far beyond its sides pixels of a cell count, where it has no neighbour
Image<float> window_of(const CellGeometry& g, const RimRules& rules,
                       const PixelSurroundings& around, int reach, int beyond) {
  Image<float> window(g.width + 2 * reach, g.height + 2 * reach,
                      std::numeric_limits<float>::quiet_NaN());
  for (int row = -reach; row < g.height + reach; ++row) {
    const SourceRow source = source_of(row, g, rules, around);
    if (!source.exists) {
      continue;
    }
    for (const CellPixels& cell : around.cells) {
      if (cell.y != source.y || source.row < cell.box.y0 || source.row >= cell.box.y1) {
        continue;
      }
      const int shift = (cell.x - around.x) * g.step_x() + reach;
      for (const PixelRange& owned : owned_columns(g, rules, around, cell, beyond)) {
        const int first = std::max({owned.first, cell.box.x0, -shift});
        const int last = std::min({owned.last, cell.box.x1, window.width() - shift});
        if (first < last) {
          std::copy_n(&cell.pixels(source.row - cell.box.y0, first - cell.box.x0), last - first,
                      &window(row + reach, first + shift));
        }
      }
    }
  }
  return window;
}

}  // namespace

Box box_in_reach(const CellGeometry& g, int dx, int dy, int reach, int margin) {
  const Box wanted{-reach - dx * g.step_x(), g.width + reach - dx * g.step_x(),
                   -reach - dy * g.step_y(), g.height + reach - dy * g.step_y()};
  return wanted.intersect(Box{0, g.width, 0, g.height}.grown(margin));
}

Image<float> assembled_window(const CellGeometry& g, const RimRules& rules,
                              const PixelSurroundings& around, int reach) {
  return window_of(g, rules, around, reach, g.pad);
}

Image<float> convolved_pixels(numerics::GaussianConvolution& convolution, const CellGeometry& g,
                              const RimRules& rules, const PixelSurroundings& around) {
  const int reach = std::min(convolution.plan().radius, g.pad);
  const Image<float> window = assembled_window(g, rules, around, reach);
  Image<float> convolved(window.width(), window.height());
  convolution.with_missing(window.view(), convolved.view(), rules.missing, rules.min_weight);
  // Paddings of a neighbour give light, but no pixels.
  Image<float> out = window_of(g, rules, around, 0, 0);
  for (int row = 0; row < g.height; ++row) {
    for (int x = 0; x < g.width; ++x) {
      out(row, x) = std::isnan(out(row, x)) ? out(row, x) : convolved(row + reach, x + reach);
    }
  }
  return out;
}

}  // namespace skyloom::skycells
