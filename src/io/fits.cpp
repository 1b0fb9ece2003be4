#include "skyloom/io/fits.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "skyloom/core/errors.hpp"

#include "fits_floats.hpp"
#include "fits_support.hpp"
#include "fits_tiles.hpp"

namespace skyloom::io {
namespace {

constexpr int kMaxAxes = 9;

struct Shape {
  int axes = 0;
  int bits = 0;  ///< BITPIX
  std::array<long, kMaxAxes> sides{};
};

/// Axes of the current image HDU (of the image inside when it is tile-compressed).
Shape image_shape(fitsfile* file, const std::string& name) {
  Shape shape;
  int status = 0;
  fits_get_img_param(file, kMaxAxes, &shape.bits, &shape.axes, shape.sides.data(), &status);
  check_read(status, name, "the shape of its image cannot be read");
  return shape;
}

int find_image(fitsfile* file, const std::string& name) {
  return first_hdu(file, name, {"image", "an HDU with a 2-D image", [&](int type) {
                                  return type == IMAGE_HDU && image_shape(file, name).axes == 2;
                                }});
}

/// Bytes of the data unit without padding, from the cards that describe it in the file itself.
long long data_bytes(fitsfile* file) {
  const auto integer = [&](const std::string& keyword, long long absent) {
    LONGLONG value = absent;
    int status = 0;
    fits_read_key(file, TLONGLONG, keyword.c_str(), &value, nullptr, &status);
    return status == 0 ? static_cast<long long>(value) : absent;
  };
  fits_write_errmark();
  const long long axes = integer("NAXIS", 0);
  long long elements = axes > 0 ? 1 : 0;
  for (long long axis = 1; axis <= axes; ++axis) {
    elements *= integer("NAXIS" + std::to_string(axis), 0);
  }
  const long long bytes = std::llabs(integer("BITPIX", 8)) / 8 * integer("GCOUNT", 1) *
                          (integer("PCOUNT", 0) + elements);
  fits_clear_errmark();
  return bytes;
}

/// nullopt when the card is absent, "" when it has no value.
std::optional<std::string> card_text(fitsfile* file, const std::string& keyword,
                                     const std::string& name) {
  int status = 0;
  char* value = nullptr;
  fits_write_errmark();
  fits_read_key_longstr(file, keyword.c_str(), &value, nullptr, &status);
  fits_clear_errmark();
  std::optional<std::string> out;
  if (status == 0) {
    out = trimmed(value);
  } else if (status == VALUE_UNDEFINED) {
    out = "";
  }
  if (value != nullptr) {
    int freed = 0;
    fits_free_memory(value, &freed);
  }
  if (!out && status != KEY_NO_EXIST) {
    throw ConfigError(name, "card " + keyword + " cannot be read", fits_message(status));
  }
  return out;
}

}  // namespace

struct FitsFile::Impl {
  FitsHandle file;
  std::string path;
  int hdu = 0;
  bool is_image = false;
  int axes = 0;
  long width = 0;
  long height = 0;
  long planes = 0;
  int bits = 0;                    ///< BITPIX of the image
  bool knows_tiles = false;        ///< whether `tiles` has been looked for
  std::optional<FitsTiles> tiles;  ///< where they can be read past CFITSIO
  bool knows_floats = false;
  std::optional<FitsFloats> floats;

  void describe_image() {
    const Shape shape = image_shape(file.get(), path);
    axes = shape.axes;
    bits = shape.bits;
    if (axes < 1) {
      return;
    }
    // The last two axes of numpy's order are the first two here.
    width = shape.sides[0];
    height = axes > 1 ? shape.sides[1] : 1;
    planes = 1;
    for (int axis = 2; axis < axes; ++axis) {
      planes *= shape.sides[static_cast<std::size_t>(axis)];
    }
    constexpr long kMost = std::numeric_limits<int>::max();
    if (width > kMost || height > kMost || planes > kMost) {
      throw ConfigError(path, "its image is too large", "sides below 2^31");
    }
  }

  template <class Read>
  auto in_primary(Read read) {
    int status = 0;
    fits_movabs_hdu(file.get(), 1, nullptr, &status);
    check_read(status, path, "its primary HDU cannot be read");
    auto result = read();
    fits_movabs_hdu(file.get(), hdu + 1, nullptr, &status);
    check_read(status, path, "HDU " + std::to_string(hdu) + " cannot be read");
    return result;
  }

