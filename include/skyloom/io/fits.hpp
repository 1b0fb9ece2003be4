#pragma once
// FITS files through CFITSIO: images (tile-compressed or not), headers, binary tables. 0-based
// pixels. Knows no astronomy.

#include <filesystem>
#include <memory>
#include <optional>
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
  /// Opens for reading. @param hdu 0-based HDU number; -1 = the first HDU that holds a 2-D image
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
  /// A card of this HDU, or of the primary HDU when this one lacks it. nullopt when absent.
  [[nodiscard]] std::optional<std::string> text(const std::string& keyword) const;
  [[nodiscard]] std::optional<double> number(const std::string& keyword) const;
  /// All cards of this HDU, 80 characters each, for the WCS (compressed images: as the image has it).
  [[nodiscard]] std::string cards() const;
  /// Pixels inside the box, blanks as NaN. The box must lie inside the image.
  /// @throws ConfigError naming the file when it cannot be read (truncated)
  [[nodiscard]] Image<float> read(const Box& box) const;
  [[nodiscard]] Image<float> read() const;
  /// Plane of a 3-D image (0-based along the slowest axis).
  [[nodiscard]] Image<float> read_plane(int plane) const;
  [[nodiscard]] int planes() const;
  /// True when the file is long enough for the data unit of this HDU (never reads the pixels).
  [[nodiscard]] bool is_complete() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Binary or ASCII table of an HDU (0-based; -1 = the first table), columns by name; TUNIT as unit.
/// Scalar and fixed-size array columns; text columns keep their trimmed text.
Table read_fits_table(const std::filesystem::path& path, int hdu = -1);

using FitsCard = std::pair<std::string, std::variant<std::int64_t, double, std::string>>;

/// Writes one image HDU (float32) with cards, to a temporary name, then renames.
/// @param compress "" or "rice" (tile-compressed)
void write_fits_image(const std::filesystem::path& path, ImageView<const float> pixels,
                      const std::vector<FitsCard>& cards, std::string_view compress = {});
/// Writes a binary table (TUNIT, TCOMM from the columns), to a temporary name, then renames.
void write_fits_table(const std::filesystem::path& path, const Table& table,
                      const std::vector<FitsCard>& cards);

}  // namespace skyloom::io
