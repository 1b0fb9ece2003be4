// The rules by which rows are assembled: slots, owned pixels, windows of padding.

#include "skyloom/surveys/skycell_rows.hpp"

#include <algorithm>
#include <map>

#include "skyloom/core/errors.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;
using surveys::PadSide;
using surveys::RowRules;
using surveys::Skycell;
using surveys::SkycellId;

namespace {

/// Cells of one projection in rows {y: x ...}.
std::vector<Skycell> cells_of(const std::map<int, std::vector<int>>& rows, int width, int height) {
  std::vector<Skycell> out;
  for (const auto& [y, columns] : rows) {
    for (const int x : columns) {
      Skycell& cell = out.emplace_back();
      cell.id = {1405, y, x};
      cell.width = width;
      cell.height = height;
    }
  }
  return out;
}

/// What assembly by the letter leaves in a row: cells written left to right, each without its first
/// overlap - edge columns where that rule drops them. -1 = nothing, else the x of the cell.
std::vector<int> assembled(const surveys::ProjectionRows& projection,
                           const surveys::SkycellRow& row, const RowRules& rules,
                           const std::vector<Skycell>& cells) {
  std::vector<int> out(static_cast<std::size_t>(projection.master_width(rules)), -1);
  int last_x = -1;
  for (const surveys::RowCell& cell : row.cells) {
    const bool first = cell.id.x == projection.x_first;
    const bool has_left = last_x == cell.id.x - 1 && last_x >= 0;
    const bool drops = !first && (rules.strict_slots || has_left);
    const int start =
        rules.pad + (cell.id.x - projection.x_first) * (projection.cell_width - rules.overlap);
    const int dropped = drops ? rules.overlap - rules.edge : 0;
    for (int x = dropped; x < cells[cell.index].width; ++x) {
      out.at(static_cast<std::size_t>(start + x)) = cell.id.x;
    }
    last_x = cell.id.x;
  }
  return out;
}

std::vector<int> owners(const surveys::ProjectionRows& projection, const surveys::SkycellRow& row,
                        const RowRules& rules) {
  std::vector<int> out(static_cast<std::size_t>(projection.master_width(rules)), -1);
  for (const surveys::RowCell& cell : row.cells) {
    for (int x = cell.owned.x0; x < cell.owned.x1; ++x) {
      int& owner = out.at(static_cast<std::size_t>(cell.placed.x0 + x));
      CHECK(owner == -1);
      owner = cell.id.x;
    }
  }
  return out;
}

}  // namespace

TEST_CASE("Rows: a full projection of RINGS.V3", "[skycell]") {
  const auto list = surveys::skycells_of_projections({1405}, "projections");
  const auto projections = surveys::projection_rows(list.cells, {});
  REQUIRE(projections.size() == 1);
  const surveys::ProjectionRows& projection = projections[0];
  CHECK(projection.slots == 10);
  CHECK(projection.rows.size() == 10);
  CHECK(projection.master_width({}) == 59040);
  CHECK(projection.master_height({}) == 7203);
  const surveys::SkycellRow& row = projection.rows[4];
  CHECK((row.has_row_below && row.has_row_above));
  CHECK_FALSE(projection.rows[0].has_row_below);
  CHECK_FALSE(projection.rows[9].has_row_above);
  // The seam of the slots 0 and 1: the left cell gives way at column 6710 and would end at 6720.
  CHECK(row.cells[0].placed == Box{480, 6720, 480, 480 + 6243});
  CHECK(row.cells[0].owned == Box{0, 6230, 0, 6243});
  CHECK(row.cells[1].placed.x0 + row.cells[1].owned.x0 == 6710);
  CHECK(row.cells[9].owned == Box{470, 6240, 0, 6243});
  CHECK(row.cells[9].placed.x1 == 59040 - 480);
}

TEST_CASE("Rows: owned pixels are those that assembly leaves", "[skycell]") {
  RowRules rules;
  rules.overlap = 60;
  rules.edge = 4;
  rules.pad = 60;
  rules.strict_slots = GENERATE(false, true);
  const auto layout = GENERATE(values<std::map<int, std::vector<int>>>(
      {{{2, {0, 1, 2}}},
       {{2, {1, 2, 3, 4}}, {3, {1, 2, 4}}, {4, {2, 3}}, {6, {3}}, {7, {0, 1, 3}}, {8, {4}}},
       {{0, {9}}}}));
  std::vector<Skycell> cells = cells_of(layout, 330, 300);
  if (GENERATE(false, true)) {
    cells.back().width = 325;  // a smaller one fills the lower left of its slot
  }
  const auto projections = surveys::projection_rows(cells, rules);
  REQUIRE(projections.size() == 1);
  const surveys::ProjectionRows& projection = projections[0];
  CHECK(projection.rows.size() == layout.size());
  for (const surveys::SkycellRow& row : projection.rows) {
    CAPTURE(row.y);
    CHECK(owners(projection, row, rules) == assembled(projection, row, rules, cells));
    CHECK(row.has_row_below == (layout.count(row.y - 1) == 1));
    CHECK(row.has_row_above == (layout.count(row.y + 1) == 1));
  }
}