  /// @param type CFITSIO's code of T   @param blank what blank pixels become, null = as stored
  template <class T>
  Image<T> read(const Box& box, int plane, int type, T* blank) {
    if (!has(box, plane)) {
      throw FatalError(path + ": pixels outside the image were asked for");
    }
    Image<T> out(box.width(), box.height());
    std::array<long, kMaxAxes> first{};
    std::array<long, kMaxAxes> last{};
    std::array<long, kMaxAxes> step{};
    first.fill(1);
    last.fill(1);
    step.fill(1);
    first[0] = box.x0 + 1;
    last[0] = box.x1;
    first[1] = box.y0 + 1;
    last[1] = box.y1;
    first[2] = last[2] = plane + 1;
    int any_blank = 0;
    int status = 0;
    fits_clear_errmsg();
    fits_read_subset(file.get(), type, first.data(), last.data(), step.data(), blank,
                     out.pixels().data(), &any_blank, &status);
    check_read(status, path, "its pixels cannot be read");
    return out;
  }

  /// Through CFITSIO, for files that are stored in another way.
  void read_unscaled(int first_row, ImageView<std::int16_t> out) {
    int status = 0;
    fits_write_errmark();
    const auto factor = [&](const char* keyword, double absent) {
      double value = absent;
      int missing = 0;
      fits_read_key(file.get(), TDOUBLE, keyword, &value, nullptr, &missing);
      return missing == 0 ? value : absent;
    };
    const double bzero = factor("BZERO", 0.0);
    const double bscale = factor("BSCALE", 1.0);
    fits_clear_errmark();
    fits_set_bscale(file.get(), 1.0, 0.0, &status);
    for (int row = 0; row < out.height(); ++row) {
      std::array<long, 2> first{1, first_row + row + 1};
      int any_blank = 0;
      fits_read_pix(file.get(), TSHORT, first.data(), out.width(), nullptr, out.row(row).data(),
                    &any_blank, &status);
    }
    int restored = 0;
    fits_set_bscale(file.get(), bscale, bzero, &restored);
    check_read(status, path, "its pixels cannot be read");
    check_read(restored, path, "its BSCALE and BZERO cannot be used");
  }

  [[nodiscard]] bool has(const Box& box, int plane) const {
    return !box.empty() && box.x0 >= 0 && box.y0 >= 0 && box.x1 <= width && box.y1 <= height &&
           plane >= 0 && plane < planes;
  }

