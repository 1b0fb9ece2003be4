#pragma once
// The mesh of the sky background of one image, measured tile by tile: level and noise of every box
// of the mesh, sources masked (photometry.md 6.2). Pure.

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
  float sigma = 0.0F;   ///< median of the given sky noise of its tile
  float masked = 0.0F;  ///< part of the box that is bad or belongs to a source
};

/// Side of the boxes, pixels.
[[nodiscard]] int box_size(const epsf::Options& options);

/// Tiles that cover an image without overlap, row by row: whole boxes.
[[nodiscard]] std::vector<Box> tiles(int width, int height, const epsf::Options& options);

/// Pixels that a tile is measured from: it and what its mask may grow from.
[[nodiscard]] Box reach(const Box& tile, int width, int height, const epsf::Options& options);

/// Pixels that do not count: bad, or brighter than the median of all by
/// background_source_mask_sigma, and what surrounds these.
/// @param sigma of the sky, unit of the data
[[nodiscard]] Image<std::uint8_t> source_mask(const Image<float>& data,
                                              const Image<std::uint8_t>& bad, double sigma,
                                              const epsf::Options& options);

/// The boxes of one tile, row by row; none of a tile without a good pixel.
/// @param reach of the tile   @param pixels of `reach`
/// @throws UnitError (bad_input) when image sizes differ
[[nodiscard]] std::vector<Node> measure(epsf::Pixels pixels, const Box& tile, const Box& reach,
                                        const epsf::Options& options);

}  // namespace skyloom::photometry::background
