#include "skyloom/surveys/skycell_image.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/fits.hpp"
#include "skyloom/io/zarr.hpp"

namespace skyloom::surveys {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kPogson = 2.5 / std::numbers::ln10;
constexpr std::size_t kCard = 80;
constexpr std::size_t kKeyword = 8;

/// Value of a card from its tenth column on: a text without its quotes, or what stands before the
/// comment.
std::string card_value(const std::string& text) {
  const std::string value = trimmed(text);
  if (!value.starts_with('\'')) {
    return trimmed(value.substr(0, value.find('/')));
  }
  std::string out;
  for (std::size_t i = 1; i < value.size(); ++i) {
    if (value[i] == '\'') {
      if (i + 1 >= value.size() || value[i + 1] != '\'') {
        break;
      }
      ++i;
    }
    out += value[i];
  }
  return trimmed(out);
}

/// Cards of a header that is one text, with or without line ends.
std::map<std::string, std::string> parsed_cards(const std::string& cards) {
  std::map<std::string, std::string> out;
  constexpr std::string_view kHierarch = "HIERARCH";
  for (std::size_t at = 0; at + kCard <= cards.size(); at += kCard) {
    const std::string card = cards.substr(at, kCard);
    const std::size_t equals = card.find('=');
    if (card.starts_with(kHierarch) && equals != std::string::npos) {
      out.emplace(trimmed(card.substr(kHierarch.size(), equals - kHierarch.size())),
                  card_value(card.substr(equals + 1)));
    } else if (equals == kKeyword) {
      out.emplace(trimmed(card.substr(0, kKeyword)), card_value(card.substr(kKeyword + 1)));
    }
  }
  return out;
}

std::string without_line_ends(std::string text, const std::string& file) {
  text.erase(std::remove_if(text.begin(), text.end(),
                            [](char letter) { return letter == '\n' || letter == '\r'; }),
             text.end());
  if (text.size() % kCard != 0) {
    throw ConfigError(file, "attribute header has " + std::to_string(text.size()) + " characters",
                      "FITS cards of 80");
  }
  return text;
}

/// Number of a card as FITS writers spell it; NaN for anything else.
double card_number(std::string text) {
  std::replace(text.begin(), text.end(), 'D', 'E');
  return to_number(text);
}

}  // namespace

double AsinhScaling::counts(double v) const {
  return linear ? v : boffset + 2.0 * bsoften * std::sinh(v / kPogson);
}

bool undo_asinh(const AsinhScaling& scaling, double factor, std::span<float> values) {
  bool all_finite = true;
  for (float& value : values) {
    const bool was_nan = std::isnan(value);
    value = static_cast<float>(factor * scaling.counts(static_cast<double>(value)));
    all_finite = all_finite && (was_nan || std::isfinite(value));
  }
  return all_finite;
}

struct SkycellReader::Impl {
  SkycellPlane plane;
  SkycellHeader header;
  std::optional<io::FitsFile> fits;
  std::optional<io::ZarrArray> zarr;
  std::string zarr_cards;
  std::map<std::string, std::string> zarr_values;
  /// Of a mask of 16-bit integers in FITS: what turns stored integers into bits.
  std::optional<std::uint16_t> mask_flip;

  [[nodiscard]] std::optional<std::string> text(const std::string& keyword) const {
    if (fits) {
      return fits->text(keyword);
    }
    const auto found = zarr_values.find(keyword);
    return found == zarr_values.end() ? std::nullopt : std::optional(found->second);
  }
  [[nodiscard]] std::optional<double> number(const std::string& keyword) const {
    const auto value = text(keyword);
    return value ? std::optional(card_number(*value)) : std::nullopt;
  }

  /// The header of a tile-compressed image has its own names for what describes the image inside.
  [[nodiscard]] std::optional<double> image_number(const std::string& keyword) const {
    const auto inside = number("Z" + keyword);
    return inside ? inside : number(keyword);
  }

