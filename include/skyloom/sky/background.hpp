#pragma once
// Smooth sky background of an image from a mesh of clipped boxes (Bertin & Arnouts 1996): libsep
// measures the boxes, the mesh over all of them is filled, filtered and interpolated here, so that
// an image can be measured part by part and its background be had for any box.

#include <cstdint>

#include "skyloom/core/image.hpp"

namespace skyloom::sky {

/// One value per box of the mesh; NaN where more than half of the box is masked.
struct MeshNodes {
  Image<float> level;  ///< same unit as the image
  Image<float> rms;    ///< of one pixel
};

/// Level and noise of the boxes of (a part of) an image, clipped at 3 sigma about the median.
/// Boxes begin at pixel (0, 0); the last row and column may be smaller.
/// @param mask non-zero = pixel not used   @param box_size_pix side of a mesh box
/// @throws UnitError (numerical) when libsep fails
[[nodiscard]] MeshNodes mesh_nodes(ImageView<const float> image, ImageView<const std::uint8_t> mask,
                                   int box_size_pix);

class MeshBackground {
 public:
  /// @param nodes of the whole image   @param filter_size_boxes side of the median filter
  /// @throws UnitError (no_good_data) when all nodes are NaN
  MeshBackground(MeshNodes nodes, int box_size_pix, int filter_size_boxes);

  /// Bicubic natural spline through the nodes at the pixels of a box. Same unit as the image.
  [[nodiscard]] Image<float> level(const Box& box) const;
  [[nodiscard]] Image<float> rms(const Box& box) const;

 private:
  [[nodiscard]] Image<float> interpolate(const Image<float>& nodes, const Image<float>& bend,
                                         const Box& box) const;

  int box_size_;
  MeshNodes nodes_;
  MeshNodes bend_;  ///< second derivatives along y, over six
};

/// Grows the non-zero pixels of a mask by one pixel in all 8 directions, `times` times.
[[nodiscard]] Image<std::uint8_t> dilated(ImageView<const std::uint8_t> mask, int times);

}  // namespace skyloom::sky
