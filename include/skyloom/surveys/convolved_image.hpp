#pragma once
// Convolved skycells as a run of the skycells pipeline left them, whether all pixels were stored or
// the coarse grid that they are interpolated from. 0-based pixels of a cell.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/surveys/skycell.hpp"

namespace skyloom::surveys {

class ConvolvedImages {
 public:
  /// @param path convolved_images.h5 where the run put it; a coarse one also needs convolve.h5 of
  ///   the run directory
  /// @throws ConfigError naming the file when it is missing or of another kind
  explicit ConvolvedImages(const std::filesystem::path& path);
  ~ConvolvedImages();
  ConvolvedImages(ConvolvedImages&&) noexcept;
  ConvolvedImages& operator=(ConvolvedImages&&) noexcept;

  /// "full" or "coarse".
  [[nodiscard]] const std::string& sampling() const;
  /// Numbers of the projections, ascending.
  [[nodiscard]] std::span<const int> projections() const;
  /// The cells of a projection, a row per plane of its arrays. @throws FatalError when there is no
  /// such projection
  [[nodiscard]] const Table& cells(int projection) const;
  /// Plane of a cell. @throws ConfigError naming the cell when it is not there
  [[nodiscard]] std::size_t plane(const SkycellId& id) const;

  /// Counts per second; NaN where there is no value. A box of a coarse product has the bytes that
  /// the full one would have on the same machine type. @throws FatalError outside the cell
  [[nodiscard]] Image<float> read(const SkycellId& id, const Box& box) const;
  /// Bits of the masks of all bands.
  [[nodiscard]] Image<std::uint16_t> read_mask(const SkycellId& id, const Box& box) const;

 private:
  friend class ConvolvedRows;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Part of a pixel, 0 <= x, y < 1.
struct PixelFraction {
  double x = 0.0;
  double y = 0.0;

  friend bool operator==(const PixelFraction&, const PixelFraction&) = default;
};

/// A cell row by row, in memory that does not grow with its height.
class ConvolvedRows {
 public:
  /// @param images must outlive this object
  /// @param fraction values are those so far beyond the centres of the pixels, masks and missing
  ///   pixels those of the nearest pixel; other than 0 only from a coarse grid
  /// @throws ConfigError naming the cell when it is not there, FatalError for a fraction that
  /// cannot
  ///   be had
  ConvolvedRows(const ConvolvedImages& images, const SkycellId& id, PixelFraction fraction = {});
  ~ConvolvedRows();
  ConvolvedRows(ConvolvedRows&&) noexcept;
  ConvolvedRows& operator=(ConvolvedRows&&) noexcept;

  /// Row y, larger than that of the call before; both as long as the cell is wide.
  /// @param values counts per second, NaN = none
  /// @param mask bits of all bands; beyond the cell BLANK, 0x0008
  void row(int y, std::span<float> values, std::span<std::uint16_t> mask);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skyloom::surveys
