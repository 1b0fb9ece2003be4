#include "fits_floats.hpp"

#include <bit>
#include <cstring>
#include <span>

#include "skyloom/core/errors.hpp"

namespace skyloom::io {
namespace {

bool is_stored_plainly(fitsfile* file) {
  int status = 0;
  std::array<char, FLEN_FILENAME> type{};
  int bits = 0;
  fits_url_type(file, type.data(), &status);
  fits_get_img_type(file, &bits, &status);
  if (status != 0 || std::string(type.data()) != "file://" || bits != FLOAT_IMG ||
      fits_is_compressed_image(file, &status) != 0) {
    return false;
  }
  for (const auto& [keyword, neutral] : {std::pair{"BSCALE", 1.0}, std::pair{"BZERO", 0.0}}) {
    double value = neutral;
    int missing = 0;
    fits_read_key(file, TDOUBLE, keyword, &value, nullptr, &missing);
    if (missing == 0 && value != neutral) {
      return false;
    }
  }
  return true;
}

/// FITS is big-endian.
void to_native(std::span<float> values) {
  if constexpr (std::endian::native == std::endian::little) {
    for (float& value : values) {
      value = std::bit_cast<float>(__builtin_bswap32(std::bit_cast<std::uint32_t>(value)));
    }
  }
}

}  // namespace

std::optional<FitsFloats> FitsFloats::find(fitsfile* file, const std::filesystem::path& path,
                                           long width, long height) {
  // What is looked for in vain is no error of the file.
  fits_write_errmark();
  LONGLONG header = 0;
  LONGLONG data = 0;
  LONGLONG end = 0;
  int status = 0;
  fits_get_hduaddrll(file, &header, &data, &end, &status);
  const bool plain = status == 0 && is_stored_plainly(file);
  fits_clear_errmark();
  if (!plain) {
    return std::nullopt;
  }
  FitsFloats out;
  out.path_ = path.string();
  try {
    out.file_ = PosixFile(path, PosixFile::Mode::read);
  } catch (const FatalError& error) {
    throw ReadFailure(out.path_, "cannot be opened again", error.what());
  }
  out.data_ = static_cast<std::uint64_t>(data);
  out.width_ = width;
  out.height_ = height;
  return out;
}

void FitsFloats::read(const Box& box, int plane, ImageView<float> out) const {
  const auto fetch = [&](int y, std::span<float> values) {
    const std::int64_t pixel = (std::int64_t{plane} * height_ + y) * std::int64_t{width_} + box.x0;
    const auto bytes = std::as_writable_bytes(values);
    std::size_t count = 0;
    try {
      count = file_.read(bytes, data_ + static_cast<std::uint64_t>(pixel) * sizeof(float));
    } catch (const FatalError& error) {
      throw ReadFailure(path_, "its pixels cannot be read", error.what());
    }
    if (count != bytes.size()) {
      throw ConfigError(path_, "its pixels cannot be read: it is truncated", "a whole FITS file");
    }
    to_native(values);
  };
  if (box.width() == width_ && out.stride() == out.width()) {
    fetch(box.y0, {out.data(),
                   static_cast<std::size_t>(out.width()) * static_cast<std::size_t>(out.height())});
    return;
  }
  for (int y = box.y0; y < box.y1; ++y) {
    fetch(y, out.row(y - box.y0));
  }
}

}  // namespace skyloom::io