  void open_fits(const std::filesystem::path& path) {
    fits.emplace(path);
    if (!fits->is_complete()) {
      throw ConfigError(header.file, "is truncated", "a whole FITS file");
    }
    header.width = fits->width();
    header.height = fits->height();
    constexpr double kShort = 16.0;
    if (image_number("BITPIX") != kShort) {
      return;
    }
    const double bzero = number("BZERO").value_or(0.0);
    const double bscale = number("BSCALE").value_or(1.0);
    if (plane == SkycellPlane::mask) {
      // Unsigned integers are stored as signed ones, 32768 lower.
      constexpr std::uint16_t kSign = 0x8000;
      if (bscale == 1.0 && (bzero == 0.0 || bzero == kSign)) {
        mask_flip = bzero == 0.0 ? std::uint16_t{0} : kSign;
      }
    } else {
      StoredIntegers& integers = header.integers.emplace();
      integers.bzero = bzero;
      integers.bscale = bscale;
      if (!std::isfinite(integers.bzero) || !std::isfinite(integers.bscale)) {
        throw ConfigError(header.file, "bad BZERO or BSCALE", "finite numbers");
      }
      const auto blank = image_number("BLANK");
      if (blank && std::isfinite(*blank)) {
        integers.blank = static_cast<std::int64_t>(*blank);
      }
    }
  }

  void open_zarr(const std::filesystem::path& path) {
    zarr.emplace(path);
    header.width = zarr->width();
    header.height = zarr->height();
    header.rows_per_read = zarr->chunk_height();
    const auto cards = zarr->attribute("header");
    if (!cards && plane != SkycellPlane::mask) {
      throw ConfigError(header.file, "has no attribute header", "the FITS header of the array");
    }
    zarr_cards = without_line_ends(cards.value_or(""), header.file);
    zarr_values = parsed_cards(zarr_cards);
  }

  void read_cards() {
    if (plane == SkycellPlane::mask) {
      header.exptime_s = kNan;
      return;
    }
    header.exptime_s = number("EXPTIME").value_or(kNan);
    if (!std::isfinite(header.exptime_s) || header.exptime_s <= 0.0) {
      throw ConfigError(header.file, "bad or missing EXPTIME", "seconds above 0");
    }
    const auto boffset = number("BOFFSET");
    const auto bsoften = number("BSOFTEN");
    if (boffset.has_value() != bsoften.has_value()) {
      throw ConfigError(header.file,
                        boffset ? "BOFFSET without BSOFTEN" : "BSOFTEN without BOFFSET",
                        "both cards, or none in a linear image");
    }
    if (boffset) {
      header.scaling = {false, *boffset, *bsoften};
      if (!std::isfinite(*boffset) || !std::isfinite(*bsoften) || *bsoften <= 0.0) {
        throw ConfigError(header.file, "bad BOFFSET or BSOFTEN", "finite numbers, BSOFTEN above 0");
      }
    }
  }

  [[nodiscard]] Image<float> read_values(const Box& box) const {
    return fits ? fits->read(box) : zarr->read<float>(box);
  }

  [[nodiscard]] bool has_floats() const {
    return fits ? image_number("BITPIX").value_or(0.0) < 0.0 : !zarr->has_integers();
  }

  /// Integers of a mask; NaN of a mask of floats is 0.
  [[nodiscard]] Image<std::int64_t> read_bits(const Box& box) const {
    if (!has_floats()) {
      return fits ? fits->read_integers(box) : zarr->read<std::int64_t>(box);
    }
    const Image<float> values = read_values(box);
    Image<std::int64_t> out(box.width(), box.height());
    for (std::size_t i = 0; i < values.pixels().size(); ++i) {
      const float value = values.pixels()[i];
      constexpr float kSafe = 1e9F;
      if (!std::isnan(value) && (std::abs(value) > kSafe || value != std::floor(value))) {
        throw ConfigError(header.file, "holds " + shortest(value), "a mask of integers");
      }
      out.pixels()[i] = std::isnan(value) ? 0 : static_cast<std::int64_t>(value);
    }
    return out;
  }
};

