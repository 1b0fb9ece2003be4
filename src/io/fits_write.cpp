#include <algorithm>
#include <array>
#include <cmath>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/fits.hpp"

#include "fits_support.hpp"

namespace skyloom::io {
namespace {

/// A double as a FITS value that reads back as the same number.
std::string card_number(double value) {
  std::string text = upper(shortest(value));
  if (text.find_first_of(".E") == std::string::npos) {
    text += ".0";
  }
  return text;
}

void write_double(fitsfile* file, const std::string& keyword, double value, int& status) {
  if (!std::isfinite(value)) {
    fits_update_key_null(file, keyword.c_str(), nullptr, &status);
    return;
  }
  if (keyword.size() > 8) {
    constexpr int kAllDigits = -17;
    fits_update_key_dbl(file, keyword.c_str(), value, kAllDigits, nullptr, &status);
    return;
  }
  // CFITSIO's own formatting of doubles keeps fifteen digits.
  const std::string text = card_number(value);
  std::string card = upper(keyword);
  card.resize(8, ' ');
  card += "= " + std::string(text.size() < 20 ? 20 - text.size() : 0, ' ') + text;
  fits_update_card(file, keyword.c_str(), card.c_str(), &status);
}

std::string ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    c = byte < 0x20 || byte > 0x7E ? '?' : c;
  }
  return out;
}

std::size_t text_width(const std::vector<std::string>& values) {
  std::size_t width = 1;
  for (const std::string& value : values) {
    width = std::max(width, value.size());
  }
  return width;
}

char type_letter(Type type) {
  switch (type) {
    case Type::boolean:
      return 'L';
    case Type::int32:
      return 'J';
    case Type::int64:
      return 'K';
    case Type::float32:
      return 'E';
    case Type::float64:
      return 'D';
    case Type::text:
      return 'A';
    case Type::uint8:
      return 'B';
    case Type::uint16:
      return 'U';
  }
  throw FatalError("unknown column type");
}

int cfitsio_type(Type type) {
  switch (type) {
    case Type::boolean:
      return TLOGICAL;
    case Type::int32:
      return TINT;
    case Type::int64:
      return TLONGLONG;
    case Type::float32:
      return TFLOAT;
    case Type::float64:
      return TDOUBLE;
    case Type::text:
      return TSTRING;
    case Type::uint8:
      return TBYTE;
    case Type::uint16:
      return TUSHORT;
  }
  throw FatalError("unknown column type");
}

/// Width of every text column, 1 for the others.
std::vector<std::size_t> widths_of(const Table& table) {
  std::vector<std::size_t> widths(table.columns().size(), 1);
  for (std::size_t i = 0; i < widths.size(); ++i) {
    if (const auto* texts = std::get_if<std::vector<std::string>>(&table.data(i))) {
      widths[i] = text_width(*texts);
    }
  }
  return widths;
}

void create_table(fitsfile* file, const Table& table, const std::vector<std::size_t>& widths,
                  int& status) {
  std::vector<std::string> names;
  std::vector<std::string> forms;
  std::vector<std::string> units;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const Column& column = table.columns()[i];
    names.push_back(ascii(column.name));
    units.push_back(ascii(column.unit));
    forms.push_back(std::to_string(column.elements() * widths[i]) + type_letter(column.type));
    if (column.type == Type::text && !column.shape.empty()) {
      forms.back() += std::to_string(widths[i]);
    }
  }
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> out;
    out.reserve(texts.size());
    for (std::string& text : texts) {
      out.push_back(text.data());
    }
    return out;
  };
  fits_create_tbl(file, BINARY_TBL, static_cast<LONGLONG>(table.rows()),
                  static_cast<int>(widths.size()), pointers(names).data(), pointers(forms).data(),
                  pointers(units).data(), ascii(table.name()).c_str(), &status);
}

void describe_columns(fitsfile* file, const Table& table, const std::vector<std::size_t>& widths,
                      int& status) {
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const Column& column = table.columns()[i];
    const int number = static_cast<int>(i) + 1;
    if (!column.description.empty()) {
      const std::string keyword = "TCOMM" + std::to_string(number);
      fits_update_key_longstr(file, keyword.c_str(), ascii(column.description).c_str(), nullptr,
                              &status);
    }
    if (!column.shape.empty()) {
      std::vector<LONGLONG> sides(column.shape.rbegin(), column.shape.rend());
      if (column.type == Type::text) {
        sides.insert(sides.begin(), static_cast<LONGLONG>(widths[i]));
      }
      fits_write_tdimll(file, number, static_cast<int>(sides.size()), sides.data(), &status);
    }
  }
}

