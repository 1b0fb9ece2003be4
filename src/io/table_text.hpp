#pragma once
// Cells of a table as text, shared by the CSV, ECSV and JSON writers. Private to the room io.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "skyloom/core/table.hpp"

namespace skyloom::io {

/// A text as a CSV field: in quotes where commas, quotes, line ends or outer blanks demand it.
std::string quoted_cell(std::string_view text);

/// Column names and rows, comma-separated, one line each. @param cell a cell's text (row, column)
std::string comma_separated(const Table& table,
                            std::string (*cell)(const Table&, std::size_t, std::size_t));

/// A text as a JSON string, quotes included; bytes that are not UTF-8 are replaced.
std::string json_string(std::string_view text);

/// An array cell as nested JSON lists. @param not_a_number what stands for NaN and infinities
std::string array_text(const Column& column, const ColumnData& data, std::size_t row,
                       std::string_view not_a_number);

}  // namespace skyloom::io
