#include "pipelines/skycells/tables.hpp"

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pipelines/skycells/stored.hpp"

namespace skyloom::skycells {
namespace {

using RowOf = std::unordered_map<std::string, std::size_t>;

RowOf rows_by(const Table& table, const char* column) {
  RowOf rows;
  const auto& names = table.get<std::string>(column);
  for (std::size_t i = 0; i < names.size(); ++i) {
    rows.emplace(names[i], i);
  }
  return rows;
}

/// How a cell ended: the first stage that failed decides.
struct Ending {
  std::string status = "ok";
  std::string message;
};

class Endings {
 public:
  explicit Endings(const engine::Products& products) {
    for (const char* stage : {"combine", "convolve"}) {
      stages_.emplace_back(stage, &products.table(stage, "units"));
      rows_.push_back(rows_by(*stages_.back().second, "key"));
    }
  }
  [[nodiscard]] Ending of(const std::string& name) const {
    for (std::size_t i = 0; i < stages_.size(); ++i) {
      const Table& units = *stages_[i].second;
      const auto found = rows_[i].find(name);
      if (found != rows_[i].end() && units.get<std::string>("outcome")[found->second] != "ok") {
        return {"failed",
                stages_[i].first + ": " + units.get<std::string>("message")[found->second]};
      }
    }
    return {};
  }

 private:
  std::vector<std::pair<std::string, const Table*>> stages_;
  std::vector<RowOf> rows_;
};

/// Column of `from` in the rows of `list`, missing values where a cell has none.
void add_joined(const Table& list, const Table& from, const RowOf& rows, const std::string& column,
                Table& out, const std::string& as = {}) {
  const std::size_t place = from.position(column);
  Column described = from.columns()[place];
  described.name = as.empty() ? described.name : as;
  Table one(TableSchema{"one", {described}});
  one.add_rows(list.rows());
  std::visit(
      [&](const auto& values) {
        using Values = std::decay_t<decltype(values)>;
        auto& target = std::get<Values>(one.data(std::size_t{0}));
        const auto& names = list.get<std::string>("name");
        for (std::size_t i = 0; i < names.size(); ++i) {
          if (const auto found = rows.find(names[i]); found != rows.end()) {
            target[i] = values[found->second];
          }
        }
      },
      from.data(place));
  out.add_column(described, std::move(one.data(std::size_t{0})));
}

void copy(const Table& list, const char* column, Table& out, const char* as = nullptr) {
  Column described = list.columns()[list.position(column)];
  described.name = as == nullptr ? described.name : as;
  out.add_column(described, list.data(column));
}

void add_endings(const engine::Products& products, const Table& list, Table& out) {
  const Endings endings(products);
  std::vector<std::string> status;
  std::vector<std::string> message;
  for (const std::string& name : list.get<std::string>("name")) {
    Ending ending = endings.of(name);
    status.push_back(std::move(ending.status));
    message.push_back(std::move(ending.message));
  }
  out.add_column({"status", Type::text, "", "ok or failed"}, std::move(status));
  out.add_column({"message", Type::text, "", "what was wrong"}, std::move(message));
}

void add_contents(const Config& config, const engine::Products& products, const Table& list,
                  Table& out) {
  const Table& cells = products.table("combine", "cells");
  const RowOf rows = rows_by(cells, "name");
  add_joined(list, cells, rows, "bands", out);
  for (const std::string& band : config.bands.use) {
    add_joined(list, cells, rows, "exptime_" + band, out);
  }
}

std::string neighbour(const StoredCells& cells, const StoredCell& cell, int dx, int dy) {
  const StoredCell* found = cells.present({cell.id.projection, cell.id.y + dy, cell.id.x + dx});
  return found == nullptr ? std::string() : found->name;
}

}  // namespace

Table cell_table(const Config& config, const engine::Products& products) {
  const Table& list = products.table("combine", "list");
  const Table& combined = products.table("combine", "cells");
  const Table& convolved = products.table("convolve", "cells");
  const RowOf combined_rows = rows_by(combined, "name");
  const RowOf convolved_rows = rows_by(convolved, "name");
  Table out(TableSchema{"cells", {}});
  for (const char* column : {"name", "projection", "x", "y"}) {
    copy(list, column, out);
  }
  copy(list, "plane", out, "index");
  add_endings(products, list, out);
  add_contents(config, products, list, out);
  add_joined(list, combined, combined_rows, "masks", out);
  add_joined(list, combined, combined_rows, "bytes_read", out);
  add_joined(list, combined, combined_rows, "n_missing", out);
  add_joined(list, combined, combined_rows, "n_masked", out);
  add_joined(list, combined, combined_rows, "mean", out, "combined_mean");
  for (const char* column : {"n_nan", "minimum", "maximum", "mean"}) {
    add_joined(list, convolved, convolved_rows, column, out);
  }
  copy(list, "ra", out);
  copy(list, "dec", out);
  return out;
}

Table cell_metadata(const Config& config, const engine::Products& products) {
  const Table& list = products.table("combine", "list");
  Table out(TableSchema{"cell_metadata", {}});
  copy(list, "name", out);
  copy(list, "projection", out);
  copy(list, "y", out, "row");
  copy(list, "x", out);
  copy(list, "plane", out, "index");
  std::vector<std::int32_t> sides[4];
  for (std::size_t i = 0; i < list.rows(); ++i) {
    const int x0 = list.get<std::int32_t>("column")[i];
    const int pad = config.geometry.pad;
    sides[0].push_back(x0);
    sides[1].push_back(x0 + list.get<std::int32_t>("NAXIS1")[i]);
    sides[2].push_back(pad);
    sides[3].push_back(pad + list.get<std::int32_t>("NAXIS2")[i]);
  }
  const char* names[4] = {"row_x0", "row_x1", "row_y0", "row_y1"};
  for (int i = 0; i < 4; ++i) {
    out.add_column({names[i], Type::int32, "pix", "rectangle in the assembled row"},
                   std::move(sides[i]));
  }
  for (const char* column : {"NAXIS1", "NAXIS2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1",
                             "CD1_2", "CD2_1", "CD2_2", "ra", "dec"}) {
    copy(list, column, out);
  }
  add_contents(config, products, list, out);
  const StoredCells cells(products);
  const std::pair<const char*, std::pair<int, int>> around[] = {
      {"left", {-1, 0}},     {"right", {1, 0}},         {"bottom", {0, -1}},
      {"top", {0, 1}},       {"bottom_left", {-1, -1}}, {"bottom_right", {1, -1}},
      {"top_left", {-1, 1}}, {"top_right", {1, 1}}};
  for (const auto& [side, step] : around) {
    std::vector<std::string> found;
    for (const StoredCell& cell : cells.all()) {
      found.push_back(neighbour(cells, cell, step.first, step.second));
    }
    out.add_column({std::string("neighbour_") + side, Type::text, "", "cell used on this side"},
                   std::move(found));
  }
  add_endings(products, list, out);
  return out;
}

}  // namespace skyloom::skycells
