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

constexpr double kStripPixels = 4e6;

/// Part of an image with all of its columns, as an image.
template <class T>
Image<T> rows_of(const Image<T>& image, int y0, int y1) {
  Image<T> out(image.width(), y1 - y0);
  const auto from = image.pixels().begin() + static_cast<std::ptrdiff_t>(y0) * image.width();
  std::copy(from, from + static_cast<std::ptrdiff_t>(out.pixels().size()), out.pixels().begin());
  return out;
}

}  // namespace

int box_size(const epsf::Options& options) {
  return std::max(8, options.background_boxsize);
}

std::vector<Box> strips(int width, int height, const epsf::Options& options) {
  const int box = box_size(options);
  const int boxes = (height + box - 1) / box;
  const int most = std::max(1, static_cast<int>(kStripPixels / (static_cast<double>(width) * box)));
  const int count = (boxes + most - 1) / most;
  const int rows = (boxes + count - 1) / count * box;
  std::vector<Box> out;
  for (int y = 0; y < height; y += rows) {
    out.push_back({0, width, y, std::min(y + rows, height)});
  }
  return out;
}

Box reach(const Box& strip, int height, const epsf::Options& options) {
  const int growth = options.background_mask_dilate;
  return {strip.x0, strip.x1, std::max(0, strip.y0 - growth), std::min(height, strip.y1 + growth)};
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

std::vector<Node> measure(epsf::Pixels pixels, const Box& strip, int height,
                          const epsf::Options& options) {
  const Box box = reach(strip, height, options);
  const epsf::Frame frame = epsf::as_frame(std::move(pixels), box, 0.0F);
  const double sigma = epsf::median_of_good(frame.sigma, frame.mask);
  if (std::isnan(sigma)) {
    return {};
  }
  const int low = strip.y0 - box.y0;
  const int high = strip.y1 - box.y0;
  const Image<float> data = rows_of(frame.data, low, high);
  const Image<std::uint8_t> mask =
      rows_of(source_mask(frame.data, frame.mask, sigma, options), low, high);
  const int side = box_size(options);
  const sky::MeshNodes mesh = sky::mesh_nodes(data.view(), mask.view(), side);
  std::vector<Node> nodes;
  for (int j = 0; j < mesh.level.height(); ++j) {
    for (int i = 0; i < mesh.level.width(); ++i) {
      const Box area = Box{i * side, (i + 1) * side, j * side, (j + 1) * side}.intersect(
          {0, data.width(), 0, data.height()});
      int masked = 0;
      for (int y = area.y0; y < area.y1; ++y) {
        const auto row = mask.view().row(y);
        masked += std::accumulate(row.begin() + area.x0, row.begin() + area.x1, 0);
      }
      nodes.push_back(
          {strip.y0 / side + j, i, mesh.level(j, i), mesh.rms(j, i), static_cast<float>(sigma),
           static_cast<float>(masked) / static_cast<float>(area.width() * area.height())});
    }
  }
  return nodes;
}

}  // namespace skyloom::photometry::background
