#include "pipelines/skycells/downsample/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

namespace skyloom::skycells {
namespace {

/// Pixels first .. last - 1 of row y of the map, all of one detector pixel.
struct Run {
  int y = 0;
  int first = 0;
  int last = 0;
  std::int32_t place = 0;
};

/// The map without what is outside the window.
struct Runs {
  std::vector<Run> runs;             ///< rows ascending
  std::vector<std::int32_t> pixels;  ///< detector pixels by place, in the order of appearance
  std::vector<std::int32_t> count;   ///< pixels of the map on each
};

Runs read_runs(const DownsampleInput& input) {
  Runs out;
  std::unordered_map<std::int32_t, std::int32_t> places;
  const auto place_of = [&](std::int32_t pixel) {
    const auto next = static_cast<std::int32_t>(out.pixels.size());
    const auto [found, is_new] = places.try_emplace(pixel, next);
    if (is_new) {
      out.pixels.push_back(pixel);
      out.count.push_back(0);
    }
    return found->second;
  };
  std::vector<std::int32_t> map(static_cast<std::size_t>(input.width));
  const auto at = [&](int x) { return map[static_cast<std::size_t>(x)]; };
  for (int y = 0; y < input.height; ++y) {
    input.map->next(map);
    for (int x = 0; x < input.width;) {
      const std::int32_t pixel = at(x);
      const int first = x;
      while (x < input.width && at(x) == pixel) {
        ++x;
      }
      const std::int32_t u = pixel % input.detector_width;
      const std::int32_t v = pixel / input.detector_width;
      if (pixel >= 0 && input.window.contains(u, v)) {
        const std::int32_t place = place_of(pixel);
        out.runs.push_back({y, first, x, place});
        out.count[static_cast<std::size_t>(place)] += x - first;
      }
    }
  }
  return out;
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

void add_run(const Run& run, const Displacement& offset, int width, int height,
             const RunningSums& field, OffsetSums& sums) {
  const auto place = static_cast<std::size_t>(run.place);
  const int row = run.y - offset.y;
  const bool is_inside = row >= 0 && row < height;
  const int first = std::clamp(run.first - offset.x, 0, width);
  const int last = is_inside ? std::clamp(run.last - offset.x, 0, width) : first;
  sums.masked[place] += run.last - run.first - (last - first);
  if (last > first) {
    const auto a = static_cast<std::size_t>(first);
    const auto b = static_cast<std::size_t>(last);
    const std::vector<double>& flux = field.flux(row);
    const std::vector<std::int32_t>& masked = field.masked(row);
    sums.flux[place] += flux[b] - flux[a];
    sums.masked[place] += masked[b] - masked[a];
  }
}

/// All offsets of one field.
void add_field(const DownsampleInput& input, const Runs& map, int number,
               std::vector<OffsetSums>& sums) {
  RunningSums field(input, number);
  for (auto run = map.runs.begin(); run != map.runs.end();) {
    const int y = run->y;
    const auto end = std::find_if(run, map.runs.end(), [y](const Run& r) { return r.y != y; });
    field.advance(y);
    for (std::size_t k = 0; k < sums.size(); ++k) {
      if (input.offsets[k].field == number) {
        for (auto each = run; each != end; ++each) {
          add_run(*each, input.offsets[k], input.width, input.height, field, sums[k]);
        }
      }
    }
    run = end;
  }
}

DownsampleResult in_order(const DownsampleInput& input, const Runs& map,
                          const std::vector<OffsetSums>& sums) {
  const std::vector<std::int32_t>& pixels = map.pixels;
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
    out.count.push_back(map.count[i]);
    for (std::size_t k = 0; k < sums.size(); ++k) {
      out.flux[k].push_back(sums[k].flux[i]);
      out.masked[k].push_back(sums[k].masked[i]);
    }
  }
  return out;
}

}  // namespace

DownsampleResult downsample(const DownsampleInput& input) {
  const Runs map = read_runs(input);
  int fields = 0;
  for (const Displacement& offset : input.offsets) {
    fields = std::max(fields, offset.field + 1);
  }
  const std::size_t places = map.pixels.size();
  std::vector<OffsetSums> sums(input.offsets.size(), {std::vector<double>(places, 0.0),
                                                      std::vector<std::int32_t>(places, 0)});
  for (int field = 0; field < fields; ++field) {
    add_field(input, map, field, sums);
  }
  return in_order(input, map, sums);
}

}  // namespace skyloom::skycells