  Image<float> read_float(const Box& box, int plane) {
    if (!knows_floats) {
      floats = FitsFloats::find(file.get(), path, width, height);
      knows_floats = true;
    }
    if (floats && has(box, plane)) {
      Image<float> out(box.width(), box.height());
      floats->read(box, plane, out.view());
      return out;
    }
    float blank = std::numeric_limits<float>::quiet_NaN();
    return read<float>(box, plane, TFLOAT, &blank);
  }
};

FitsFile::FitsFile(const std::filesystem::path& path, int hdu) : impl_(std::make_unique<Impl>()) {
  impl_->path = path.string();
  impl_->file = open_fits(path);
  fitsfile* file = impl_->file.get();
  if (hdu < 0) {
    impl_->hdu = find_image(file, impl_->path);
    impl_->is_image = true;
  } else {
    impl_->is_image = move_to(file, hdu, impl_->path) == IMAGE_HDU;
    impl_->hdu = hdu;
  }
  if (impl_->is_image) {
    impl_->describe_image();
  }
  if (impl_->axes > 3) {
    throw ConfigError(impl_->path, "its image has " + std::to_string(impl_->axes) + " axes",
                      "two or three");
  }
}

FitsFile::~FitsFile() = default;
FitsFile::FitsFile(FitsFile&&) noexcept = default;
FitsFile& FitsFile::operator=(FitsFile&&) noexcept = default;

const std::string& FitsFile::path() const {
  return impl_->path;
}
int FitsFile::hdu() const {
  return impl_->hdu;
}
int FitsFile::width() const {
  return static_cast<int>(impl_->width);
}
int FitsFile::height() const {
  return static_cast<int>(impl_->height);
}
int FitsFile::planes() const {
  return static_cast<int>(impl_->planes);
}

int FitsFile::hdu_count() const {
  int count = 0;
  int status = 0;
  fits_get_num_hdus(impl_->file.get(), &count, &status);
  check_read(status, impl_->path, "its HDUs cannot be counted");
  return count;
}

std::optional<std::string> FitsFile::text(const std::string& keyword) const {
  fitsfile* file = impl_->file.get();
  auto value = card_text(file, keyword, impl_->path);
  if (!value && impl_->hdu != 0) {
    value = impl_->in_primary([&] { return card_text(file, keyword, impl_->path); });
  }
  return value;
}

std::optional<double> FitsFile::number(const std::string& keyword) const {
  const auto value = text(keyword);
  if (!value) {
    return std::nullopt;
  }
  // Fortran writers use D exponents; a logical card counts as 0 or 1.
  std::string digits = upper(*value);
  if (digits == "T" || digits == "F") {
    return digits == "T" ? 1.0 : 0.0;
  }
  std::replace(digits.begin(), digits.end(), 'D', 'E');
  return to_number(digits);
}

std::string FitsFile::cards() const {
  char* header = nullptr;
  int count = 0;
  int status = 0;
  fits_convert_hdr2str(impl_->file.get(), 0, nullptr, 0, &header, &count, &status);
  std::string out;
  if (header != nullptr) {
    out = header;
    int freed = 0;
    fits_free_memory(header, &freed);
  }
  check_read(status, impl_->path, "its header cannot be read");
  return out;
}

Image<float> FitsFile::read(const Box& box) const {
  return impl_->read_float(box, 0);
}

Image<std::int64_t> FitsFile::read_integers(const Box& box) const {
  // CFITSIO decompresses tiles to long, but not to LONGLONG.
  static_assert(sizeof(long) == sizeof(std::int64_t));
  return impl_->read<std::int64_t>(box, 0, TLONG, nullptr);
}

void FitsFile::read_stored(int first_row, ImageView<std::int16_t> out) const {
  Impl& impl = *impl_;
  if (impl.bits != SHORT_IMG || impl.axes != 2) {
    throw ConfigError(impl.path, "does not hold 16-bit integers", "a 2-D image of BITPIX 16");
  }
  if (out.width() != impl.width || first_row < 0 || first_row > impl.height - out.height()) {
    throw FatalError(impl.path + ": rows outside the image were asked for");
  }
  if (!impl.knows_tiles) {
    impl.tiles = FitsTiles::find(impl.file.get(), impl.path, width(), height());
    impl.knows_tiles = true;
  }
  if (impl.tiles) {
    impl.tiles->read(first_row, out);
  } else {
    impl.read_unscaled(first_row, out);
  }
}

Image<float> FitsFile::read() const {
  return impl_->read_float({0, width(), 0, height()}, 0);
}

Image<float> FitsFile::read_plane(int plane) const {
  return impl_->read_float({0, width(), 0, height()}, plane);
}

bool FitsFile::is_complete() const {
  fitsfile* file = impl_->file.get();
  LONGLONG header_start = 0;
  LONGLONG data_start = 0;
  LONGLONG data_end = 0;
  int status = 0;
  fits_get_hduaddrll(file, &header_start, &data_start, &data_end, &status);
  check_read(status, impl_->path, "its data unit cannot be located");
  // The size CFITSIO found when it opened the file, or of the decompressed copy in memory.
  return data_start + data_bytes(file) <= file->Fptr->filesize;
}

std::optional<double> fits_number(const std::filesystem::path& path, int hdu,
                                  const std::string& keyword) {
  int position = hdu;
  if (hdu < 0) {
    const FitsHandle file = open_fits(path);
    position = first_table(file.get(), path.string());
  }
  return FitsFile(path, position).number(keyword);
}

int fits_hdu_named(const std::filesystem::path& path, const std::string& extname) {
  const FitsHandle file = open_fits(path);
  int status = 0;
  for (int hdu = 0;; ++hdu) {
    fits_movabs_hdu(file.get(), hdu + 1, nullptr, &status);
    if (status != 0) {
      fits_clear_errmsg();
      throw ConfigError(path.string(), "has no HDU named " + extname, "an existing EXTNAME");
    }
    const auto name = card_text(file.get(), "EXTNAME", path.string());
    if (name && same_ignoring_case(*name, extname)) {
      return hdu;
    }
  }
}

}  // namespace skyloom::io
