#pragma once
// Smooth sky background of an image from a mesh of clipped boxes (Bertin & Arnouts 1996), through
// libsep.

#include <cstdint>

#include "skyloom/core/image.hpp"

namespace skyloom::sky {

struct BackgroundMap {
  Image<float> level;  ///< same unit as the image
  Image<float> rms;    ///< of one pixel
};

/// @param mask non-zero = pixel not used   @param box_size_pix side of a mesh box
/// @param filter_size_boxes side of the median filter over the mesh, in boxes
/// @throws UnitError (no_good_data) when all pixels are masked, (numerical) when libsep fails or
/// the
///   map is not finite
[[nodiscard]] BackgroundMap mesh_background(ImageView<const float> image,
                                            ImageView<const std::uint8_t> mask, int box_size_pix,
                                            int filter_size_boxes);

/// Grows the non-zero pixels of a mask by one pixel in all 8 directions, `times` times.
[[nodiscard]] Image<std::uint8_t> dilated(ImageView<const std::uint8_t> mask, int times);

}  // namespace skyloom::sky
