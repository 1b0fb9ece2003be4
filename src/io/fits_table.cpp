#include <algorithm>
#include <array>
#include <limits>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/fits.hpp"

#include "fits_support.hpp"

namespace skyloom::io {
namespace {

constexpr int kMaxAxes = 9;

/// How one column of a FITS table is read.
struct Source {
  int number = 0;  ///< 1-based as CFITSIO counts
  int cfitsio_type = 0;
  long text_width = 0;    ///< characters per element of a text column
  bool is_ascii = false;  ///< of an ASCII table
};

std::string card(fitsfile* file, const std::string& keyword) {
  std::array<char, FLEN_VALUE> value{};
  int status = 0;
  fits_write_errmark();
  fits_read_key(file, TSTRING, keyword.c_str(), value.data(), nullptr, &status);
  fits_clear_errmark();
  return status == 0 ? trimmed(value.data()) : std::string();
}

/// Our type for a column, and the type CFITSIO converts to; nullopt for those left out.
std::optional<std::pair<Type, int>> types_of(int code) {
  switch (code) {
    case TBIT:
    case TLOGICAL:
      return std::pair{Type::boolean, TLOGICAL};
    case TBYTE:
    case TSBYTE:
    case TSHORT:
    case TUSHORT:
    case TINT:
    case TLONG:
      return std::pair{Type::int32, TINT};
    case TUINT:
    case TULONG:
    case TLONGLONG:
      return std::pair{Type::int64, TLONGLONG};
    case TFLOAT:
      return std::pair{Type::float32, TFLOAT};
    case TDOUBLE:
      return std::pair{Type::float64, TDOUBLE};
    case TSTRING:
      return std::pair{Type::text, TSTRING};
    default:
      return std::nullopt;
  }
}

std::vector<std::size_t> cell_shape(fitsfile* file, int number, bool is_text, long elements,
                                    const std::string& name) {
  int axes = 0;
  std::array<LONGLONG, kMaxAxes> sides{};
  int status = 0;
  fits_read_tdimll(file, number, kMaxAxes, &axes, sides.data(), &status);
  check_read(status, name, "column " + std::to_string(number) + " has an unreadable TDIM");
  // The first axis of a text array is the width of its texts.
  const int first = is_text ? 1 : 0;
  std::vector<std::size_t> shape;
  if (elements == 1 && axes - first <= 1) {
    return shape;
  }
  for (int axis = std::min(axes, kMaxAxes) - 1; axis >= first; --axis) {
    shape.push_back(static_cast<std::size_t>(sides[static_cast<std::size_t>(axis)]));
  }
  if (shape.empty()) {
    shape.push_back(static_cast<std::size_t>(elements));
  }
  return shape;
}

std::optional<std::pair<Column, Source>> describe(fitsfile* file, int number,
                                                  const std::string& name) {
  const std::string index = std::to_string(number);
  int code = 0;
  long repeat = 0;
  long width = 0;
  int status = 0;
  fits_get_eqcoltype(file, number, &code, &repeat, &width, &status);
  check_read(status, name, "column " + index + " has an unreadable type");
  const auto types = types_of(code);
  if (!types || repeat == 0) {
    return std::nullopt;
  }
  Column column;
  column.type = types->first;
  column.name = card(file, "TTYPE" + index);
  if (column.name.empty()) {
    column.name = "column" + index;
  }
  column.unit = card(file, "TUNIT" + index);
  column.description = card(file, "TCOMM" + index);
  const bool is_text = column.type == Type::text;
  const long elements = is_text ? std::max(1L, repeat / std::max(1L, width)) : repeat;
  column.shape = cell_shape(file, number, is_text, elements, name);
  return std::pair{std::move(column), Source{number, types->second, is_text ? width : 0}};
}

void read_texts(fitsfile* file, const Source& source, LONGLONG first_row, std::size_t count,
                std::string* out, int& status) {
  const auto width = static_cast<std::size_t>(source.text_width) + 1;
  std::vector<char> characters(count * width);
  std::vector<char*> pointers(count);
  for (std::size_t i = 0; i < count; ++i) {
    pointers[i] = characters.data() + i * width;
  }
  fits_read_col(file, TSTRING, source.number, first_row, 1, static_cast<LONGLONG>(count), nullptr,
                pointers.data(), nullptr, &status);
  if (status == 0) {
    std::transform(pointers.begin(), pointers.end(), out,
                   [](const char* text) { return trimmed(text); });
  }
}

/// Reads `count` elements beginning with row `first_row` (0-based) into the column.
void read_part(fitsfile* file, const Source& source, LONGLONG first_row, std::size_t offset,
               std::size_t count, ColumnData& data, int& status) {
  std::visit(
      [&](auto& values) {
        using T = typename std::decay_t<decltype(values)>::value_type;
        if constexpr (std::is_same_v<T, std::string>) {
          read_texts(file, source, first_row + 1, count, values.data() + offset, status);
        } else {
          // Binary floating-point cells keep their own NaN; blank cells exist in ASCII tables only.
          T blank = std::numeric_limits<T>::quiet_NaN();
          const bool ask = source.is_ascii && std::is_floating_point_v<T>;
          fits_read_col(file, source.cfitsio_type, source.number, first_row + 1, 1,
                        static_cast<LONGLONG>(count), ask ? &blank : nullptr,
                        values.data() + offset, nullptr, &status);
        }
      },
      data);
}

bool is_wanted(const std::string& column, const std::vector<std::string>& only) {
  return only.empty() || std::any_of(only.begin(), only.end(), [&](const std::string& name) {
           return same_ignoring_case(name, column);
         });
}

}  // namespace

Table read_fits_table(const std::filesystem::path& path, int hdu,
                      const std::vector<std::string>& only) {
  const std::string name = path.string();
  const FitsHandle handle = open_fits(path);
  fitsfile* file = handle.get();
  const int position = hdu < 0 ? first_table(file, name) : hdu;
  const int type = move_to(file, position, name);
  if (type == IMAGE_HDU) {
    throw ConfigError(name, "HDU " + std::to_string(position) + " is an image", "a table HDU");
  }
  int status = 0;
  int columns = 0;
  LONGLONG rows = 0;
  long block = 0;
  fits_get_num_cols(file, &columns, &status);
  fits_get_num_rowsll(file, &rows, &status);
  fits_get_rowsize(file, &block, &status);
  check_read(status, name, "its table cannot be read");

  const std::string extension = card(file, "EXTNAME");
  Table table(TableSchema{extension.empty() ? path.stem().string() : extension, {}});
  table.add_rows(static_cast<std::size_t>(rows));
  std::vector<Source> sources;
  for (int number = 1; number <= columns; ++number) {
    auto found = describe(file, number, name);
    if (found && is_wanted(found->first.name, only)) {
      table.add_column(std::move(found->first));
      sources.push_back(found->second);
      sources.back().is_ascii = type == ASCII_TBL;
    }
  }
  for (LONGLONG first = 0; first < rows; first += block) {
    const auto count = static_cast<std::size_t>(std::min<LONGLONG>(block, rows - first));
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const std::size_t elements = table.columns()[i].elements();
      read_part(file, sources[i], first, static_cast<std::size_t>(first) * elements,
                count * elements, table.data(i), status);
      check_read(status, name, "column " + table.columns()[i].name + " cannot be read");
    }
  }
  return table;
}

}  // namespace skyloom::io
