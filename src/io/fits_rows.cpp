#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string_view>

#include <zlib.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/fits.hpp"

namespace skyloom::io {
namespace {

constexpr std::size_t kBlock = 2880;
constexpr std::size_t kCard = 80;

struct GzCloser {
  void operator()(gzFile file) const { gzclose(file); }
};

struct Hdu {
  std::int64_t bitpix = 0;
  std::vector<std::int64_t> sides;
  std::int64_t groups = 1;
  std::int64_t parameters = 0;
  double bzero = 0.0;
  double bscale = 1.0;
  bool is_image = true;

  [[nodiscard]] std::int64_t data_bytes() const {
    std::int64_t elements = sides.empty() ? 0 : 1;
    for (const std::int64_t side : sides) {
      elements *= side;
    }
    return std::abs(bitpix) / 8 * groups * (parameters + elements);
  }
};

/// What the cards say of how the data unit is stored.
Hdu hdu_of(const std::string& header) {
  Hdu hdu;
  for (const auto& [keyword, value] : parse_fits_cards(header)) {
    if (const auto* text = std::get_if<std::string>(&value)) {
      hdu.is_image = hdu.is_image && (keyword != "XTENSION" || *text == "IMAGE");
      continue;
    }
    const auto* integer = std::get_if<std::int64_t>(&value);
    const auto* real = std::get_if<double>(&value);
    const std::int64_t whole = integer != nullptr ? *integer : 0;
    const double number = real != nullptr ? *real : static_cast<double>(whole);
    if (keyword == "BITPIX") {
      hdu.bitpix = whole;
    } else if (keyword == "NAXIS") {
      hdu.sides.assign(static_cast<std::size_t>(std::clamp<std::int64_t>(whole, 0, 999)), 0);
    } else if (keyword.starts_with("NAXIS")) {
      const double axis = to_number(keyword.substr(5));
      if (axis >= 1.0 && axis <= static_cast<double>(hdu.sides.size())) {
        hdu.sides[static_cast<std::size_t>(axis) - 1] = whole;
      }
    } else if (keyword == "PCOUNT") {
      hdu.parameters = whole;
    } else if (keyword == "GCOUNT") {
      hdu.groups = whole;
    } else if (keyword == "BZERO") {
      hdu.bzero = number;
    } else if (keyword == "BSCALE") {
      hdu.bscale = number;
    }
  }
  return hdu;
}

/// Big-endian integers of `bytes` bytes each; those of one byte have no sign.
std::int64_t stored_integer(const unsigned char* at, int bytes) {
  std::uint64_t bits = 0;
  for (int i = 0; i < bytes; ++i) {
    bits = bits << 8U | at[i];
  }
  if (bytes == 1) {
    return static_cast<std::int64_t>(bits);
  }
  const int unused = 64 - 8 * bytes;
  return static_cast<std::int64_t>(bits << unused) >> unused;
}

}  // namespace

std::vector<FitsCard> parse_fits_cards(std::string_view header) {
  std::vector<FitsCard> out;
  for (; header.size() >= kCard; header.remove_prefix(kCard)) {
    const std::string_view card = header.substr(0, kCard);
    const std::string keyword = trimmed(card.substr(0, 8));
    if (card.substr(8, 2) != "= ") {
      continue;
    }
    const std::string_view field = card.substr(10);
    const std::size_t quote = field.find('\'');
    if (quote != std::string_view::npos && trimmed(field.substr(0, quote)).empty()) {
      std::string text;
      for (std::size_t i = quote + 1; i < field.size(); ++i) {
        if (field[i] == '\'' && (i + 1 == field.size() || field[i + 1] != '\'')) {
          break;
        }
        i += field[i] == '\'' ? 1 : 0;
        text += field[i];
      }
      // Blanks at the end mean nothing, those at the beginning do.
      text.erase(text.find_last_not_of(' ') + 1);
      out.emplace_back(keyword, std::move(text));
      continue;
    }
    std::string value = upper(trimmed(field.substr(0, field.find('/'))));
    if (value == "T" || value == "F") {
      out.emplace_back(keyword, value == "T");
      continue;
    }
    std::replace(value.begin(), value.end(), 'D', 'E');
    const double number = to_number(value);
    constexpr double kExact = 9007199254740992.0;
    const bool is_integer = value.find_first_of(".E") == std::string::npos;
    if (std::isfinite(number) && is_integer && std::abs(number) <= kExact) {
      out.emplace_back(keyword, static_cast<std::int64_t>(number));
    } else if (std::isfinite(number)) {
      out.emplace_back(keyword, number);
    }
  }
  return out;
}

struct FitsRows::Impl {
  std::string path;
  int width = 0;
  int height = 0;
  int row = 0;
  std::string cards;
  // One of the two.
  std::unique_ptr<FitsFile> file;
  Image<std::int64_t> block;
  std::unique_ptr<gzFile_s, GzCloser> stream;
  int bytes = 0;
  std::int64_t zero = 0;
  std::vector<unsigned char> stored;

