#pragma once
// Boxes of uncompressed images of 32-bit floats, read past CFITSIO, which goes through small
// buffers. Private to the room io.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/io/posix_file.hpp"

#include "fits_support.hpp"

namespace skyloom::io {

class FitsFloats {
 public:
  /// @param file at the HDU of the image   @return nullopt when the image is stored in another way:
  ///   compressed, scaled, of another type, in a compressed file
  /// @throws ReadFailure naming the file when it cannot be opened again
  static std::optional<FitsFloats> find(fitsfile* file, const std::filesystem::path& path,
                                        long width, long height);

  /// The box of a plane, which must lie inside. @throws ConfigError naming the file cut short,
  /// ReadFailure
  void read(const Box& box, int plane, ImageView<float> out) const;

 private:
  std::string path_;
  PosixFile file_;
  std::uint64_t data_ = 0;  ///< offset of the first pixel
  long width_ = 0;
  long height_ = 0;
};

}  // namespace skyloom::io
