#include <algorithm>
#include <charconv>
#include <set>
#include <string>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"

#include "table_text.hpp"

namespace skyloom::io {
namespace {

using Cells = std::vector<std::string_view>;

/// Reads records out of a text that it may rewrite: a quoted field with doubled quotes is
/// collapsed in place, so that every field is a view of the text and nothing is copied.
class CsvReader {
 public:
  CsvReader(std::string& text, std::string name)
      : begin_(text.data()), end_(text.data() + text.size()), at_(begin_), name_(std::move(name)) {
    if (text.starts_with("\xEF\xBB\xBF")) {
      at_ += 3;
    }
  }

  /// Fields of the next record; false at the end of the text.
  bool next(Cells& fields) {
    fields.clear();
    if (at_ == end_) {
      return false;
    }
    record_line_ = line_;
    while (true) {
      fields.push_back(*at_start() == '"' ? quoted() : plain());
      if (at_ == end_) {
        return true;
      }
      const char separator = *at_++;
      if (separator == '\n') {
        ++line_;
        return true;
      }
      if (separator == '\r') {
        if (at_ != end_ && *at_ == '\n') {
          ++at_;
        }
        ++line_;
        return true;
      }
    }
  }

  [[nodiscard]] std::string where() const {
    return name_ + " line " + std::to_string(record_line_);
  }

 private:
  [[nodiscard]] const char* at_start() const { return at_ == end_ ? "" : at_; }

  static bool ends_field(char c) { return c == ',' || c == '\n' || c == '\r'; }

  std::string_view plain() {
    const char* first = at_;
    while (at_ != end_ && !ends_field(*at_)) {
      ++at_;
    }
    return {first, static_cast<std::size_t>(at_ - first)};
  }

  std::string_view quoted() {
    ++at_;
    char* const first = at_;
    char* out = at_;
    while (true) {
      if (at_ == end_) {
        throw ConfigError(where(), "a quoted field does not end", "a closing quote");
      }
      if (*at_ == '"') {
        ++at_;
        if (at_ == end_ || *at_ != '"') {
          break;
        }
      }
      line_ += *at_ == '\n' ? 1 : 0;
      *out++ = *at_++;
    }
    if (at_ != end_ && !ends_field(*at_)) {
      throw ConfigError(where(), "text follows a closing quote", "a comma or the end of the line");
    }
    return {first, static_cast<std::size_t>(out - first)};
  }

  char* begin_;
  char* end_;
  char* at_;
  std::string name_;
  long line_ = 1;
  long record_line_ = 1;
};

bool is_blank(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c == ' ' || c == '\t'; });
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

bool to_integer(std::string_view text, std::int64_t& value) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  const bool canonical = !digits.empty() && (digits[0] != '0' || text == "0");
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return canonical && result.ec == std::errc{} && result.ptr == text.data() + text.size();
}

bool to_double(std::string_view text, double& value) {
  text = without_blanks(text);
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  // Beyond the range of a double from_chars leaves the value alone; such a cell is missing.
  if (result.ec == std::errc::result_out_of_range) {
    value = std::numeric_limits<double>::quiet_NaN();
    return result.ptr == text.data() + text.size();
  }
  return result.ec == std::errc{} && result.ptr == text.data() + text.size();
}

/// Digits that a double would not give back: an identifier rather than a quantity.
bool looks_like_identifier(std::string_view text) {
  text = without_blanks(text);
  const bool digits =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits && ((text.size() > 1 && text[0] == '0') || text.size() > 15);
}

bool as_integers(const Cells& cells, ColumnData& out) {
  std::vector<std::int64_t> values(cells.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (!to_integer(cells[i], values[i])) {
      return false;
    }
  }
  out = std::move(values);
  return true;
}

bool as_numbers(const Cells& cells, ColumnData& out) {
  std::vector<double> values(cells.size(), std::numeric_limits<double>::quiet_NaN());
  bool any = false;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (is_blank(cells[i])) {
      continue;
    }
    if (looks_like_identifier(cells[i]) || !to_double(cells[i], values[i])) {
      return false;
    }
    any = true;
  }
  out = std::move(values);
  return any;
}

bool as_booleans(const Cells& cells, ColumnData& out) {
  std::vector<std::uint8_t> values(cells.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells[i] != "True" && cells[i] != "False") {
      return false;
    }
    values[i] = cells[i] == "True" ? 1 : 0;
  }
  out = std::move(values);
  return true;
}