  void take(void* target, std::size_t count) {
    auto* at = static_cast<unsigned char*>(target);
    while (count > 0) {
      constexpr std::size_t kMost = std::size_t{1} << 30;
      const int got = gzread(stream.get(), at, static_cast<unsigned>(std::min(count, kMost)));
      if (got <= 0) {
        throw ConfigError(path, "ends too early or is damaged", "a whole file");
      }
      at += got;
      count -= static_cast<std::size_t>(got);
    }
  }

  Hdu take_header() {
    cards.clear();
    std::array<char, kBlock> block_of_cards{};
    for (bool is_open = true; is_open;) {
      take(block_of_cards.data(), block_of_cards.size());
      for (std::size_t i = 0; i < kBlock && is_open; i += kCard) {
        const std::string_view card(block_of_cards.data() + i, kCard);
        is_open = trimmed(card) != "END";
        if (is_open) {
          cards += card;
        }
      }
    }
    return hdu_of(cards);
  }

  void skip_data(const Hdu& hdu) {
    std::array<char, kBlock> unused{};
    for (std::int64_t left = hdu.data_bytes(); left > 0; left -= std::int64_t{kBlock}) {
      take(unused.data(), unused.size());
    }
  }

  void open_stream(int number) {
    stream.reset(gzopen(path.c_str(), "rb"));
    if (!stream) {
      throw ConfigError(path, "cannot be read", "a FITS file");
    }
    gzbuffer(stream.get(), 1U << 18U);
    Hdu hdu = take_header();
    for (int i = 0; i < number; ++i) {
      skip_data(hdu);
      hdu = take_header();
    }
    const bool is_integer =
        hdu.bitpix == 8 || hdu.bitpix == 16 || hdu.bitpix == 32 || hdu.bitpix == 64;
    const auto is_side = [](std::int64_t side) {
      return side > 0 && side <= std::numeric_limits<int>::max();
    };
    if (!hdu.is_image || hdu.sides.size() != 2 || !is_integer || hdu.bscale != 1.0 ||
        !std::all_of(hdu.sides.begin(), hdu.sides.end(), is_side)) {
      throw ConfigError(path, "HDU " + std::to_string(number) + " is something else",
                        "a two-dimensional image of integers with BSCALE = 1");
    }
    width = static_cast<int>(hdu.sides[0]);
    height = static_cast<int>(hdu.sides[1]);
    bytes = static_cast<int>(hdu.bitpix / 8);
    zero = static_cast<std::int64_t>(hdu.bzero);
    stored.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(bytes));
  }

  void open_file(int number) {
    file = std::make_unique<FitsFile>(path, number);
    width = file->width();
    height = file->height();
    cards = file->cards();
    if (width == 0 || file->planes() != 1) {
      throw ConfigError(path, "HDU " + std::to_string(number) + " is something else",
                        "a two-dimensional image of integers");
    }
  }

  [[nodiscard]] std::int64_t value(int x) {
    if (stream) {
      const auto at = static_cast<std::size_t>(x) * static_cast<std::size_t>(bytes);
      return stored_integer(stored.data() + at, bytes) + zero;
    }
    return block(row % kRows, x);
  }

  static constexpr int kRows = 64;  ///< that FitsFile is asked for at once
};

FitsRows::FitsRows(const std::filesystem::path& path, int hdu) : impl_(std::make_unique<Impl>()) {
  impl_->path = path.string();
  if (!std::filesystem::is_regular_file(path)) {
    throw ConfigError(impl_->path, "does not exist", "a FITS file");
  }
  if (path.extension() == ".gz") {
    impl_->open_stream(hdu);
  } else {
    impl_->open_file(hdu);
  }
}

FitsRows::~FitsRows() = default;
FitsRows::FitsRows(FitsRows&&) noexcept = default;
FitsRows& FitsRows::operator=(FitsRows&&) noexcept = default;

int FitsRows::width() const {
  return impl_->width;
}
int FitsRows::height() const {
  return impl_->height;
}

const std::string& FitsRows::cards() const {
  return impl_->cards;
}

void FitsRows::next(std::span<std::int32_t> values) {
  Impl& in = *impl_;
  if (in.row >= in.height || values.size() != static_cast<std::size_t>(in.width)) {
    throw FatalError(in.path + ": rows outside the image were asked for");
  }
  if (in.stream) {
    in.take(in.stored.data(), in.stored.size());
  } else if (in.row % Impl::kRows == 0) {
    in.block =
        in.file->read_integers({0, in.width, in.row, std::min(in.row + Impl::kRows, in.height)});
  }
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  for (int x = 0; x < in.width; ++x) {
    const std::int64_t value = in.value(x);
    if (value > kMost || value < -kMost - 1) {
      throw ConfigError(in.path, "has the number " + std::to_string(value), "integers of 32 bits");
    }
    values[static_cast<std::size_t>(x)] = static_cast<std::int32_t>(value);
  }
  ++in.row;
}

}  // namespace skyloom::io
