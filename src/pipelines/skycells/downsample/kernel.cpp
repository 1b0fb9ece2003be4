#include "pipelines/skycells/downsample/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

namespace skyloom::skycells {
namespace {

/// Pixels first .. last - 1 of a map row, all of one detector pixel.
struct Run {
  int first = 0;
  int last = 0;
  std::size_t place = 0;
};

/// Detector pixels in the order of their first appearance.
class Places {
 public:
  std::size_t of(std::int32_t pixel) {
    const auto [found, is_new] = places_.try_emplace(pixel, pixels_.size());
    if (is_new) {
      pixels_.push_back(pixel);
    }
    return found->second;
  }
  [[nodiscard]] const std::vector<std::int32_t>& pixels() const { return pixels_; }

 private:
  std::unordered_map<std::int32_t, std::size_t> places_;
  std::vector<std::int32_t> pixels_;
};

void find_runs(const DownsampleInput& input, std::span<const std::int32_t> map, Places& places,
               std::vector<Run>& runs) {
  runs.clear();
  const int width = static_cast<int>(map.size());
  const auto at = [&](int x) { return map[static_cast<std::size_t>(x)]; };
  for (int x = 0; x < width;) {
    const std::int32_t pixel = at(x);
    const int first = x;
    while (x < width && at(x) == pixel) {
      ++x;
    }
    if (pixel >= 0 &&
        input.window.contains(pixel % input.detector_width, pixel / input.detector_width)) {
      runs.push_back({first, x, places.of(pixel)});
    }
  }
}

/// Running sums of the rows of a field that the displacements can still ask for.
class RunningSums {
 public:
  RunningSums(const DownsampleInput& input, int field) : input_(&input), field_(field) {
    bool is_first = true;
    for (const Displacement& offset : input.offsets) {
      if (offset.field == field) {
        least_ = is_first ? offset.y : std::min(least_, offset.y);
        most_ = is_first ? offset.y : std::max(most_, offset.y);
        is_first = false;
      }
    }
    const auto rows = static_cast<std::size_t>(most_ - least_ + 1);
    const auto entries = static_cast<std::size_t>(input.width) + 1;
    flux_.assign(rows, std::vector<double>(entries));
    masked_.assign(rows, std::vector<std::int32_t>(entries));
    values_.resize(entries - 1);
    mask_.resize(entries - 1);
  }

  /// Reads what row y of the map needs and is not there yet.
  void advance(int y) {
    next_ = std::max({next_, y - most_, 0});
    for (; next_ <= std::min(y - least_, input_->height - 1); ++next_) {
      input_->pixels->row(field_, next_, values_, mask_);
      add(next_);
    }
  }
  /// Entry i: sum of the pixels before i of row y of the field.
  [[nodiscard]] const std::vector<double>& flux(int y) const { return flux_[slot(y)]; }
  [[nodiscard]] const std::vector<std::int32_t>& masked(int y) const { return masked_[slot(y)]; }

 private:
  [[nodiscard]] std::size_t slot(int y) const { return static_cast<std::size_t>(y) % flux_.size(); }

  void add(int y) {
    std::vector<double>& flux = flux_[slot(y)];
    std::vector<std::int32_t>& masked = masked_[slot(y)];
    double sum = 0.0;
    std::int32_t count = 0;
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const bool is_left_out = std::isnan(values_[i]) || (mask_[i] & input_->ignored_bits) != 0;
      sum += is_left_out ? 0.0 : static_cast<double>(values_[i]);
      count += mask_[i] != 0 ? 1 : 0;
      flux[i + 1] = sum;
      masked[i + 1] = count;
    }
  }

  const DownsampleInput* input_;
  int field_;
  int least_ = 0;
  int most_ = 0;
  int next_ = 0;
  std::vector<std::vector<double>> flux_;
  std::vector<std::vector<std::int32_t>> masked_;
  std::vector<float> values_;
  std::vector<std::uint16_t> mask_;
};

/// Sums per detector pixel for one offset.
struct OffsetSums {
  std::vector<double> flux;
  std::vector<std::int32_t> masked;
};

void add_runs(const std::vector<Run>& runs, const Displacement& offset, int y, int width,
              int height, const RunningSums& field, OffsetSums& sums) {
  const int row = y - offset.y;
  const bool is_inside = row >= 0 && row < height;
  for (const Run& run : runs) {
    const int first = std::clamp(run.first - offset.x, 0, width);
    const int last = is_inside ? std::clamp(run.last - offset.x, 0, width) : first;
    sums.masked[run.place] += run.last - run.first - (last - first);
    if (last > first) {
      const auto a = static_cast<std::size_t>(first);
      const auto b = static_cast<std::size_t>(last);
      const std::vector<double>& flux = field.flux(row);
      const std::vector<std::int32_t>& masked = field.masked(row);
      sums.flux[run.place] += flux[b] - flux[a];
      sums.masked[run.place] += masked[b] - masked[a];
    }
  }
}

DownsampleResult in_order(const DownsampleInput& input, const Places& places,
                          const std::vector<std::int32_t>& count,
                          const std::vector<OffsetSums>& sums) {
  const std::vector<std::int32_t>& pixels = places.pixels();
  std::vector<std::size_t> order(pixels.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return pixels[a] < pixels[b]; });
  DownsampleResult out;
  out.flux.resize(sums.size());
  out.masked.resize(sums.size());
  for (const std::size_t i : order) {
    out.x.push_back(pixels[i] % input.detector_width - input.window.x0);
    out.y.push_back(pixels[i] / input.detector_width - input.window.y0);
    out.count.push_back(count[i]);
    for (std::size_t k = 0; k < sums.size(); ++k) {
      out.flux[k].push_back(sums[k].flux[i]);
      out.masked[k].push_back(sums[k].masked[i]);
    }
  }
  return out;
}

}  // namespace

DownsampleResult downsample(const DownsampleInput& input) {
  int fields = 0;
  for (const Displacement& offset : input.offsets) {
    fields = std::max(fields, offset.field + 1);
  }
  std::vector<RunningSums> rows;
  for (int field = 0; field < fields; ++field) {
    rows.emplace_back(input, field);
  }
  Places places;
  std::vector<std::int32_t> count;
  std::vector<OffsetSums> sums(input.offsets.size());
  std::vector<std::int32_t> map(static_cast<std::size_t>(input.width));
  std::vector<Run> runs;
  for (int y = 0; y < input.height; ++y) {
    input.map->next(map);
    find_runs(input, map, places, runs);
    if (runs.empty()) {
      continue;
    }
    count.resize(places.pixels().size(), 0);
    for (const Run& run : runs) {
      count[run.place] += run.last - run.first;
    }
    for (RunningSums& field : rows) {
      field.advance(y);
    }
    for (std::size_t k = 0; k < sums.size(); ++k) {
      const Displacement& offset = input.offsets[k];
      sums[k].flux.resize(count.size(), 0.0);
      sums[k].masked.resize(count.size(), 0);
      add_runs(runs, offset, y, input.width, input.height,
               rows[static_cast<std::size_t>(offset.field)], sums[k]);
    }
  }
  return in_order(input, places, count, sums);
}

}  // namespace skyloom::skycells
