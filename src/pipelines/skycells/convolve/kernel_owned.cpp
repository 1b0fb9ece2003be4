#include "pipelines/skycells/convolve/kernel_owned.hpp"

#include <algorithm>
#include <limits>

namespace skyloom::skycells {

OwnedPixels::OwnedPixels(const CellGeometry& g, const Neighbours& around)
    : columns_{around.at(-1, 0) ? g.overlap - g.edge : 0, g.width - (around.at(1, 0) ? g.edge : 0)},
      lower_(g.overlap - g.edge),
      upper_(g.height - g.edge) {
  const auto covered = [&](int dy) {
    std::vector<bool> columns(static_cast<std::size_t>(g.width), false);
    for (int dx = -1; dx <= 1; ++dx) {
      if (around.at(dx, dy)) {
        const int first = std::clamp(dx * g.step_x(), 0, g.width);
        const int last = std::clamp(dx * g.step_x() + g.width, 0, g.width);
        std::fill(columns.begin() + first, columns.begin() + last, true);
      }
    }
    return columns;
  };
  below_ = covered(-1);
  above_ = covered(1);
}

void OwnedPixels::clear_others(int row, std::span<float> values) const {
  for (std::size_t x = 0; x < values.size(); ++x) {
    if (!owns(row, static_cast<int>(x))) {
      values[x] = std::numeric_limits<float>::quiet_NaN();
    }
  }
}

void OwnedPixels::mark_others(int row, std::span<std::uint64_t> bits) const {
  for (std::size_t x = 0; x < below_.size(); ++x) {
    if (!owns(row, static_cast<int>(x))) {
      bits[x / 64] |= std::uint64_t{1} << (x % 64);
    }
  }
}

}  // namespace skyloom::skycells