SkycellReader::SkycellReader(const std::filesystem::path& path, SkycellFormat format,
                             SkycellPlane plane)
    : impl_(std::make_unique<Impl>()) {
  impl_->plane = plane;
  impl_->header.file = path.string();
  if (format == SkycellFormat::fits) {
    impl_->open_fits(path);
  } else {
    impl_->open_zarr(path);
  }
  impl_->read_cards();
}

SkycellReader::~SkycellReader() = default;
SkycellReader::SkycellReader(SkycellReader&&) noexcept = default;
SkycellReader& SkycellReader::operator=(SkycellReader&&) noexcept = default;

const SkycellHeader& SkycellReader::header() const {
  return impl_->header;
}

std::optional<std::string> SkycellReader::text(const std::string& keyword) const {
  return impl_->text(keyword);
}

std::string SkycellReader::wcs_cards() const {
  std::string cards = impl_->fits ? impl_->fits->cards() : impl_->zarr_cards;
  const std::pair<const char*, const char*> silent[] = {{"RADESYS", "RADESYS = 'FK5     '"},
                                                        {"LONPOLE", "LONPOLE = 180.0"}};
  for (const auto& [keyword, text] : silent) {
    if (!impl_->text(keyword)) {
      std::string card = text;
      card.resize(kCard, ' ');
      cards.insert(0, card);
    }
  }
  return cards;
}

void SkycellReader::check_sums() const {
  const std::filesystem::path file = impl_->header.file;
  if (impl_->fits && file.extension() != ".gz") {
    io::check_fits_sums(file);
  }
}

Image<float> SkycellReader::read_flux(const Box& box) const {
  const SkycellHeader& header = impl_->header;
  if (impl_->plane == SkycellPlane::mask) {
    throw FatalError(header.file + ": flux of a mask was asked for");
  }
  Image<float> out = impl_->read_values(box);
  const double per_second = 1.0 / header.exptime_s;
  const double factor =
      impl_->plane == SkycellPlane::variance ? per_second * per_second : per_second;
  if (!undo_asinh(header.scaling, factor, out.pixels())) {
    throw ConfigError(header.file, "a pixel becomes infinite",
                      "BSOFTEN and BOFFSET that belong to the pixels");
  }
  return out;
}

Image<std::uint16_t> SkycellReader::read_mask(const Box& box) const {
  const Image<std::int64_t> bits = impl_->read_bits(box);
  Image<std::uint16_t> out(box.width(), box.height());
  for (std::size_t i = 0; i < bits.pixels().size(); ++i) {
    const std::int64_t value = bits.pixels()[i];
    if (value < std::numeric_limits<std::int16_t>::min() ||
        value > std::numeric_limits<std::uint16_t>::max()) {
      throw ConfigError(impl_->header.file, "holds " + std::to_string(value), "masks of 16 bits");
    }
    out.pixels()[i] = static_cast<std::uint16_t>(value);
  }
  return out;
}

void SkycellReader::read_stored(int first_row, ImageView<std::int16_t> out) const {
  if (!impl_->header.integers) {
    throw FatalError(impl_->header.file + ": stored integers of another file were asked for");
  }
  impl_->fits->read_stored(first_row, out);
}

void SkycellReader::read_mask(int first_row, ImageView<std::uint16_t> out) const {
  if (!impl_->mask_flip) {
    const Image<std::uint16_t> bits =
        read_mask({0, out.width(), first_row, first_row + out.height()});
    for (int row = 0; row < out.height(); ++row) {
      std::copy_n(bits.view().row(row).begin(), out.width(), out.row(row).begin());
    }
    return;
  }
  // Signed and unsigned integers of one width may alias.
  auto* stored = reinterpret_cast<std::int16_t*>(out.data());
  impl_->fits->read_stored(first_row, {stored, out.width(), out.height(), out.stride()});
  for (int row = 0; row < out.height(); ++row) {
    for (std::uint16_t& bits : out.row(row)) {
      bits = static_cast<std::uint16_t>(bits ^ *impl_->mask_flip);
    }
  }
}

}  // namespace skyloom::surveys
