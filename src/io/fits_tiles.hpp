#pragma once
// Rows of 16-bit images that are compressed by RICE_1 with one tile per row, as fpack writes them:
// found through CFITSIO, read and decoded past it. Private to the room io.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/io/posix_file.hpp"
#include "skyloom/io/rice.hpp"

#include "fits_support.hpp"

namespace skyloom::io {

class FitsTiles {
 public:
  /// @param file at the HDU of the image   @return nullopt when the image is stored in another way,
  ///   or its tiles do not lie inside the file
  /// @throws ReadFailure naming the file when it cannot be opened again
  static std::optional<FitsTiles> find(fitsfile* file, const std::filesystem::path& path, int width,
                                       int height);

  /// Rows first_row .. first_row + out.height() - 1, as stored.
  /// @throws ConfigError naming the file when it is cut short or a tile is damaged, ReadFailure
  /// when
  ///   the system cannot read it
  void read(int first_row, ImageView<std::int16_t> out);

 private:
  /// Bytes of the file to place `at` of bytes_.
  void fetch(std::size_t at, std::size_t offset, std::size_t length);
  void read_piece(int first_row, ImageView<std::int16_t> out);

  std::string path_;
  PosixFile file_;
  int block_ = 0;
  std::vector<RiceTile> tiles_;      ///< of all rows, offsets in the file
  std::vector<std::uint8_t> bytes_;  ///< of the present piece
};

}  // namespace skyloom::io
