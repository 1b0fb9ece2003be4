#include "pipelines/photometry/background/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>

#include "pipelines/photometry/epsf/frame.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/sky/background.hpp"

namespace skyloom::photometry::background {
namespace {

constexpr int kMaxTile = 1536;  // pixels: detection in it and its overlap takes about 100 MB

/// Sides of tiles along one axis: equal multiples of the mesh's boxes, the last may be smaller.
int tile_side(int size, int box) {
  const int tiles = (size + kMaxTile - 1) / kMaxTile;
  const int side = (size + tiles - 1) / tiles;
  return (side + box - 1) / box * box;
}

}  // namespace

int box_size(const epsf::Options& options) {
  return std::max(8, options.background_boxsize);
}

std::vector<Box> tiles(int width, int height, const epsf::Options& options) {
  const int step_x = tile_side(width, box_size(options));
  const int step_y = tile_side(height, box_size(options));
  std::vector<Box> out;
  for (int y = 0; y < height; y += step_y) {
    for (int x = 0; x < width; x += step_x) {
      out.push_back(Box{x, x + step_x, y, y + step_y}.intersect({0, width, 0, height}));
    }
  }
  return out;
}

Box reach(const Box& tile, int width, int height, const epsf::Options& options) {
  return tile.grown(options.background_mask_dilate).intersect({0, width, 0, height});
}

Image<std::uint8_t> source_mask(const Image<float>& data, const Image<std::uint8_t>& bad,
                                double sigma, const epsf::Options& options) {
  const double limit =
      epsf::median_of_good(data, bad) + options.background_source_mask_sigma * sigma;
  // The largest float that is not above the limit: both comparisons mean the same.
  auto highest = static_cast<float>(limit);
  if (static_cast<double>(highest) > limit) {
    highest = std::nextafter(highest, -std::numeric_limits<float>::infinity());
  }
  Image<std::uint8_t> sources(data.width(), data.height());
  const float* value = data.pixels().data();
  const std::uint8_t* spoilt = bad.pixels().data();
  std::uint8_t* source = sources.pixels().data();
  const std::size_t count = data.pixels().size();
  for (std::size_t k = 0; k < count; ++k) {
    source[k] = static_cast<std::uint8_t>(static_cast<int>(value[k] > highest) &
                                          static_cast<int>(spoilt[k] == 0));
  }
  Image<std::uint8_t> mask = sky::dilated(sources.view(), options.background_mask_dilate);
  std::uint8_t* masked = mask.pixels().data();
  for (std::size_t k = 0; k < count; ++k) {
    masked[k] = static_cast<std::uint8_t>(masked[k] | static_cast<std::uint8_t>(spoilt[k] != 0));
  }
  return mask;
}

std::vector<Node> measure(epsf::Pixels pixels, const Box& tile, const Box& reach,
                          const epsf::Options& options) {
  const epsf::Frame frame = epsf::as_frame(std::move(pixels), reach, 0.0F);
  const double sigma = epsf::median_of_good(frame.sigma, frame.mask);
  if (std::isnan(sigma)) {
    return {};
  }
  const Image<std::uint8_t> grown = source_mask(frame.data, frame.mask, sigma, options);
  const Box inner{tile.x0 - reach.x0, tile.x1 - reach.x0, tile.y0 - reach.y0, tile.y1 - reach.y0};
  const auto mask = grown.view().sub(inner);
  const int side = box_size(options);
  const sky::MeshNodes mesh = sky::mesh_nodes(frame.data.view().sub(inner), mask, side);
  std::vector<Node> nodes;
  for (int j = 0; j < mesh.level.height(); ++j) {
    for (int i = 0; i < mesh.level.width(); ++i) {
      const Box area =
          Box{i * side, (i + 1) * side, j * side, (j + 1) * side}.intersect(mask.box());
      int masked = 0;
      for (int y = area.y0; y < area.y1; ++y) {
        const auto row = mask.row(y);
        masked += std::accumulate(row.begin() + area.x0, row.begin() + area.x1, 0);
      }
      nodes.push_back(
          {tile.y0 / side + j, tile.x0 / side + i, mesh.level(j, i), mesh.rms(j, i),
           static_cast<float>(sigma),
           static_cast<float>(masked) / static_cast<float>(area.width() * area.height())});
    }
  }
  return nodes;
}

}  // namespace skyloom::photometry::background
