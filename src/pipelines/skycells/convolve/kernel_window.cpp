#include "pipelines/skycells/convolve/kernel_window.hpp"

#include <algorithm>
#include <limits>

namespace skyloom::skycells {
namespace {

const CellPixels* find(const PixelSurroundings& around, int x, int y) {
  const auto found =
      std::find_if(around.cells.begin(), around.cells.end(),
                   [&](const CellPixels& cell) { return cell.x == x && cell.y == y; });
  return found == around.cells.end() ? nullptr : &*found;
}

/// Columns of a cell that stand in its assembled row.
PixelRange owned_columns(const CellGeometry& g, const RimRules& rules,
                         const PixelSurroundings& around, const CellPixels& cell) {
  const bool has_left = find(around, cell.x - 1, cell.y) != nullptr;
  const bool drops_left = has_left || (rules.strict_slots && cell.x != rules.first_column);
  const bool has_right = find(around, cell.x + 1, cell.y) != nullptr;
  return {drops_left ? g.overlap - g.edge : 0, has_right ? g.width - g.edge : g.width};
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
  if (row < (around.row_below ? g.edge : 0)) {
    return {around.y - 1, row + g.step_y(), around.row_below};
  }
  if (row >= g.height - (around.row_above ? g.edge : 0)) {
    return {around.y + 1, row - g.step_y(), around.row_above};
  }
  const bool voided = rules.void_top && !around.row_above && row >= g.height - g.edge;
  return {around.y, row, !voided};
}

}  // namespace

Box box_in_reach(const CellGeometry& g, int dx, int dy, int reach) {
  const Box wanted{-reach - dx * g.step_x(), g.width + reach - dx * g.step_x(),
                   -reach - dy * g.step_y(), g.height + reach - dy * g.step_y()};
  return wanted.intersect({0, g.width, 0, g.height});
}

Image<float> assembled_window(const CellGeometry& g, const RimRules& rules,
                              const PixelSurroundings& around, int reach) {
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
      const PixelRange owned = owned_columns(g, rules, around, cell);
      const int shift = (cell.x - around.x) * g.step_x() + reach;
      const int first = std::max({owned.first, cell.box.x0, -shift});
      const int last = std::min({owned.last, cell.box.x1, window.width() - shift});
      if (first < last) {
        std::copy_n(&cell.pixels(source.row - cell.box.y0, first - cell.box.x0), last - first,
                    &window(row + reach, first + shift));
      }
    }
  }
  return window;
}

Image<float> convolved_pixels(numerics::GaussianConvolution& convolution, const CellGeometry& g,
                              const RimRules& rules, const PixelSurroundings& around) {
  const int reach = std::min(convolution.plan().radius, g.pad);
  const Image<float> window = assembled_window(g, rules, around, reach);
  Image<float> convolved(window.width(), window.height());
  convolution.with_missing(window.view(), convolved.view(), rules.missing, rules.min_weight);
  Image<float> out(g.width, g.height);
  for (int row = 0; row < g.height; ++row) {
    std::copy_n(&convolved(row + reach, reach), g.width, out.view().row(row).begin());
  }
  return out;
}

}  // namespace skyloom::skycells
