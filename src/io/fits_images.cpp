#include <algorithm>
#include <array>
#include <cmath>
#include <system_error>
#include <type_traits>

#include <zlib.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/fits.hpp"
#include "skyloom/io/posix_file.hpp"

#include "fits_support.hpp"

namespace skyloom::io {
namespace {

namespace fs = std::filesystem;

void use_rice(fitsfile* file, bool is_float, int& status) {
  fits_set_compression_type(file, RICE_1, &status);
  if (is_float) {
    // One sixteenth of the noise per step: the loss stays far below it. The seed of the dither is
    // fixed, since CFITSIO would take it from the clock.
    constexpr float kQuantizeLevel = 16.0F;
    fits_set_quantize_level(file, kQuantizeLevel, &status);
    fits_set_quantize_method(file, SUBTRACTIVE_DITHER_1, &status);
    fits_set_dither_seed(file, 1, &status);
  }
}

struct PixelType {
  int image;
  int value;
};
constexpr PixelType pixel_type(float) {
  return {FLOAT_IMG, TFLOAT};
}
constexpr PixelType pixel_type(std::int16_t) {
  return {SHORT_IMG, TSHORT};
}
constexpr PixelType pixel_type(std::uint16_t) {
  return {USHORT_IMG, TUSHORT};
}
constexpr PixelType pixel_type(std::int32_t) {
  return {LONG_IMG, TINT};
}

/// Row by row: the rows of a view need not follow each other, and are the compression tiles.
template <class T>
void write_rows(fitsfile* file, ImageView<const T> pixels, bool rice, int& status) {
  std::vector<T> row(static_cast<std::size_t>(pixels.width()));
  for (int y = 0; y < pixels.height() && status == 0; ++y) {
    std::array<long, 2> first{1, y + 1};
    const auto values = pixels.row(y);
    std::copy(values.begin(), values.end(), row.begin());
    if (std::is_same_v<T, float> && rice) {
      // The quantiser knows blanks by equality, so NaN needs a number that stands for it.
      auto blank = static_cast<T>(-9.0e-36F);
      std::replace_if(
          row.begin(), row.end(), [](T value) { return !std::isfinite(value); }, blank);
      fits_write_pixnull(file, pixel_type(T{}).value, first.data(), pixels.width(), row.data(),
                         &blank, &status);
    } else {
      fits_write_pix(file, pixel_type(T{}).value, first.data(), pixels.width(), row.data(),
                     &status);
    }
  }
}

void write_hdu(fitsfile* file, const FitsImage& image, int& status) {
  std::visit(
      [&](const auto& pixels) {
        using View = std::decay_t<decltype(pixels)>;
        if constexpr (std::is_same_v<View, std::monostate>) {
          fits_create_img(file, BYTE_IMG, 0, nullptr, &status);
          write_cards(file, image.cards, status);
        } else {
          using T = std::remove_const_t<std::remove_reference_t<decltype(pixels(0, 0))>>;
          if (image.rice) {
            use_rice(file, std::is_same_v<T, float>, status);
          } else {
            fits_set_compression_type(file, 0, &status);
          }
          std::array<long, 2> sides{pixels.width(), pixels.height()};
          fits_create_img(file, pixel_type(T{}).image, 2, sides.data(), &status);
          write_cards(file, image.cards, status);
          if constexpr (!std::is_same_v<T, std::uint16_t>) {
            fits_set_bscale(file, 1.0, 0.0, &status);  // whatever the cards say
          }
          write_rows<T>(file, pixels, image.rice, status);
        }
      },
      image.pixels);
}

void write_plain(const fs::path& path, std::span<const FitsImage> images) {
  create_fits(path, [&](fitsfile* file) {
    int status = 0;
    for (const FitsImage& image : images) {
      write_hdu(file, image, status);
    }
    return status;
  });
}

/// Without name and time in its header, so that equal content gives equal bytes.
void write_gzip(const fs::path& from, const fs::path& to) {
  const fs::path temporary = temporary_name(to);
  constexpr std::size_t kChunk = std::size_t{1} << 20;
  std::vector<std::byte> bytes(kChunk);
  const PosixFile source(from, PosixFile::Mode::read);
  gzFile target = gzopen(temporary.c_str(), "wb4");
  bool is_written = target != nullptr;
  std::uint64_t place = 0;
  while (is_written) {
    const std::size_t count = source.read(bytes, place);
    if (count == 0) {
      break;
    }
    is_written = gzwrite(target, bytes.data(), static_cast<unsigned>(count)) > 0;
    place += count;
  }
  is_written = target != nullptr && gzclose(target) == Z_OK && is_written;
  if (!is_written) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw FatalError(to.string() + ": cannot be written");
  }
  rename_durably(temporary, to);
}

}  // namespace

void write_fits_images(const fs::path& path, std::span<const FitsImage> images) {
  if (path.extension() != ".gz") {
    write_plain(path, images);
    return;
  }
  fs::path whole = path;
  whole.replace_extension(".tmp");
  write_plain(whole, images);
  std::error_code ignored;
  try {
    write_gzip(whole, path);
  } catch (...) {
    fs::remove(whole, ignored);
    throw;
  }
  fs::remove(whole, ignored);
}

void write_fits_image(const fs::path& path, ImageView<const float> pixels,
                      const std::vector<FitsCard>& cards, std::string_view compress) {
  if (!compress.empty() && compress != "rice") {
    throw ConfigError("compress", "'" + std::string(compress) + "' is unknown", "rice or nothing");
  }
  const FitsImage image{pixels, cards, compress == "rice"};
  write_fits_images(path, {&image, 1});
}

}  // namespace skyloom::io
