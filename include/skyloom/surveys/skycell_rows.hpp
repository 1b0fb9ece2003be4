#pragma once
// Where the cells of a projection lie in its rows, and which pixels of each count: the rules by
// which rows are assembled from overlapping cells. Integers only; reads nothing.
//
// All rows of a projection share one grid of columns: slot i = x - x_first begins at column
// pad + i (width - overlap) of a master row that has `pad` further pixels on every side.

#include <span>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/surveys/skycell.hpp"

namespace skyloom::surveys {

/// Lengths in pixels.
struct RowRules {
  int overlap = kSkycellOverlap;  ///< that neighbouring cells share
  int edge = 10;                  ///< outermost pixels that a neighbour's are preferred to
  int pad = kSkycellOverlap;      ///< around a row
  /// Drop the left overlap of every cell that is not in slot 0, even without a left neighbour.
  bool strict_slots = false;
};

/// A cell in its row.
struct RowCell {
  std::size_t index = 0;  ///< in the list of cells
  SkycellId id;
  int slot = 0;
  /// Full rectangle in the master row, both overlaps included.
  Box placed;
  /// Pixels of the cell that stand in the assembled row, in pixels of the cell: without the left
  /// overlap but for its last `edge` columns, and without the last `edge` columns, where neighbours
  /// are; its whole height.
  Box owned;
};

struct SkycellRow {
  int y = 0;
  std::vector<RowCell> cells;  ///< ascending x
  bool has_row_below = false;  ///< y - 1 has cells
  bool has_row_above = false;  ///< y + 1 has cells
};

/// A projection cut into rows.
struct ProjectionRows {
  int projection = 0;
  int cell_width = 0;  ///< of the largest cell, which makes the grid
  int cell_height = 0;
  int x_first = 0;               ///< smallest x of all rows: the slot 0
  int slots = 0;                 ///< absent cells between the first and the last x count too
  std::vector<SkycellRow> rows;  ///< ascending y; a y without cells has no row

  /// pad + slots (cell_width - overlap) + overlap + pad
  [[nodiscard]] int master_width(const RowRules& rules) const;
  /// cell_height + 2 pad
  [[nodiscard]] int master_height(const RowRules& rules) const;
};

/// Rows of all projections, these in ascending order.
/// @param cells in the order of SkycellId, all of different identity
/// @throws ConfigError naming a cell that is not larger than twice the overlap, or rules that do
/// not
///   fit together (0 <= edge <= overlap, pad >= 0, overlap >= 0)
std::vector<ProjectionRows> projection_rows(std::span<const Skycell> cells, const RowRules& rules);

/// Sides of a cell that lie on the rim of its projection: where padding by other projections makes
/// sense. `top` needs the last row, `bottom` the first, `left` and `right` the first and last cell
/// of the row; corners need both.
bool pad_applies(const ProjectionRows& projection, const SkycellId& id, PadSide side);

/// Window of the master row that the padding of a side fills: the `pad` pixels beyond the cell and
/// its outermost `edge` ones. Of a corner: the square of both.
Box pad_window(const RowCell& cell, PadSide side, const RowRules& rules);

}  // namespace skyloom::surveys
