#pragma once
// The sources of a combined skycell, and nothing but them: pixels far above the noise, segments of
// a matched-filter detection among the others, sky exactly 0.

#include <cstdint>

#include "skyloom/core/image.hpp"

namespace skyloom::skycells {

struct SegmentOptions {
  double detect_sigma = 2.5;   ///< of the filtered image, in its noise
  double bright_sigma = 50.0;  ///< in medians of the noise
  /// Side of the square with which bright pixels are closed first; 0 = not.
  int closing_pix = 0;
};

/// Which pixels belong to a source.
struct SourceMap {
  Image<std::uint8_t> bright;  ///< 1 = far above the noise
  /// 1 + number of the segment of a pixel, 0 = none; bright pixels are in none.
  Image<std::int32_t> segments;
  int count = 0;
};

/// Median of the positive finite pixels; NaN when there are none.
[[nodiscard]] double median_noise(ImageView<const float> sigma);

/// Closing (dilation, then erosion) with a square, as if the image went on without any such pixel.
[[nodiscard]] Image<std::uint8_t> closed(ImageView<const std::uint8_t> mask, int side_pix);

/// Bright: above bright_sigma times the median of `sigma`. Segments: 8-connected groups of at least
/// 5 of the other pixels, numbered by their first one, whose light after the filter matched to the
/// noise, 1 2 1 / 2 4 2 / 1 2 1, is above detect_sigma (Bertin & Arnouts 1996). Pixels that are
/// bright or have no value or noise add nothing to the filter. Blended objects are one segment:
/// what is detected around a bright core is a ring, and deblending would cut it where the noise
/// peaks.
/// @param image counts per second, NaN = no value   @param sigma its noise per pixel; pixels whose
///   noise is not above 0 are in no segment
/// @throws UnitError (no_good_data) when no pixel has noise
[[nodiscard]] SourceMap find_sources(ImageView<const float> image, ImageView<const float> sigma,
                                     const SegmentOptions& options);

/// 0 where there is no source; NaN stays.
void keep_sources(const SourceMap& sources, ImageView<float> image);

}  // namespace skyloom::skycells