void write_texts(fitsfile* file, int number, LONGLONG first_row,
                 std::span<const std::string> values, int& status) {
  std::vector<std::string> clean;
  std::vector<char*> pointers;
  clean.reserve(values.size());
  for (const std::string& value : values) {
    pointers.push_back(clean.emplace_back(ascii(value)).data());
  }
  fits_write_col(file, TSTRING, number, first_row, 1, static_cast<LONGLONG>(values.size()),
                 pointers.data(), &status);
}

void write_part(fitsfile* file, int number, const Column& column, const ColumnData& data,
                std::size_t first_row, std::size_t rows, int& status) {
  const std::size_t offset = first_row * column.elements();
  const std::size_t count = rows * column.elements();
  const auto row = static_cast<LONGLONG>(first_row) + 1;
  std::visit(
      [&](const auto& values) {
        using T = typename std::decay_t<decltype(values)>::value_type;
        const auto part = std::span(values).subspan(offset, count);
        if constexpr (std::is_same_v<T, std::string>) {
          write_texts(file, number, row, part, status);
        } else {
          fits_write_col(file, cfitsio_type(column.type), number, row, 1,
                         static_cast<LONGLONG>(count), const_cast<T*>(part.data()), &status);
        }
      },
      data);
}

int write_table_hdu(fitsfile* file, const Table& table, const std::vector<FitsCard>& cards,
                    const std::vector<FitsCard>& primary) {
  int status = 0;
  if (!primary.empty()) {
    fits_create_img(file, BYTE_IMG, 0, nullptr, &status);
    write_cards(file, primary, status);
  }
  const std::vector<std::size_t> widths = widths_of(table);
  create_table(file, table, widths, status);
  describe_columns(file, table, widths, status);
  write_cards(file, cards, status);
  long block = 1;
  fits_get_rowsize(file, &block, &status);
  // Blocks of rows, so that each part of the file is visited once.
  const auto step = static_cast<std::size_t>(std::max(1L, block));
  for (std::size_t first = 0; first < table.rows() && status == 0; first += step) {
    const std::size_t rows = std::min(step, table.rows() - first);
    for (std::size_t i = 0; i < widths.size(); ++i) {
      write_part(file, static_cast<int>(i) + 1, table.columns()[i], table.data(i), first, rows,
                 status);
    }
  }
  return status;
}

}  // namespace

void write_cards(fitsfile* file, const std::vector<FitsCard>& cards, int& status) {
  for (const auto& [keyword, value] : cards) {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      LONGLONG number = *integer;
      fits_update_key(file, TLONGLONG, keyword.c_str(), &number, nullptr, &status);
    } else if (const auto* number = std::get_if<double>(&value)) {
      write_double(file, keyword, *number, status);
    } else if (const auto* logical = std::get_if<bool>(&value)) {
      int flag = *logical ? 1 : 0;
      fits_update_key(file, TLOGICAL, keyword.c_str(), &flag, nullptr, &status);
    } else if (keyword == "COMMENT") {
      fits_write_comment(file, std::get<std::string>(value).c_str(), &status);
    } else if (keyword == "HISTORY") {
      fits_write_history(file, std::get<std::string>(value).c_str(), &status);
    } else {
      constexpr std::size_t kOneCard = 68;
      if (std::get<std::string>(value).size() > kOneCard) {
        fits_write_key_longwarn(file, &status);
      }
      fits_update_key_longstr(file, keyword.c_str(), std::get<std::string>(value).c_str(), nullptr,
                              &status);
    }
  }
}

void write_fits_table(const std::filesystem::path& path, const Table& table,
                      const std::vector<FitsCard>& cards, const std::vector<FitsCard>& primary) {
  create_fits(path, [&](fitsfile* file) { return write_table_hdu(file, table, cards, primary); });
}

}  // namespace skyloom::io