TEST_CASE("Rows: slots count from the first cell of the projection", "[skycell]") {
  RowRules rules;
  rules.overlap = 60;
  rules.edge = 4;
  rules.pad = 50;
  const auto cells = cells_of({{1, {4, 6}}, {2, {3, 4}}}, 330, 300);
  const auto projection = surveys::projection_rows(cells, rules).at(0);
  CHECK(projection.x_first == 3);
  CHECK(projection.slots == 4);
  CHECK(projection.master_width(rules) == 2 * 50 + 4 * 270 + 60);
  CHECK(projection.master_height(rules) == 400);
  CHECK(projection.rows[0].cells[0].slot == 1);
  CHECK(projection.rows[0].cells[0].owned == Box{0, 330, 0, 300});
  CHECK(projection.rows[0].cells[1].owned == Box{0, 330, 0, 300});
  CHECK(projection.rows[1].cells[0].owned == Box{0, 326, 0, 300});
  CHECK(projection.rows[1].cells[1].owned == Box{56, 330, 0, 300});
}

TEST_CASE("Rows: where padding by other projections applies", "[skycell]") {
  RowRules rules;
  rules.overlap = 60;
  rules.edge = 4;
  rules.pad = 50;
  const auto cells = cells_of({{1, {4, 6}}, {2, {3, 4}}, {5, {3, 4, 5}}}, 330, 300);
  const auto projection = surveys::projection_rows(cells, rules).at(0);
  const auto applies = [&](int y, int x, PadSide side) {
    return surveys::pad_applies(projection, {1405, y, x}, side);
  };
  CHECK(applies(1, 4, PadSide::bottom));
  CHECK(applies(1, 4, PadSide::bottom_left));
  CHECK_FALSE(applies(1, 4, PadSide::bottom_right));
  CHECK_FALSE(applies(1, 4, PadSide::top));
  CHECK(applies(1, 6, PadSide::right));
  CHECK(applies(2, 3, PadSide::left));
  CHECK_FALSE(applies(2, 3, PadSide::bottom));
  CHECK_FALSE(applies(2, 3, PadSide::top_left));
  CHECK(applies(5, 4, PadSide::top));
  CHECK(applies(5, 5, PadSide::top_right));
  CHECK_FALSE(applies(5, 4, PadSide::top_right));
  CHECK_FALSE(applies(3, 4, PadSide::top));

  const surveys::RowCell& cell = projection.rows[1].cells[1];
  const int x0 = 50 + 270;
  CHECK(surveys::pad_window(cell, PadSide::top, rules) == Box{x0, x0 + 330, 346, 400});
  CHECK(surveys::pad_window(cell, PadSide::bottom, rules) == Box{x0, x0 + 330, 0, 54});
  CHECK(surveys::pad_window(cell, PadSide::left, rules) == Box{x0 - 50, x0 + 4, 50, 350});
  CHECK(surveys::pad_window(cell, PadSide::right, rules) == Box{x0 + 326, x0 + 380, 50, 350});
  CHECK(surveys::pad_window(cell, PadSide::top_left, rules) == Box{x0 - 50, x0 + 4, 346, 400});
  CHECK(surveys::pad_window(cell, PadSide::bottom_right, rules) == Box{x0 + 326, x0 + 380, 0, 54});
}

TEST_CASE("Rows: rules and cells that do not fit are refused", "[skycell]") {
  RowRules rules;
  const auto cells = cells_of({{1, {4}}}, 960, 2000);
  CHECK_THAT(error_of<ConfigError>([&] { (void)surveys::projection_rows(cells, rules); }),
             Contains("skycell.1405.014: has 960 x 2000 pixels"));
  rules.edge = 481;
  CHECK_THAT(error_of<ConfigError>([&] { (void)surveys::projection_rows(cells, rules); }),
             Contains("edge 481"));
  CHECK(surveys::projection_rows({}, {}).empty());
}
