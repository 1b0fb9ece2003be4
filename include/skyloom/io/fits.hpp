#pragma once
// FITS files through CFITSIO: images (tile-compressed or not), headers, binary tables. 0-based
// pixels. Knows no astronomy.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/core/table.hpp"

namespace skyloom::io {

/// An open FITS file positioned on one HDU.
class FitsFile {
 public:
  /// Opens for reading, gz and bz2 included (these are decompressed into memory).
  /// @param hdu 0-based HDU number; -1 = the first HDU that holds a 2-D image. A given HDU may hold
  ///   a 3-D image (width and height are those of one plane) or a table (both are 0).
  /// @throws ConfigError (file, what is wrong) when missing, not FITS, or without such an HDU
  explicit FitsFile(const std::filesystem::path& path, int hdu = -1);
  ~FitsFile();
  FitsFile(FitsFile&&) noexcept;
  FitsFile& operator=(FitsFile&&) noexcept;

  [[nodiscard]] const std::string& path() const;
  [[nodiscard]] int hdu() const;
  [[nodiscard]] int hdu_count() const;
  [[nodiscard]] int width() const;
  [[nodiscard]] int height() const;
  /// A card of this HDU, or of the primary HDU when this one lacks it. nullopt when absent; a card
  /// without a value is "" as text, and what does not read as a number is NaN (T and F: 1 and 0).
  [[nodiscard]] std::optional<std::string> text(const std::string& keyword) const;
  [[nodiscard]] std::optional<double> number(const std::string& keyword) const;
  /// All cards of this HDU, 80 characters each, for the WCS (compressed images: as the image has
  /// it).
  [[nodiscard]] std::string cards() const;
  /// Pixels inside the box, blanks as NaN. The box must lie inside the image.
  /// @throws ConfigError naming the file when it cannot be read (truncated)
  [[nodiscard]] Image<float> read(const Box& box) const;
  [[nodiscard]] Image<float> read() const;
  /// The same of an integer image without loss of bits, such as a mask; blanks as stored.
  [[nodiscard]] Image<std::int64_t> read_integers(const Box& box) const;
  /// Whole rows of an image of 16-bit integers as they are stored, without BZERO and BSCALE; those
  /// compressed by RICE_1 row by row are decoded by rice.hpp.
  /// @param out as wide as the image, inside it from first_row on
  /// @throws ConfigError naming the file when it cannot be read, or holds other numbers
  void read_stored(int first_row, ImageView<std::int16_t> out) const;
  /// Plane of a 3-D image (0-based along the slowest axis).
  [[nodiscard]] Image<float> read_plane(int plane) const;
  [[nodiscard]] int planes() const;
  /// True when the file is long enough for the data unit of this HDU (never reads the pixels).
  [[nodiscard]] bool is_complete() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Keyword and value. A double that is not finite becomes a card without value; COMMENT and HISTORY
/// append a line of text.
using FitsCard = std::pair<std::string, std::variant<std::int64_t, double, std::string, bool>>;
/// Keywords and values of a header of 80-character cards; without comments, CONTINUE and cards that
/// have no value. Numbers without point and exponent are integers.
std::vector<FitsCard> parse_fits_cards(std::string_view header);

/// Rows of a 2-D integer image, one after the other. A file that ends in .gz is decompressed on the
/// way: memory holds a row, where FitsFile holds the file.
class FitsRows {
 public:
  /// @param hdu 0-based @throws ConfigError naming the file when there is no such image of integers
  FitsRows(const std::filesystem::path& path, int hdu);
  ~FitsRows();
  FitsRows(FitsRows&&) noexcept;
  FitsRows& operator=(FitsRows&&) noexcept;

  [[nodiscard]] int width() const;
  [[nodiscard]] int height() const;
  /// All cards of the HDU, 80 characters each.
  [[nodiscard]] const std::string& cards() const;
  /// The next row, as long as the image is wide; BZERO applied, blanks as stored.
  /// @throws ConfigError naming the file that ends too early or has numbers beyond 32 bits
  void next(std::span<std::int32_t> values);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Binary or ASCII table of an HDU (0-based; -1 = the first table), columns by name; TUNIT as unit.
/// Scalar and fixed-size array columns; the cell shape of an array has its slowest axis first, as
/// numpy does. Text columns keep their trimmed text. Integers narrower than 32 bit become int32,
/// TSCAL and TZERO are applied, TCOMM is the description. Variable-length and complex columns are
/// left out. @param only names of the columns to read (case-blind), in any order; empty = all, and
/// absent ones are no error. @throws ConfigError naming the file (missing, no table, truncated)
Table read_fits_table(const std::filesystem::path& path, int hdu = -1,
                      const std::vector<std::string>& only = {});

/// A card of a table or image HDU (0-based; -1 = the first table), or of the primary HDU.
std::optional<double> fits_number(const std::filesystem::path& path, int hdu,
                                  const std::string& keyword);
/// Position of the HDU with this EXTNAME (case-blind). @throws ConfigError when there is none
int fits_hdu_named(const std::filesystem::path& path, const std::string& extname);

/// An HDU to be written: an image, or only cards. Integers are stored as they are, unsigned ones
/// with the BZERO of FITS; cards BZERO, BSCALE and BLANK say what they stand for.
struct FitsImage {
  std::variant<std::monostate, ImageView<const float>, ImageView<const std::int16_t>,
               ImageView<const std::uint16_t>, ImageView<const std::int32_t>>
      pixels;
  std::vector<FitsCard> cards;
  /// Tile-compressed, a row per tile: integers as they are, floats quantised to a sixteenth of the
  /// noise. Such an image stands behind an empty primary HDU.
  bool rice = false;
};
/// Writes images as HDUs in this order, to a temporary name, then renames. A path that ends in .gz
/// is compressed as a whole. @throws FatalError
void write_fits_images(const std::filesystem::path& path, std::span<const FitsImage> images);

/// Writes one image HDU (float32) with cards, to a temporary name, then renames.
/// @param compress "" or "rice" (tile-compressed)
void write_fits_image(const std::filesystem::path& path, ImageView<const float> pixels,
                      const std::vector<FitsCard>& cards, std::string_view compress = {});
/// Writes a binary table (TUNIT, TCOMM from the columns), to a temporary name, then renames.
/// @param primary cards of the primary HDU, which holds no data
void write_fits_table(const std::filesystem::path& path, const Table& table,
                      const std::vector<FitsCard>& cards,
                      const std::vector<FitsCard>& primary = {});

/// Compares every HDU of a file (not gz) with its cards CHECKSUM and DATASUM, where it has them.
/// @throws ConfigError naming file and HDU when they differ, or the file does not end where it
/// should
void check_fits_sums(const std::filesystem::path& path);
/// Writes the primary HDU and the table `extname` of a file with only some of its columns (names
/// case-blind, in the order of the file; absent ones are no error), without
/// the checksums of the original, to a temporary name, then renames. @throws ConfigError when there
/// is no such table
void copy_fits_columns(const std::filesystem::path& from, const std::filesystem::path& to,
                       const std::string& extname, const std::vector<std::string>& columns);

}  // namespace skyloom::io
