#include <png.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"

namespace skyloom::io {

std::string png_bytes(const std::vector<std::uint8_t>& pixels, int width, int height,
                      int channels) {
  const bool shape_is_right = width > 0 && height > 0 && (channels == 1 || channels == 3) &&
                              pixels.size() == static_cast<std::size_t>(width) *
                                                   static_cast<std::size_t>(height) *
                                                   static_cast<std::size_t>(channels);
  if (!shape_is_right) {
    throw FatalError("png_bytes: the pixels do not fill an image of the given shape");
  }
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string out(size, '\0');
  if (png_image_write_to_memory(&image, out.data(), &size, 0, pixels.data(), 0, nullptr) == 0) {
    throw FatalError(std::string("png_bytes: ") + image.message);
  }
  out.resize(size);
  return out;
}

}  // namespace skyloom::io
