#pragma once
// One row of a simulated plane: noise, asinh scaling, rounding to integers, in the widest vectors
// of the machine. Equal bits on all of them.

#include <cstdint>
#include <span>

#include "skyloom/core/random.hpp"

namespace skyloom::skycells {

/// How the pixels of a plane are stored.
struct StoreRule {
  float noise = 0.0F;  ///< standard deviation of a pixel, counts per second
  float exptime_s = 0.0F;
  float boffset = 0.0F;
  float bsoften = 1.0F;
  float bzero = 0.0F;
  float bscale = 1.0F;
  std::int16_t blank = 0;  ///< stored where `blank_bit` is set; above all values
  std::uint16_t blank_bit = 0;
  std::uint16_t saturated_bits = 0;  ///< set where the value does not fit
};

/// @param noise its normal deviate of the pixel (x, y) of the projection is one of the draw y
/// @param x0, y of the first pixel, in pixels of the projection, not negative
/// @param truth counts per second   @param mask with `blank_bit`s; gets `saturated_bits`
void store_row(const StoreRule& rule, const Rng& noise, int x0, int y, std::span<const float> truth,
               std::span<std::uint16_t> mask, std::span<std::int16_t> stored);

}  // namespace skyloom::skycells
