#pragma once
// Columnar tables: the description of a column (declared once; files, exports and docs derive from
// it), and a table of typed columns in memory. The same type carries what is read from CSV, FITS
// and HDF5, what units of work produce, and what is exported. Knows no files.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "skyloom/core/errors.hpp"

namespace skyloom {

/// The numbers are part of journals' keys: never renumber.
enum class Type : std::uint8_t { boolean, int32, int64, float32, float64, text, uint8, uint16 };

/// Numpy-like name of a type ("bool", "int32", ..., "text").
std::string_view to_string(Type type);

/// Bytes of one element in memory and in files; 0 for text, whose width is found when written.
std::size_t size_of(Type type);

/// What a column is: name, type, unit (VOUnit text, empty = dimensionless), meaning.
/// `shape` is the shape of one cell, slowest axis first; empty for a scalar.
struct Column {
  std::string name;
  Type type = Type::float64;
  std::string unit;
  std::string description;
  std::vector<std::size_t> shape = {};

  [[nodiscard]] std::size_t elements() const;
  friend bool operator==(const Column&, const Column&) = default;
};

/// A big array of known shape that units fill in place, part by part (docs/architecture.md,
/// "Slabs").
struct SlabArray {
  std::string name;  ///< path in the product, such as "white/image"
  Type type = Type::float32;
  std::vector<std::size_t> shape;  ///< slowest axis first
  std::string unit;
  std::string description;
  /// Level at which the finished array is compressed, 1 to 9; 0 = not at all.
  int deflate = 0;
  /// Side of the tiles that are compressed apart, in elements of the last two axes; 0 = 256.
  int tile = 0;

  friend bool operator==(const SlabArray&, const SlabArray&) = default;
};

struct TableSchema {
  std::string name;
  std::vector<Column> columns;

  friend bool operator==(const TableSchema&, const TableSchema&) = default;
};

/// Everything a stage writes: its tables and its big arrays.
struct Schema {
  std::vector<TableSchema> tables;
  std::vector<SlabArray> slabs;

  [[nodiscard]] const TableSchema& table(std::string_view name) const;
  [[nodiscard]] const SlabArray& slab(std::string_view name) const;
  friend bool operator==(const Schema&, const Schema&) = default;
};

/// Column values; booleans (0 and 1) and uint8 are both bytes.
using ColumnData = std::variant<std::vector<std::uint8_t>, std::vector<std::int32_t>,
                                std::vector<std::int64_t>, std::vector<float>, std::vector<double>,
                                std::vector<std::string>, std::vector<std::uint16_t>>;

/// The Type of a C++ type; of bytes it is boolean.
template <class T>
constexpr Type type_of() {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::uint8_t>) {
    return Type::boolean;
  } else if constexpr (std::is_same_v<T, std::int32_t>) {
    return Type::int32;
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return Type::int64;
  } else if constexpr (std::is_same_v<T, float>) {
    return Type::float32;
  } else if constexpr (std::is_same_v<T, double>) {
    return Type::float64;
  } else if constexpr (std::is_same_v<T, std::uint16_t>) {
    return Type::uint16;
  } else {
    static_assert(std::is_same_v<T, std::string>);
    return Type::text;
  }
}

/// Columns of equal length. A missing value is NaN, "" or, for integers and booleans, 0.
class Table {
 public:
  Table() = default;
  explicit Table(TableSchema schema);

  [[nodiscard]] const std::string& name() const { return schema_.name; }
  [[nodiscard]] const TableSchema& schema() const { return schema_; }
  [[nodiscard]] const std::vector<Column>& columns() const { return schema_.columns; }
  [[nodiscard]] std::size_t rows() const { return rows_; }
  void rename(std::string name) { schema_.name = std::move(name); }

  [[nodiscard]] bool has(std::string_view column) const;
  /// Position of a column. @throws FatalError when absent
  [[nodiscard]] std::size_t position(std::string_view column) const;
  /// Position of a column ignoring case and surrounding blanks, or npos.
  [[nodiscard]] std::size_t find_ignoring_case(std::string_view column) const;
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);

  [[nodiscard]] ColumnData& data(std::size_t position) { return data_[position]; }
  [[nodiscard]] const ColumnData& data(std::size_t position) const { return data_[position]; }
  [[nodiscard]] const ColumnData& data(std::string_view column) const {
    return data_[position(column)];
  }

  /// Values of a column, rows * elements long, whose C++ type must be exactly T.
  /// @throws FatalError when absent or of another type
  template <class T>
  [[nodiscard]] const std::vector<T>& get(std::string_view column) const {
    const auto* values = std::get_if<std::vector<T>>(&data_[position(column)]);
    if (values == nullptr) {
      throw FatalError("table " + schema_.name + ": column " + std::string(column) +
                       " has another type");
    }
    return *values;
  }
  template <class T>
  [[nodiscard]] std::vector<T>& get(std::string_view column) {
    return const_cast<std::vector<T>&>(std::as_const(*this).get<T>(column));
  }
  /// Any numeric column as doubles (NaN where text does not read as a number).
  [[nodiscard]] std::vector<double> numbers(std::string_view column) const;
  /// Any scalar column as text; numbers in shortest round-trip form, NaN as "".
  [[nodiscard]] std::vector<std::string> texts(std::string_view column) const;
  /// One scalar cell as text, formatted as `texts` does; booleans as "True" and "False".
  [[nodiscard]] std::string cell_text(std::size_t row, std::size_t position) const;

  /// Appends one row of missing values and returns its index.
  std::size_t add_row();
  void add_rows(std::size_t count);
  void truncate(std::size_t rows);
  void clear() { truncate(0); }

  /// Sets a scalar cell; numbers and booleans convert to the type of the column.
  void set(std::size_t row, std::string_view column, double value);
  void set(std::size_t row, std::string_view column, std::int64_t value);
  void set(std::size_t row, std::string_view column, int value) {
    set(row, column, static_cast<std::int64_t>(value));
  }
  void set(std::size_t row, std::string_view column, bool value) {
    set(row, column, static_cast<std::int64_t>(value));
  }
  void set(std::size_t row, std::string_view column, std::string_view value);
  void set(std::size_t row, std::string_view column, const char* value) {
    set(row, column, std::string_view(value));
  }
  /// Sets an array cell of `elements()` float32 or float64 values.
  void set(std::size_t row, std::string_view column, std::span<const float> values);
  void set(std::size_t row, std::string_view column, std::span<const double> values);

  /// Adds a column with its values (rows * elements), or missing values when `data` is empty.
  void add_column(Column column);
  void add_column(Column column, ColumnData data);
  /// Appends rows [first, last) of a table with the same columns.
  void append(const Table& other, std::size_t first, std::size_t last);
  void append(const Table& other) { append(other, 0, other.rows()); }

 private:
  TableSchema schema_;
  std::vector<ColumnData> data_;
  std::size_t rows_ = 0;
};

/// Shortest decimal text that reads back as the same number; "" for NaN.
std::string shortest(double value);
std::string shortest(float value);

/// Trimmed copy; ASCII upper-case copy; case-blind comparison of trimmed texts.
std::string trimmed(std::string_view text);
std::string upper(std::string_view text);
bool same_ignoring_case(std::string_view a, std::string_view b);

/// Full text as a number, or NaN.
double to_number(std::string_view text);

}  // namespace skyloom
