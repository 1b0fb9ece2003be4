#include "pipelines/skycells/stored.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/runs.hpp"
#include "skyloom/surveys/run_stream.hpp"

namespace skyloom::skycells {
namespace {

constexpr const char* kStage = "combine";

std::size_t number(const Table& table, const char* column, std::size_t row) {
  return static_cast<std::size_t>(table.get<std::int64_t>(column)[row]);
}

/// Patches of a cell with the nodes of one of the tables.
std::vector<Patch> stored_patches(const engine::Products& products, const StoredCell& cell,
                                  const char* nodes) {
  const Table& table = products.table(kStage, "patches");
  const std::vector<float> values =
      products.range<float>(kStage, nodes, cell.first_node, cell.nodes);
  std::vector<Patch> patches;
  auto value = values.begin();
  for (std::size_t i = cell.first_patch; i < cell.first_patch + cell.patches; ++i) {
    const auto get = [&](const char* column) { return table.get<std::int32_t>(column)[i]; };
    Patch patch;
    patch.row_zone = static_cast<RowZone>(get("row_zone"));
    patch.column_zone = static_cast<ColumnZone>(get("column_zone"));
    patch.rows = {get("first_row"), get("rows")};
    patch.columns = {get("first_column"), get("columns")};
    patch.nodes = Image<float>(patch.columns.count, patch.rows.count);
    const auto count = static_cast<std::ptrdiff_t>(patch.nodes.pixels().size());
    if (values.end() - value < count) {
      throw FatalError(products.path(kStage).string() + ": patches and nodes do not agree");
    }
    std::copy_n(value, count, patch.nodes.pixels().begin());
    value += count;
    patches.push_back(std::move(patch));
  }
  return patches;
}

}  // namespace

std::size_t cells_of(const surveys::ProjectionRows& projection) {
  std::size_t cells = 0;
  for (const surveys::SkycellRow& row : projection.rows) {
    cells += row.cells.size();
  }
  return cells;
}

std::string projection_group(int projection) {
  return "projections/" + surveys::SkycellId{projection, 0, 0}.projection_text();
}

std::string combined_slab(int projection) {
  return "combined/" + surveys::SkycellId{projection, 0, 0}.projection_text();
}

StoredCells::StoredCells(const engine::Products& products) {
  const Table& list = products.table(kStage, "list");
  const Table& cells = products.table(kStage, "cells");
  std::unordered_map<std::string, std::size_t> row_of;
  for (std::size_t i = 0; i < list.rows(); ++i) {
    const auto get = [&](const char* column) { return list.get<std::int32_t>(column)[i]; };
    StoredCell cell;
    cell.name = list.get<std::string>("name")[i];
    cell.id = {get("projection"), get("y"), get("x")};
    cell.row = i;
    cell.plane = static_cast<std::size_t>(get("plane"));
    cell.width = get("width");
    cell.height = get("height");
    row_of.emplace(cell.name, i);
    cells_.push_back(std::move(cell));
  }
  std::size_t patch = 0;
  std::size_t node = 0;
  std::size_t missing = 0;
  std::size_t mask = 0;
  for (std::size_t i = 0; i < cells.rows(); ++i) {
    StoredCell& cell = cells_[row_of.at(cells.get<std::string>("name")[i])];
    cell.is_present = true;
    cell.cell_row = i;
    cell.first_patch = patch;
    cell.patches = static_cast<std::size_t>(cells.get<std::int32_t>("patches")[i]);
    cell.first_node = node;
    cell.nodes = number(cells, "nodes", i);
    cell.first_missing = missing;
    cell.low_rim_bytes = number(cells, "low_rim_bytes", i);
    cell.high_rim_bytes = number(cells, "high_rim_bytes", i);
    cell.missing_bytes =
        number(cells, "missing_bytes", i) - cell.low_rim_bytes - cell.high_rim_bytes;
    cell.first_mask = mask;
    cell.mask_bytes = number(cells, "mask_bytes", i);
    patch += cell.patches;
    node += cell.nodes;
    missing += number(cells, "missing_bytes", i);
    mask += cell.mask_bytes;
  }
}

const StoredCell* StoredCells::present(const surveys::SkycellId& id) const {
  const auto found =
      std::lower_bound(cells_.begin(), cells_.end(), id,
                       [](const StoredCell& cell, const auto& sought) { return cell.id < sought; });
  return found != cells_.end() && found->id == id && found->is_present ? &*found : nullptr;
}

bool StoredCells::has_row(int projection, int y) const {
  return std::any_of(cells_.begin(), cells_.end(), [&](const StoredCell& cell) {
    return cell.is_present && cell.id.projection == projection && cell.id.y == y;
  });
}

int StoredCells::first_column(int projection) const {
  int first = surveys::kSkycellsPerAxis;
  for (const StoredCell& cell : cells_) {
    first = cell.id.projection == projection ? std::min(first, cell.id.x) : first;
  }
  return first;
}

CombinedCell stored_cell(const engine::Products& products, const StoredCell& cell,
                         const CellGeometry& geometry, MissingRows rows, bool with_weight) {
  CombinedCell out;
  out.x = cell.id.x;
  out.y = cell.id.y;
  out.light = stored_patches(products, cell, "nodes/value");
  if (with_weight) {
    out.weight = stored_patches(products, cell, "weights/value");
  }
  std::size_t first_byte = cell.first_missing;
  std::size_t bytes = cell.missing_bytes;
  PixelRange range{0, geometry.height};
  if (rows == MissingRows::low_rim) {
    first_byte += cell.missing_bytes;
    bytes = cell.low_rim_bytes;
    range = low_rim(geometry);
  } else if (rows == MissingRows::high_rim) {
    first_byte += cell.missing_bytes + cell.low_rim_bytes;
    bytes = cell.high_rim_bytes;
    range = high_rim(geometry);
  }
  const std::vector<std::uint8_t> runs = surveys::runs_of_stream(
      products.range<std::uint8_t>(kStage, "missing/byte", first_byte, bytes));
  RunReader reader(runs);
  out.missing = MissingBits(geometry.width, range.last - range.first, range.first);
  for (int row = range.first; row < range.last; ++row) {
    reader.next_bits(geometry.width, out.missing.row(row));
  }
  return out;
}

std::vector<std::uint8_t> stored_mask(const engine::Products& products, const StoredCell& cell) {
  return surveys::runs_of_stream(
      products.range<std::uint8_t>(kStage, "mask/byte", cell.first_mask, cell.mask_bytes));
}

}  // namespace skyloom::skycells
