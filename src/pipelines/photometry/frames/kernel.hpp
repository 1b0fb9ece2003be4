#pragma once
// Pixels of the stage `frames`: the inverse-variance white stack and the discs that are searched
// for saturated pixels. Pure.

#include <cstdint>
#include <vector>

#include "skyloom/core/image.hpp"

namespace skyloom::photometry::frames {

/// Bits of a frame's bad-pixel image.
inline constexpr std::uint8_t kNotFinite = 1;
inline constexpr std::uint8_t kSaturated = 2;
inline constexpr std::uint8_t kMasked = 4;

/// Running inverse-variance mean of frames on one grid.
class WhiteStack {
 public:
  WhiteStack(int width, int height);
  /// @param data scaled flux, any value where invvar is 0   @param invvar 0 = bad pixel
  void add(ImageView<const float> data, ImageView<const float> invvar);
  /// sum(w * data) / sum(w); NaN where no frame has a good pixel.
  [[nodiscard]] Image<float> mean() const;
  /// sqrt(1 / sum(w)); +inf where no frame has a good pixel.
  [[nodiscard]] Image<float> sigma() const;

 private:
  Image<double> sum_;
  Image<double> weight_;
};

/// Mean of k x k blocks, pixels that are not finite left out; blocks at the far edges may be
/// smaller.
Image<float> block_means(ImageView<const float> image, int k);

/// True when a saturated pixel lies in the disc of integer offsets dx^2 + dy^2 <= radius^2 around
/// (x, y). `bad` begins at image pixel (x0, y0); offsets outside of it do not count.
bool saturated_within(ImageView<const std::uint8_t> bad, int x0, int y0, int x, int y,
                      double radius);

/// Columns of an image that hold a saturated pixel: not 0.
std::vector<std::uint8_t> saturated_columns(ImageView<const std::uint8_t> bad);

/// Side of the blocks that pictures of a large image average: `wanted` unless the image is small
/// enough for less, or so large that the picture would have more than 2400 pixels per side.
int picture_binning(int wanted, int width, int height);

/// Rows of a white-stack chunk for an image of `height` rows (photometry.md 4.4).
int white_chunk_rows(int height);

}  // namespace skyloom::photometry::frames
