#pragma once
// Convolved cells as `convolve` stored them, all pixels or the coarse grid, read row by row.

#include <cstdint>
#include <memory>
#include <span>

#include "pipelines/skycells/config.hpp"
#include "pipelines/skycells/stored.hpp"
#include "skyloom/engine/products.hpp"

namespace skyloom::skycells {

/// Part of a pixel, 0 <= x, y < 1.
struct PixelFraction {
  double x = 0.0;
  double y = 0.0;

  friend bool operator==(const PixelFraction&, const PixelFraction&) = default;
};

class ConvolvedRows {
 public:
  /// @param products with the finished stages combine and convolve; must outlive this object
  /// @param fraction where between pixels values are interpolated, only from a coarse grid; masks
  /// and
  ///   missing pixels are those of the nearest pixel
  /// @throws UnitError when `convolve` did not finish this cell
  ConvolvedRows(const Config& config, const engine::Products& products, const StoredCell& cell,
                PixelFraction fraction = {});
  ~ConvolvedRows();
  ConvolvedRows(ConvolvedRows&&) noexcept;
  ConvolvedRows& operator=(ConvolvedRows&&) noexcept;

  /// Row y, larger than that of the call before. The first pixels of the row, as many as asked for.
  /// @param values counts per second, NaN = none   @param mask bits of all bands, as many; beyond
  /// the
  ///   cell that of pixels without data
  void row(int y, std::span<float> values, std::span<std::uint16_t> mask);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skyloom::skycells
