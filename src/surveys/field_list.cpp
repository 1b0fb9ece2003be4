#include "skyloom/surveys/field_list.hpp"

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/files.hpp"

namespace skyloom::surveys {
namespace {

std::vector<std::string> column(const Table& table, const std::string& path,
                                const std::string& name, bool required) {
  const std::size_t at = table.find_ignoring_case(name);
  if (at == Table::npos) {
    if (required) {
      throw ConfigError(path, "missing column " + name, "one row per field");
    }
    return std::vector<std::string>(table.rows());
  }
  std::vector<std::string> values = table.texts(table.columns()[at].name);
  for (std::string& value : values) {
    value = trimmed(value);
  }
  return values;
}

}  // namespace

std::vector<FieldRow> read_field_list(const std::string& path) {
  const Table table = io::read_csv(path, {"tile_name"});
  if (table.rows() == 0) {
    throw ConfigError(path, "names no field", "one row per field");
  }
  const auto tile = column(table, path, "tile_name", true);
  const auto catalogue = column(table, path, "input_catalog", true);
  const auto images = column(table, path, "image_list_file", true);
  const auto gaia = column(table, path, "gaiaxp_synphot_csv", false);
  std::vector<FieldRow> rows;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    rows.push_back({tile[i], catalogue[i], images[i], gaia[i]});
  }
  return rows;
}

}  // namespace skyloom::surveys
