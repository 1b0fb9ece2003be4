#include "pipelines/skycells/combine/kernel_background.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "skyloom/core/errors.hpp"

namespace skyloom::skycells {
namespace {

constexpr std::int32_t kMinimumPixels = 5;

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

/// Rows of light over variance and of one over variance, with a zero on both sides; 0 where a pixel
/// may not be used.
struct FilterRow {
  std::vector<double> light;
  std::vector<double> weight;

  explicit FilterRow(int width)
      : light(static_cast<std::size_t>(width) + 2), weight(static_cast<std::size_t>(width) + 2) {}
  void fill(std::span<const float> image, std::span<const float> sigma,
            std::span<const std::uint8_t> bright) {
    for (std::size_t x = 0; x < image.size(); ++x) {
      const bool usable =
          bright[x] == 0 && std::isfinite(image[x]) && std::isfinite(sigma[x]) && sigma[x] > 0.0F;
      const double w =
          usable ? 1.0 / (static_cast<double>(sigma[x]) * static_cast<double>(sigma[x])) : 0.0;
      weight[x + 1] = w;
      light[x + 1] = usable ? w * static_cast<double>(image[x]) : 0.0;
    }
  }
  void clear() {
    std::fill(light.begin(), light.end(), 0.0);
    std::fill(weight.begin(), weight.end(), 0.0);
  }
};

/// Whether the filtered light of pixel x of the middle row is above a threshold in its noise.
bool is_detected(const FilterRow* const (&rows)[3], std::size_t x, double threshold) {
  if (rows[1]->weight[x + 1] == 0.0) {
    return false;
  }
  double light = 0.0;
  double noise2 = 0.0;
  for (std::size_t j = 0; j < 3; ++j) {
    const double factor = j == 1 ? 2.0 : 1.0;
    const double* l = &rows[j]->light[x];
    const double* w = &rows[j]->weight[x];
    light += factor * (l[0] + 2.0 * l[1] + l[2]);
    noise2 += factor * factor * (w[0] + 4.0 * w[1] + w[2]);
  }
  return light > threshold * std::sqrt(noise2);
}

/// Groups of connected pixels while rows are scanned: provisional numbers, and which are one.
class Groups {
 public:
  std::int32_t begin() {
    parent_.push_back(static_cast<std::int32_t>(parent_.size()));
    size_.push_back(0);
    return parent_.back();
  }
  std::int32_t root(std::int32_t group) {
    while (at(parent_, group) != group) {
      at(parent_, group) = at(parent_, at(parent_, group));
      group = at(parent_, group);
    }
    return group;
  }
  /// The older number stays.
  std::int32_t join(std::int32_t a, std::int32_t b) {
    a = root(a);
    b = root(b);
    const std::int32_t kept = std::min(a, b);
    const std::int32_t gone = std::max(a, b);
    if (kept != gone) {
      at(parent_, gone) = kept;
      at(size_, kept) += at(size_, gone);
    }
    return kept;
  }
  void count(std::int32_t group) { ++at(size_, group); }
  /// Final number of every provisional one, from 1, 0 for groups that are too small.
  std::vector<std::int32_t> numbers(int& count) {
    std::vector<std::int32_t> out(parent_.size(), 0);
    count = 0;
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(out.size()); ++i) {
      const std::int32_t r = root(i);
      at(out, i) = r != i ? at(out, r) : at(size_, i) >= kMinimumPixels ? ++count : 0;
    }
    return out;
  }

 private:
  static std::int32_t& at(std::vector<std::int32_t>& values, std::int32_t i) {
    return values[static_cast<std::size_t>(i)];
  }
  std::vector<std::int32_t> parent_;
  std::vector<std::int32_t> size_;
};

/// Detected pixels to groups, 8-connected: 1 + provisional number.
Image<std::int32_t> label(ImageView<const float> image, ImageView<const float> sigma,
                          const Image<std::uint8_t>& bright, double threshold, Groups& groups) {
  const int width = image.width();
  const int height = image.height();
  Image<std::int32_t> labels(width, height);
  std::vector<FilterRow> rows(3, FilterRow(width));
  const auto fill = [&](int y) {
    FilterRow& row = rows[static_cast<std::size_t>(y % 3)];
    if (y < height) {
      row.fill(image.row(y), sigma.row(y), bright.view().row(y));
    } else {
      row.clear();
    }
  };
  fill(0);
  for (int y = 0; y < height; ++y) {
    fill(y + 1);
    // Before the first row is what begins as zeros.
    const FilterRow* const around[3] = {&rows[static_cast<std::size_t>((y + 2) % 3)],
                                        &rows[static_cast<std::size_t>(y % 3)],
                                        &rows[static_cast<std::size_t>((y + 1) % 3)]};
    for (int x = 0; x < width; ++x) {
      if (!is_detected(around, static_cast<std::size_t>(x), threshold)) {
        continue;
      }
      std::int32_t group = x > 0 ? labels(y, x - 1) - 1 : -1;
      for (int i = std::max(0, x - 1); y > 0 && i < std::min(width, x + 2); ++i) {
        const std::int32_t other = labels(y - 1, i) - 1;
        group = other < 0 ? group : group < 0 ? groups.root(other) : groups.join(group, other);
      }
      group = group < 0 ? groups.begin() : groups.root(group);
      groups.count(group);
      labels(y, x) = group + 1;
    }
  }
  return labels;
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
  Groups groups;
  out.segments = label(image, sigma, out.bright, options.detect_sigma, groups);
  const std::vector<std::int32_t> numbers = groups.numbers(out.count);
  for (std::int32_t& segment : out.segments.pixels()) {
    segment = segment == 0 ? 0 : numbers[static_cast<std::size_t>(segment - 1)];
  }
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
