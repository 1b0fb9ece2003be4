#include "fits_tiles.hpp"

#include <algorithm>
#include <span>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"

namespace skyloom::io {
namespace {

/// Compressed bytes that are read at a time.
constexpr std::size_t kPiece = std::size_t{1} << 20U;

std::optional<std::string> text_card(fitsfile* file, const std::string& keyword) {
  std::array<char, FLEN_VALUE> value{};
  int status = 0;
  fits_read_key(file, TSTRING, keyword.c_str(), value.data(), nullptr, &status);
  return status == 0 ? std::optional(trimmed(value.data())) : std::nullopt;
}

LONGLONG integer_card(fitsfile* file, const std::string& keyword, LONGLONG absent) {
  LONGLONG value = absent;
  int status = 0;
  fits_read_key(file, TLONGLONG, keyword.c_str(), &value, nullptr, &status);
  return status == 0 ? value : absent;
}

/// A parameter of the compression, from the pairs ZNAMEn, ZVALn.
LONGLONG compression_parameter(fitsfile* file, const std::string& name, LONGLONG absent) {
  for (int i = 1;; ++i) {
    const auto found = text_card(file, "ZNAME" + std::to_string(i));
    if (!found) {
      return absent;
    }
    if (*found == name) {
      return integer_card(file, "ZVAL" + std::to_string(i), absent);
    }
  }
}

bool has_column(fitsfile* file, const std::string& name) {
  int column = 0;
  int status = 0;
  std::string text = name;
  fits_get_colnum(file, CASEINSEN, text.data(), &column, &status);
  return status == 0;
}

/// Pixels per block of codes; 0 when the image is not what this file reads.
int rice_block(fitsfile* file, const std::filesystem::path& path, int width) {
  std::array<char, FLEN_FILENAME> type{};
  int status = 0;
  const bool plain = fits_url_type(file, type.data(), &status) == 0 &&
                     std::string(type.data()) == "file://" && !path.empty();
  const auto method = text_card(file, "ZCMPTYPE");
  constexpr LONGLONG kDefaultBytes = 4;
  constexpr LONGLONG kDefaultBlock = 32;
  const bool fits =
      plain && fits_is_compressed_image(file, &status) != 0 &&
      (method == "RICE_1" || method == "RICE_ONE") &&
      integer_card(file, "ZBITPIX", 0) == SHORT_IMG && integer_card(file, "ZNAXIS", 0) == 2 &&
      integer_card(file, "ZTILE1", width) == width && integer_card(file, "ZTILE2", 1) == 1 &&
      compression_parameter(file, "BYTEPIX", kDefaultBytes) == 2 && !has_column(file, "ZSCALE") &&
      !has_column(file, "ZZERO") && !has_column(file, "ZBLANK");
  const LONGLONG block = compression_parameter(file, "BLOCKSIZE", kDefaultBlock);
  return fits && block >= 1 && block <= kRiceBlockLimit ? static_cast<int>(block) : 0;
}

/// Where the tiles are in the file; empty when one is empty, larger than pixels can make it, or
/// outside.
std::vector<RiceTile> tile_places(fitsfile* file, int width, int height) {
  std::vector<LONGLONG> lengths(static_cast<std::size_t>(height));
  std::vector<LONGLONG> offsets(lengths.size());
  int column = 0;
  int status = 0;
  std::string name = "COMPRESSED_DATA";
  fits_get_colnum(file, CASEINSEN, name.data(), &column, &status);
  fits_read_descriptsll(file, column, 1, height, lengths.data(), offsets.data(), &status);
  LONGLONG header = 0;
  LONGLONG data = 0;
  LONGLONG end = 0;
  fits_get_hduaddrll(file, &header, &data, &end, &status);
  const LONGLONG table = integer_card(file, "NAXIS1", 0) * integer_card(file, "NAXIS2", 0);
  const LONGLONG heap = integer_card(file, "THEAP", table);
  if (status != 0 || heap < 0 || heap > end - data) {
    return {};
  }
  const LONGLONG room = end - data - heap;
  const LONGLONG longest = 4 * LONGLONG{width} + 64;
  std::vector<RiceTile> out;
  out.reserve(lengths.size());
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const bool inside = lengths[i] > 0 && lengths[i] <= longest && offsets[i] >= 0 &&
                        offsets[i] <= room && lengths[i] <= room - offsets[i];
    if (!inside) {
      return {};
    }
    out.push_back(
        {static_cast<std::size_t>(data + heap + offsets[i]), static_cast<std::size_t>(lengths[i])});
  }
  return out;
}

}  // namespace