ColumnData as_texts(const Cells& cells) {
  std::vector<std::string> values;
  values.reserve(cells.size());
  for (const std::string_view cell : cells) {
    values.emplace_back(cell);
  }
  return values;
}

Type type_of_data(const ColumnData& data) {
  return static_cast<Type>(data.index());
}

std::vector<std::string> read_header(CsvReader& reader) {
  Cells header;
  if (!reader.next(header) || (header.size() == 1 && is_blank(header[0]))) {
    throw ConfigError(reader.where(), "has no header", "a first line with the column names");
  }
  std::vector<std::string> names;
  std::set<std::string_view> seen;
  for (const std::string_view name : header) {
    if (!seen.insert(name).second) {
      throw ConfigError(reader.where(), "column '" + std::string(name) + "' stands there twice",
                        "distinct column names");
    }
    names.emplace_back(name);
  }
  return names;
}

std::vector<Cells> read_rows(CsvReader& reader, std::size_t columns) {
  std::vector<Cells> out(columns);
  Cells fields;
  bool blank_before = false;
  while (reader.next(fields)) {
    const bool blank_line = fields.size() == 1 && is_blank(fields[0]);
    if (blank_line && columns > 1) {
      continue;
    }
    if (blank_before) {
      out[0].emplace_back();  // of a single column, a blank line in the middle is an empty cell
    }
    blank_before = blank_line;
    if (blank_line) {
      continue;
    }
    if (fields.size() != columns) {
      throw ConfigError(reader.where(), "has " + std::to_string(fields.size()) + " fields",
                        std::to_string(columns) + " as in the header");
    }
    for (std::size_t i = 0; i < columns; ++i) {
      out[i].push_back(fields[i]);
    }
  }
  return out;
}

std::string csv_cell(const Table& table, std::size_t row, std::size_t column) {
  const Column& what = table.columns()[column];
  if (!what.shape.empty()) {
    return quoted_cell(array_text(what, table.data(column), row, "NaN"));
  }
  const std::string text = table.cell_text(row, column);
  return what.type == Type::text ? quoted_cell(text) : text;
}

}  // namespace

std::string quoted_cell(std::string_view text) {
  if (text.find_first_of(",\"\n\r") == std::string_view::npos && !text.starts_with(' ') &&
      !text.ends_with(' ')) {
    return std::string(text);
  }
  std::string out = "\"";
  for (const char c : text) {
    out += c;
    if (c == '"') {
      out += c;
    }
  }
  return out + '"';
}

Table read_csv(const std::filesystem::path& path, const std::vector<std::string>& as_text) {
  return parse_csv(read_text(path), path, as_text);
}

Table parse_csv(std::string text, const std::filesystem::path& path,
                const std::vector<std::string>& as_text) {
  CsvReader reader(text, path.string());
  const std::vector<std::string> names = read_header(reader);
  const std::vector<Cells> cells = read_rows(reader, names.size());
  Table table(TableSchema{path.stem().string(), {}});
  table.add_rows(cells.front().size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const bool keep = std::any_of(as_text.begin(), as_text.end(), [&](const std::string& name) {
      return same_ignoring_case(name, names[i]);
    });
    ColumnData data;
    const bool typed =
        !keep && !cells[i].empty() &&
        (as_integers(cells[i], data) || as_booleans(cells[i], data) || as_numbers(cells[i], data));
    if (!typed) {
      data = as_texts(cells[i]);
    }
    const Type type = type_of_data(data);
    table.add_column(Column{names[i], type, "", ""}, std::move(data));
  }
  return table;
}

std::string comma_separated(const Table& table,
                            std::string (*cell)(const Table&, std::size_t, std::size_t)) {
  std::string out;
  const std::size_t columns = table.columns().size();
  for (std::size_t i = 0; i < columns; ++i) {
    out += (i == 0 ? "" : ",") + quoted_cell(table.columns()[i].name);
  }
  out += '\n';
  for (std::size_t row = 0; row < table.rows(); ++row) {
    for (std::size_t i = 0; i < columns; ++i) {
      if (i > 0) {
        out += ',';
      }
      out += cell(table, row, i);
    }
    out += '\n';
  }
  return out;
}

std::string csv_text(const Table& table) {
  return comma_separated(table, csv_cell);
}

}  // namespace skyloom::io
