#include <cmath>

#include <nlohmann/json.hpp>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/fits.hpp"

#include "table_text.hpp"

namespace skyloom::io {
namespace {

template <class T>
std::string element_text(const T& value, Type type, std::string_view not_a_number) {
  if constexpr (std::is_same_v<T, std::string>) {
    return json_string(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    return std::isfinite(value) ? shortest(value) : std::string(not_a_number);
  } else {
    return type != Type::boolean ? std::to_string(value) : value != 0 ? "true" : "false";
  }
}

std::string nested_text(const Column& column, const ColumnData& data, std::size_t& element,
                        std::size_t axis, std::string_view not_a_number) {
  const std::vector<std::size_t>& shape = column.shape;
  if (axis == shape.size()) {
    const std::size_t at = element++;
    return std::visit(
        [&](const auto& values) { return element_text(values[at], column.type, not_a_number); },
        data);
  }
  std::string out = "[";
  for (std::size_t i = 0; i < shape[axis]; ++i) {
    out += (i == 0 ? "" : ",") + nested_text(column, data, element, axis + 1, not_a_number);
  }
  return out + "]";
}

std::string ecsv_datatype(const Column& column) {
  const std::string type =
      column.type == Type::text ? "string" : std::string(to_string(column.type));
  if (column.shape.empty()) {
    return "datatype: " + type;
  }
  std::string shape;
  for (const std::size_t side : column.shape) {
    shape += (shape.empty() ? "" : ",") + std::to_string(side);
  }
  return "datatype: string, subtype: '" + type + "[" + shape + "]'";
}

std::string ecsv_header(const Table& table) {
  std::string out = "# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\n";
  for (const Column& column : table.columns()) {
    out += "# - {name: " + json_string(column.name);
    if (!column.unit.empty()) {
      out += ", unit: " + json_string(column.unit);
    }
    out += ", " + ecsv_datatype(column);
    if (!column.description.empty()) {
      out += ", description: " + json_string(column.description);
    }
    out += "}\n";
  }
  return out + "# meta: {name: " + json_string(table.name()) + "}\n# schema: astropy-2.0\n";
}

std::string ecsv_cell(const Table& table, std::size_t row, std::size_t column) {
  const Column& what = table.columns()[column];
  if (!what.shape.empty()) {
    return quoted_cell(array_text(what, table.data(column), row, "NaN"));
  }
  const std::string text = table.cell_text(row, column);
  if (what.type == Type::text) {
    // In quotes, so that a row of one empty text is no blank line.
    return text.empty() ? "\"\"" : quoted_cell(text);
  }
  return text.empty() ? "nan" : text;
}

}  // namespace

std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string array_text(const Column& column, const ColumnData& data, std::size_t row,
                       std::string_view not_a_number) {
  std::size_t element = row * column.elements();
  return nested_text(column, data, element, 0, not_a_number);
}

std::string ecsv_text(const Table& table) {
  return ecsv_header(table) + comma_separated(table, ecsv_cell);
}

std::string json_text(const Table& table) {
  std::vector<std::string> names;
  for (const Column& column : table.columns()) {
    names.push_back(json_string(column.name) + ": ");
  }
  std::string out = "[";
  for (std::size_t row = 0; row < table.rows(); ++row) {
    out += row == 0 ? "\n  {" : ",\n  {";
    for (std::size_t i = 0; i < names.size(); ++i) {
      out += (i == 0 ? "" : ", ") + names[i] +
             array_text(table.columns()[i], table.data(i), row, "null");
    }
    out += '}';
  }
  return out + "\n]\n";
}

void write_table(const std::filesystem::path& path, const Table& table, std::string_view format) {
  if (format == "csv") {
    write_atomically(path, csv_text(table));
  } else if (format == "ecsv") {
    write_atomically(path, ecsv_text(table));
  } else if (format == "json") {
    write_atomically(path, json_text(table));
  } else if (format == "fits") {
    write_fits_table(path, table, {});
  } else {
    throw ConfigError("format", "'" + std::string(format) + "' is unknown",
                      "csv, ecsv, json or fits");
  }
}

}  // namespace skyloom::io