std::optional<FitsTiles> FitsTiles::find(fitsfile* file, const std::filesystem::path& path,
                                         int width, int height) {
  // What is looked for in vain is no error of the file.
  fits_write_errmark();
  FitsTiles out;
  out.block_ = rice_block(file, path, width);
  if (out.block_ > 0) {
    out.tiles_ = tile_places(file, width, height);
  }
  fits_clear_errmark();
  if (out.tiles_.empty()) {
    return std::nullopt;
  }
  out.path_ = path.string();
  try {
    out.file_ = PosixFile(path, PosixFile::Mode::read);
  } catch (const FatalError& error) {
    throw ReadFailure(out.path_, "cannot be opened again", error.what());
  }
  return out;
}

void FitsTiles::read(int first_row, ImageView<std::int16_t> out) {
  for (int done = 0; done < out.height();) {
    int rows = 0;
    std::size_t bytes = 0;
    while (done + rows < out.height() && (rows == 0 || bytes < kPiece)) {
      bytes += tiles_[static_cast<std::size_t>(first_row + done + rows)].length;
      ++rows;
    }
    read_piece(first_row + done, out.sub({0, out.width(), done, done + rows}));
    done += rows;
  }
}

void FitsTiles::fetch(std::size_t at, std::size_t offset, std::size_t length) {
  const auto part = std::as_writable_bytes(std::span(bytes_)).subspan(at, length);
  std::size_t count = 0;
  try {
    count = file_.read(part, offset);
  } catch (const FatalError& error) {
    throw ReadFailure(path_, "its pixels cannot be read", error.what());
  }
  if (count != length) {
    throw ConfigError(path_, "is truncated", "a whole FITS file");
  }
}

void FitsTiles::read_piece(int first_row, ImageView<std::int16_t> out) {
  const auto wanted = std::span<const RiceTile>(tiles_).subspan(
      static_cast<std::size_t>(first_row), static_cast<std::size_t>(out.height()));
  std::size_t begin = wanted.front().offset;
  std::size_t end = 0;
  std::size_t sum = 0;
  for (const RiceTile& tile : wanted) {
    begin = std::min(begin, tile.offset);
    end = std::max(end, tile.offset + tile.length);
    sum += tile.length;
  }
  // Rows in order are neighbours in the heap; a heap in another order is read tile by tile.
  std::vector<RiceTile> places;
  places.reserve(wanted.size());
  if (end - begin < 2 * sum) {
    bytes_.resize(std::max(bytes_.size(), end - begin + kRiceMargin));
    fetch(0, begin, end - begin);
    for (const RiceTile& tile : wanted) {
      places.push_back({tile.offset - begin, tile.length});
    }
  } else {
    bytes_.resize(std::max(bytes_.size(), sum + kRiceMargin));
    std::size_t at = 0;
    for (const RiceTile& tile : wanted) {
      fetch(at, tile.offset, tile.length);
      places.push_back({at, tile.length});
      at += tile.length;
    }
  }
  const int good = decode_rice(bytes_, places, block_, out);
  if (good < out.height()) {
    throw ConfigError(path_, "row " + std::to_string(first_row + good) + " is damaged",
                      "as many compressed bytes as its pixels need");
  }
}

}  // namespace skyloom::io
