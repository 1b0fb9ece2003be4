#pragma once
// The mesh of the sky background of one image, measured strip by strip: level and noise of every
// box of the mesh, sources masked (photometry.md 6.2). Pure.

#include <cstdint>
#include <vector>

#include "pipelines/photometry/epsf/kernel.hpp"

namespace skyloom::photometry::background {

/// One box of the mesh.
struct Node {
  int row = 0;
  int column = 0;
  float level = 0.0F;   ///< flux per pixel; NaN where more than half of the box is masked
  float rms = 0.0F;     ///< of one pixel, as measured; NaN as the level
  float sigma = 0.0F;   ///< median of the given sky noise of its strip
  float masked = 0.0F;  ///< part of the box that is bad or belongs to a source
};

/// Side of the boxes, pixels.
[[nodiscard]] int box_size(const epsf::Options& options);

/// Strips of whole rows of boxes that cover an image from bottom to top, about four million pixels
/// each.
[[nodiscard]] std::vector<Box> strips(int width, int height, const epsf::Options& options);

/// Pixels that a strip is measured from: it and what its mask may grow from.
[[nodiscard]] Box reach(const Box& strip, int height, const epsf::Options& options);

/// Pixels that do not count: bad, or brighter than the median of all by
/// background_source_mask_sigma, and what surrounds these.
/// @param sigma of the sky, unit of the data
[[nodiscard]] Image<std::uint8_t> source_mask(const Image<float>& data,
                                              const Image<std::uint8_t>& bad, double sigma,
                                              const epsf::Options& options);

/// The boxes of one strip, row by row; none of a strip without a good pixel.
/// @param pixels of reach()   @throws UnitError (bad_input) when image sizes differ
[[nodiscard]] std::vector<Node> measure(epsf::Pixels pixels, const Box& strip, int height,
                                        const epsf::Options& options);

}  // namespace skyloom::photometry::background
