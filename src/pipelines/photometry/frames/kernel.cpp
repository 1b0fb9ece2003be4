#include "pipelines/photometry/frames/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace skyloom::photometry::frames {

WhiteStack::WhiteStack(int width, int height)
    : sum_(width, height, 0.0), weight_(width, height, 0.0) {}

void WhiteStack::add(ImageView<const float> data, ImageView<const float> invvar) {
  for (int y = 0; y < sum_.height(); ++y) {
    for (int x = 0; x < sum_.width(); ++x) {
      const double w = invvar(y, x);
      if (w > 0.0) {
        sum_(y, x) += w * data(y, x);
        weight_(y, x) += w;
      }
    }
  }
}

Image<float> WhiteStack::mean() const {
  Image<float> out(sum_.width(), sum_.height(), std::numeric_limits<float>::quiet_NaN());
  for (std::size_t i = 0; i < out.pixels().size(); ++i) {
    if (weight_.pixels()[i] > 0.0) {
      out.pixels()[i] = static_cast<float>(sum_.pixels()[i] / weight_.pixels()[i]);
    }
  }
  return out;
}

Image<float> WhiteStack::sigma() const {
  Image<float> out(sum_.width(), sum_.height(), std::numeric_limits<float>::infinity());
  for (std::size_t i = 0; i < out.pixels().size(); ++i) {
    if (weight_.pixels()[i] > 0.0) {
      out.pixels()[i] = static_cast<float>(std::sqrt(1.0 / weight_.pixels()[i]));
    }
  }
  return out;
}

bool saturated_within(ImageView<const std::uint8_t> bad, int x0, int y0, int x, int y,
                      double radius) {
  const int r = static_cast<int>(std::floor(radius));
  for (int dy = -r; dy <= r; ++dy) {
    for (int dx = -r; dx <= r; ++dx) {
      const int column = x + dx - x0;
      const int row = y + dy - y0;
      if (dx * dx + dy * dy <= radius * radius && column >= 0 && column < bad.width() && row >= 0 &&
          row < bad.height() && (bad(row, column) & kSaturated) != 0) {
        return true;
      }
    }
  }
  return false;
}

std::vector<std::uint8_t> saturated_columns(ImageView<const std::uint8_t> bad) {
  const auto width = static_cast<std::size_t>(bad.width());
  std::vector<std::uint8_t> any(width, 0);
  std::uint8_t* found = any.data();
  for (int y = 0; y < bad.height(); ++y) {
    const std::uint8_t* row = bad.row(y).data();
    for (std::size_t x = 0; x < width; ++x) {
      found[x] = static_cast<std::uint8_t>(found[x] | (row[x] & kSaturated));
    }
  }
  return any;
}

Image<float> block_means(ImageView<const float> image, int k) {
  Image<float> out((image.width() + k - 1) / k, (image.height() + k - 1) / k,
                   std::numeric_limits<float>::quiet_NaN());
  for (int by = 0; by < out.height(); ++by) {
    for (int bx = 0; bx < out.width(); ++bx) {
      double sum = 0.0;
      int n = 0;
      for (int y = by * k; y < std::min((by + 1) * k, image.height()); ++y) {
        for (int x = bx * k; x < std::min((bx + 1) * k, image.width()); ++x) {
          const float v = image(y, x);
          sum += std::isfinite(v) ? v : 0.0F;
          n += std::isfinite(v) ? 1 : 0;
        }
      }
      if (n > 0) {
        out(by, bx) = static_cast<float>(sum / n);
      }
    }
  }
  return out;
}

int picture_binning(int wanted, int width, int height) {
  constexpr int kEnough = 1000;
  constexpr int kMost = 2400;
  const int side = std::max(width, height);
  return std::max(std::min(wanted, (side + kEnough - 1) / kEnough), (side + kMost - 1) / kMost);
}

int white_chunk_rows(int height) {
  return height < 8 ? height : std::clamp(height / 8, 256, 1024);
}

}  // namespace skyloom::photometry::frames
