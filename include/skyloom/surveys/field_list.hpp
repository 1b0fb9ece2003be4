#pragma once
// The list of fields of a survey: one CSV row per field.

#include <string>
#include <vector>

namespace skyloom::surveys {

/// Paths as the file has them; "" where a cell is empty.
struct FieldRow {
  std::string tile_name;
  std::string input_catalog;
  std::string image_list_file;
  std::string gaiaxp_synphot_csv;
};

/// Reads the columns tile_name, input_catalog, image_list_file and, if there, gaiaxp_synphot_csv.
/// @throws ConfigError naming file and column; for a list without rows
std::vector<FieldRow> read_field_list(const std::string& path);

}  // namespace skyloom::surveys
