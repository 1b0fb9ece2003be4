#include "skyloom/core/table.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

namespace skyloom {
namespace {

template <class T>
T missing() {
  if constexpr (std::is_floating_point_v<T>) {
    return std::numeric_limits<T>::quiet_NaN();
  } else {
    return T{};
  }
}

ColumnData empty_data(Type type) {
  switch (type) {
    case Type::boolean:
      return std::vector<std::uint8_t>{};
    case Type::int32:
      return std::vector<std::int32_t>{};
    case Type::int64:
      return std::vector<std::int64_t>{};
    case Type::float32:
      return std::vector<float>{};
    case Type::float64:
      return std::vector<double>{};
    case Type::text:
      return std::vector<std::string>{};
    case Type::uint8:
      return std::vector<std::uint8_t>{};
    case Type::uint16:
      return std::vector<std::uint16_t>{};
  }
  throw FatalError("unknown column type");
}

void resize(ColumnData& data, std::size_t size) {
  std::visit(
      [size](auto& values) {
        using T = typename std::decay_t<decltype(values)>::value_type;
        values.resize(size, missing<T>());
      },
      data);
}

template <class Number>
void set_number(ColumnData& data, std::size_t at, Number value) {
  std::visit(
      [&](auto& values) {
        using T = typename std::decay_t<decltype(values)>::value_type;
        if constexpr (std::is_same_v<T, std::string>) {
          values[at] = shortest(static_cast<double>(value));
        } else {
          values[at] = static_cast<T>(value);
        }
      },
      data);
}

template <class Number>
void set_array(ColumnData& data, std::size_t first, std::span<const Number> values) {
  std::visit(
      [&](auto& target) {
        using T = typename std::decay_t<decltype(target)>::value_type;
        if constexpr (std::is_floating_point_v<T>) {
          for (std::size_t i = 0; i < values.size(); ++i) {
            target[first + i] = static_cast<T>(values[i]);
          }
        } else {
          throw FatalError("array cells must be floating-point columns");
        }
      },
      data);
}

template <class Float>
std::string shortest_text(Float value) {
  if (std::isnan(value)) {
    return {};
  }
  std::array<char, 32> buffer{};
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), result.ptr};
}

}  // namespace

std::string_view to_string(Type type) {
  switch (type) {
    case Type::boolean:
      return "bool";
    case Type::int32:
      return "int32";
    case Type::int64:
      return "int64";
    case Type::float32:
      return "float32";
    case Type::float64:
      return "float64";
    case Type::text:
      return "text";
    case Type::uint8:
      return "uint8";
    case Type::uint16:
      return "uint16";
  }
  return "unknown";
}

std::size_t size_of(Type type) {
  switch (type) {
    case Type::boolean:
    case Type::uint8:
      return 1;
    case Type::uint16:
      return 2;
    case Type::int32:
    case Type::float32:
      return 4;
    case Type::int64:
    case Type::float64:
      return 8;
    case Type::text:
      return 0;
  }
  return 0;
}

std::size_t Column::elements() const {
  std::size_t product = 1;
  for (const std::size_t side : shape) {
    product *= side;
  }
  return product;
}

const TableSchema& Schema::table(std::string_view name) const {
  for (const TableSchema& table : tables) {
    if (table.name == name) {
      return table;
    }
  }
  throw FatalError("no table " + std::string(name) + " in the schema");
}

const SlabArray& Schema::slab(std::string_view name) const {
  for (const SlabArray& slab : slabs) {
    if (slab.name == name) {
      return slab;
    }
  }
  throw FatalError("no slab array " + std::string(name) + " in the schema");
}

Table::Table(TableSchema schema) : schema_(std::move(schema)) {
  data_.reserve(schema_.columns.size());
  for (const Column& column : schema_.columns) {
    data_.push_back(empty_data(column.type));
  }
}

bool Table::has(std::string_view column) const {
  return std::any_of(schema_.columns.begin(), schema_.columns.end(),
                     [&](const Column& c) { return c.name == column; });
}

std::size_t Table::position(std::string_view column) const {
  for (std::size_t i = 0; i < schema_.columns.size(); ++i) {
    if (schema_.columns[i].name == column) {
      return i;
    }
  }
  throw FatalError("table " + schema_.name + ": no column " + std::string(column));
}

std::size_t Table::find_ignoring_case(std::string_view column) const {
  for (std::size_t i = 0; i < schema_.columns.size(); ++i) {
    if (same_ignoring_case(schema_.columns[i].name, column)) {
      return i;
    }
  }
  return npos;
}

