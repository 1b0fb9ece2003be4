#pragma once
// Columns of a user's table by the names that astronomers give them. Private to the room surveys.

#include <string>
#include <vector>

#include "skyloom/core/table.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/fits.hpp"
#include "skyloom/surveys/source_catalogue.hpp"

namespace skyloom::surveys {

/// CSV or, by the name of the file, the first table of a FITS file.
inline Table read_any_table(const std::string& path, const std::vector<std::string>& as_text) {
  return is_fits_name(path) ? io::read_fits_table(path) : io::read_csv(path, as_text);
}

/// Position of a scalar column: this very name first, then regardless of case and outer blanks.
inline std::size_t find_column(const Table& table, std::string_view name) {
  const std::size_t found = table.has(name) ? table.position(name) : table.find_ignoring_case(name);
  return found != Table::npos && table.columns()[found].shape.empty() ? found : Table::npos;
}

}  // namespace skyloom::surveys
