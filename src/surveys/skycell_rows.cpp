#include "skyloom/surveys/skycell_rows.hpp"

#include <algorithm>
#include <string>

#include "skyloom/core/errors.hpp"

namespace skyloom::surveys {
namespace {

void check_rules(std::span<const Skycell> cells, const RowRules& rules) {
  const bool good =
      rules.overlap >= 0 && rules.pad >= 0 && rules.edge >= 0 && rules.edge <= rules.overlap;
  if (!good) {
    throw ConfigError("geometry",
                      "overlap " + std::to_string(rules.overlap) + ", edge " +
                          std::to_string(rules.edge) + " and pad " + std::to_string(rules.pad) +
                          " do not fit together",
                      "0 <= edge <= overlap, pad >= 0");
  }
  for (const Skycell& cell : cells) {
    if (std::min(cell.width, cell.height) <= 2 * rules.overlap) {
      throw ConfigError(
          cell.id.name(),
          "has " + std::to_string(cell.width) + " x " + std::to_string(cell.height) + " pixels",
          "sides above twice the overlap of " + std::to_string(rules.overlap));
    }
  }
}

/// Which columns of a cell stand in the row. A cell smaller than the grid leaves its slot's right
/// part empty, so its right neighbour may take less than `edge` columns from it.
Box owned_box(const Skycell& cell, const ProjectionRows& projection, int slot, bool has_left,
              bool has_right, const RowRules& rules) {
  const bool drops_left = slot > 0 && (has_left || rules.strict_slots);
  const int x0 = drops_left ? rules.overlap - rules.edge : 0;
  const int right = projection.cell_width - rules.edge;
  return {x0, has_right ? std::min(cell.width, right) : cell.width, 0, cell.height};
}

void place_cells(SkycellRow& row, const ProjectionRows& projection, std::span<const Skycell> cells,
                 const RowRules& rules) {
  for (std::size_t i = 0; i < row.cells.size(); ++i) {
    RowCell& cell = row.cells[i];
    const Skycell& source = cells[cell.index];
    cell.slot = cell.id.x - projection.x_first;
    const int x0 = rules.pad + cell.slot * (projection.cell_width - rules.overlap);
    cell.placed = {x0, x0 + source.width, rules.pad, rules.pad + source.height};
    const bool has_left = i > 0 && row.cells[i - 1].id.x == cell.id.x - 1;
    const bool has_right = i + 1 < row.cells.size() && row.cells[i + 1].id.x == cell.id.x + 1;
    cell.owned = owned_box(source, projection, cell.slot, has_left, has_right, rules);
  }
}

ProjectionRows rows_of(std::span<const Skycell> cells, std::size_t first, std::size_t last,
                       const RowRules& rules) {
  ProjectionRows out;
  out.projection = cells[first].id.projection;
  out.x_first = cells[first].id.x;
  int x_last = out.x_first;
  for (std::size_t i = first; i < last; ++i) {
    const SkycellId& id = cells[i].id;
    out.cell_width = std::max(out.cell_width, cells[i].width);
    out.cell_height = std::max(out.cell_height, cells[i].height);
    out.x_first = std::min(out.x_first, id.x);
    x_last = std::max(x_last, id.x);
    if (out.rows.empty() || out.rows.back().y != id.y) {
      out.rows.emplace_back().y = id.y;
    }
    RowCell& cell = out.rows.back().cells.emplace_back();
    cell.index = i;
    cell.id = id;
  }
  out.slots = x_last - out.x_first + 1;
  for (std::size_t i = 0; i < out.rows.size(); ++i) {
    SkycellRow& row = out.rows[i];
    row.has_row_below = i > 0 && out.rows[i - 1].y == row.y - 1;
    row.has_row_above = i + 1 < out.rows.size() && out.rows[i + 1].y == row.y + 1;
    place_cells(row, out, cells, rules);
  }
  return out;
}

/// -1, 0, 1 along x (left to right) and y (bottom to top).
std::pair<int, int> direction(PadSide side) {
  switch (side) {
    case PadSide::top:
      return {0, 1};
    case PadSide::bottom:
      return {0, -1};
    case PadSide::left:
      return {-1, 0};
    case PadSide::right:
      return {1, 0};
    case PadSide::top_left:
      return {-1, 1};
    case PadSide::top_right:
      return {1, 1};
    case PadSide::bottom_left:
      return {-1, -1};
    case PadSide::bottom_right:
      return {1, -1};
  }
  return {0, 0};
}

/// Range of a window along one axis; [first, last) is that of the cell.
std::pair<int, int> window_range(int first, int last, int towards, const RowRules& rules) {
  if (towards < 0) {
    return {first - rules.pad, first + rules.edge};
  }
  return towards > 0 ? std::pair(last - rules.edge, last + rules.pad) : std::pair(first, last);
}

}  // namespace

int ProjectionRows::master_width(const RowRules& rules) const {
  return 2 * rules.pad + slots * (cell_width - rules.overlap) + rules.overlap;
}

int ProjectionRows::master_height(const RowRules& rules) const {
  return cell_height + 2 * rules.pad;
}

std::vector<ProjectionRows> projection_rows(std::span<const Skycell> cells, const RowRules& rules) {
  check_rules(cells, rules);
  std::vector<ProjectionRows> out;
  for (std::size_t first = 0; first < cells.size();) {
    std::size_t last = first;
    while (last < cells.size() && cells[last].id.projection == cells[first].id.projection) {
      ++last;
    }
    out.push_back(rows_of(cells, first, last, rules));
    first = last;
  }
  return out;
}

bool pad_applies(const ProjectionRows& projection, const SkycellId& id, PadSide side) {
  const auto [along_x, along_y] = direction(side);
  const auto row = std::find_if(projection.rows.begin(), projection.rows.end(),
                                [&](const SkycellRow& each) { return each.y == id.y; });
  if (row == projection.rows.end()) {
    return false;
  }
  const bool in_row = along_y == 0 || (along_y > 0 ? std::next(row) == projection.rows.end()
                                                   : row == projection.rows.begin());
  const bool in_column =
      along_x == 0 || (along_x < 0 ? row->cells.front().id == id : row->cells.back().id == id);
  return in_row && in_column;
}

Box pad_window(const RowCell& cell, PadSide side, const RowRules& rules) {
  const auto [along_x, along_y] = direction(side);
  const auto [x0, x1] = window_range(cell.placed.x0, cell.placed.x1, along_x, rules);
  const auto [y0, y1] = window_range(cell.placed.y0, cell.placed.y1, along_y, rules);
  return {x0, x1, y0, y1};
}

}  // namespace skyloom::surveys