std::vector<double> Table::numbers(std::string_view column) const {
  std::vector<double> out;
  std::visit(
      [&out](const auto& values) {
        using T = typename std::decay_t<decltype(values)>::value_type;
        out.reserve(values.size());
        for (const auto& value : values) {
          if constexpr (std::is_same_v<T, std::string>) {
            out.push_back(to_number(value));
          } else {
            out.push_back(static_cast<double>(value));
          }
        }
      },
      data_[position(column)]);
  return out;
}

std::vector<std::string> Table::texts(std::string_view column) const {
  const std::size_t at = position(column);
  std::vector<std::string> out;
  out.reserve(rows_);
  for (std::size_t row = 0; row < rows_; ++row) {
    out.push_back(cell_text(row, at));
  }
  return out;
}

std::string Table::cell_text(std::size_t row, std::size_t position) const {
  const bool is_boolean = schema_.columns[position].type == Type::boolean;
  return std::visit(
      [&](const auto& values) -> std::string {
        using T = typename std::decay_t<decltype(values)>::value_type;
        if constexpr (std::is_same_v<T, std::string>) {
          return values[row];
        } else if constexpr (std::is_floating_point_v<T>) {
          return shortest(values[row]);
        } else {
          return !is_boolean ? std::to_string(values[row]) : values[row] != 0 ? "True" : "False";
        }
      },
      data_[position]);
}

std::size_t Table::add_row() {
  add_rows(1);
  return rows_ - 1;
}

void Table::add_rows(std::size_t count) {
  truncate(rows_ + count);
}

void Table::truncate(std::size_t rows) {
  rows_ = rows;
  for (std::size_t i = 0; i < data_.size(); ++i) {
    resize(data_[i], rows * schema_.columns[i].elements());
  }
}

void Table::set(std::size_t row, std::string_view column, double value) {
  set_number(data_[position(column)], row, value);
}

void Table::set(std::size_t row, std::string_view column, std::int64_t value) {
  set_number(data_[position(column)], row, value);
}

void Table::set(std::size_t row, std::string_view column, std::string_view value) {
  auto* texts = std::get_if<std::vector<std::string>>(&data_[position(column)]);
  if (texts == nullptr) {
    throw FatalError("table " + schema_.name + ": column " + std::string(column) + " is no text");
  }
  (*texts)[row] = value;
}

void Table::set(std::size_t row, std::string_view column, std::span<const float> values) {
  const std::size_t at = position(column);
  set_array(data_[at], row * schema_.columns[at].elements(), values);
}

void Table::set(std::size_t row, std::string_view column, std::span<const double> values) {
  const std::size_t at = position(column);
  set_array(data_[at], row * schema_.columns[at].elements(), values);
}

void Table::add_column(Column column) {
  ColumnData data = empty_data(column.type);
  resize(data, rows_ * column.elements());
  add_column(std::move(column), std::move(data));
}

void Table::add_column(Column column, ColumnData data) {
  const std::size_t size = std::visit([](const auto& values) { return values.size(); }, data);
  if (data.index() != empty_data(column.type).index()) {
    throw FatalError("table " + schema_.name + ": values of column " + column.name +
                     " have another type");
  }
  if (schema_.columns.empty()) {
    rows_ = size / column.elements();
  }
  if (size != rows_ * column.elements()) {
    throw FatalError("table " + schema_.name + ": column " + column.name + " has another length");
  }
  schema_.columns.push_back(std::move(column));
  data_.push_back(std::move(data));
}

void Table::append(const Table& other, std::size_t first, std::size_t last) {
  for (std::size_t i = 0; i < data_.size(); ++i) {
    const std::size_t elements = schema_.columns[i].elements();
    std::visit(
        [&](auto& target) {
          const auto& source = std::get<std::decay_t<decltype(target)>>(other.data_[i]);
          target.insert(target.end(),
                        source.begin() + static_cast<std::ptrdiff_t>(first * elements),
                        source.begin() + static_cast<std::ptrdiff_t>(last * elements));
        },
        data_[i]);
  }
  rows_ += last - first;
}

std::string shortest(double value) {
  return shortest_text(value);
}

std::string shortest(float value) {
  return shortest_text(value);
}

std::string trimmed(std::string_view text) {
  const auto blank = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && blank(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && blank(text.back())) {
    text.remove_suffix(1);
  }
  return std::string(text);
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return upper(trimmed(a)) == upper(trimmed(b));
}

double to_number(std::string_view text) {
  const std::string clean = trimmed(text);
  const char* begin = clean.data();
  const char* end = begin + clean.size();
  if (begin != end && *begin == '+') {
    ++begin;
  }
  double value = 0.0;
  const auto result = std::from_chars(begin, end, value);
  if (begin == end || result.ec != std::errc{} || result.ptr != end) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return value;
}

}  // namespace skyloom
