#pragma once
// The pixels of one cell for the classical builder, and its background (photometry.md 6.2).

#include "pipelines/photometry/epsf/kernel.hpp"

namespace skyloom::photometry::epsf {

/// All images (y, x) over `box`; bad pixels hold 0 and the median noise.
struct ClassicCell {
  Box box;                   ///< in the frame
  Image<float> raw;          ///< scaled flux
  Image<float> data;         ///< minus the background
  Image<float> background;   ///< 0 where none was subtracted
  Image<float> sigma;        ///< of the sky
  Image<std::uint8_t> mask;  ///< 1 = bad
  BackgroundStats stats;
};

/// A failure of the background leaves it 0 and its text in `stats`.
/// @throws UnitError (no_good_data) when no pixel is good
[[nodiscard]] ClassicCell read_cell(const Input& input, const Options& options, const Box& box);

}  // namespace skyloom::photometry::epsf
