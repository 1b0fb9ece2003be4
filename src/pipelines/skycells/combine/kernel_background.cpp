#include "pipelines/skycells/combine/kernel_background.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "skyloom/core/errors.hpp"
#include "skyloom/sky/detection.hpp"

namespace skyloom::skycells {
namespace {

constexpr int kMinimumPixels = 5;

/// Result i is whether any of the `count` values from i - before on is set; none is outside.
void any_within(std::span<const std::uint8_t> values, int before, int count,
                std::span<std::uint8_t> out) {
  const int n = static_cast<int>(values.size());
  int set = 0;
  for (int i = -before; i < count - before; ++i) {
    set += i >= 0 && i < n ? values[static_cast<std::size_t>(i)] : 0;
  }
  for (int i = 0; i < n; ++i) {
    out[static_cast<std::size_t>(i)] = set > 0 ? 1 : 0;
    const int leaves = i - before;
    const int enters = leaves + count;
    set -= leaves >= 0 && leaves < n ? values[static_cast<std::size_t>(leaves)] : 0;
    set += enters >= 0 && enters < n ? values[static_cast<std::size_t>(enters)] : 0;
  }
}

/// Dilation by a square that begins `before` pixels before its centre.
void dilate(Image<std::uint8_t>& mask, int before, int side) {
  std::vector<std::uint8_t> line(static_cast<std::size_t>(mask.width()));
  for (int y = 0; y < mask.height(); ++y) {
    any_within(mask.view().row(y), before, side, line);
    std::copy(line.begin(), line.end(), mask.view().row(y).begin());
  }
  // Columns by sums over all columns at once, so that rows are read in their order.
  const int height = mask.height();
  const Image<std::uint8_t> rows = mask;
  std::vector<int> set(static_cast<std::size_t>(mask.width()), 0);
  const auto add = [&](int y, int sign) {
    for (std::size_t x = 0; y >= 0 && y < height && x < set.size(); ++x) {
      set[x] += sign * rows(y, static_cast<int>(x));
    }
  };
  for (int y = -before; y < side - before; ++y) {
    add(y, 1);
  }
  for (int y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < set.size(); ++x) {
      mask(y, static_cast<int>(x)) = set[x] > 0 ? 1 : 0;
    }
    add(y - before, -1);
    add(y - before + side, 1);
  }
}

void invert(Image<std::uint8_t>& mask) {
  for (std::uint8_t& pixel : mask.pixels()) {
    pixel = pixel == 0 ? 1 : 0;
  }
}

}  // namespace

double median_noise(ImageView<const float> sigma) {
  std::vector<float> values;
  for (int y = 0; y < sigma.height(); ++y) {
    for (const float s : sigma.row(y)) {
      if (std::isfinite(s) && s > 0.0F) {
        values.push_back(s);
      }
    }
  }
  if (values.empty()) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  const double upper = *middle;
  return values.size() % 2 == 1 ? upper : 0.5 * (upper + *std::max_element(values.begin(), middle));
}

Image<std::uint8_t> closed(ImageView<const std::uint8_t> mask, int side_pix) {
  const int margin = side_pix;
  Image<std::uint8_t> wide(mask.width() + 2 * margin, mask.height() + 2 * margin);
  const Box inner = wide.box().grown(-margin);
  for (int y = 0; y < mask.height(); ++y) {
    std::copy(mask.row(y).begin(), mask.row(y).end(), wide.view().sub(inner).row(y).begin());
  }
  const int before = side_pix / 2;
  dilate(wide, before, side_pix);
  // Erosion: dilation of what is not set by the reflected square.
  invert(wide);
  dilate(wide, side_pix - 1 - before, side_pix);
  invert(wide);
  Image<std::uint8_t> out(mask.width(), mask.height());
  for (int y = 0; y < mask.height(); ++y) {
    const auto row = wide.view().sub(inner).row(y);
    std::copy(row.begin(), row.end(), out.view().row(y).begin());
  }
  return out;
}

SourceMap find_sources(ImageView<const float> image, ImageView<const float> sigma,
                       const SegmentOptions& options) {
  const double median = median_noise(sigma);
  if (!(median > 0.0)) {
    throw UnitError(Reason::no_good_data, "no pixel has a noise above 0");
  }
  SourceMap out;
  out.bright = Image<std::uint8_t>(image.width(), image.height());
  const double limit = options.bright_sigma * median;
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      out.bright(y, x) = static_cast<double>(image(y, x)) > limit ? 1 : 0;
    }
  }
  if (options.closing_pix > 0) {
    out.bright = closed(out.bright.view(), options.closing_pix);
  }
  Image<std::uint8_t> unusable = out.bright;
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      if (!std::isfinite(image(y, x)) || !std::isfinite(sigma(y, x)) || sigma(y, x) <= 0.0F) {
        unusable(y, x) = 1;
      }
    }
  }
  sky::DetectionOptions detection;
  detection.threshold_sigma = options.detect_sigma;
  detection.min_area_pix = kMinimumPixels;
  detection.deblend_levels = 1;
  detection.clean = false;
  sky::Detections found = sky::detect(image, sigma, unusable.view(), detection);
  out.count = static_cast<int>(found.objects.size());
  out.segments = std::move(found.segments);
  return out;
}

void keep_sources(const SourceMap& sources, ImageView<float> image) {
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      if (sources.bright(y, x) == 0 && sources.segments(y, x) == 0 && !std::isnan(image(y, x))) {
        image(y, x) = 0.0F;
      }
    }
  }
}

}  // namespace skyloom::skycells
