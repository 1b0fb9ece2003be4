#include "pipelines/photometry/objects/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

namespace skyloom::photometry::objects {
namespace {

constexpr int kOverlap = 128;  // pixels: objects up to this radius are seen whole
constexpr double kSaturatedSnr = 300.0;
constexpr double kFragmentRadius = 15.0;  // one saturated star is one object within this
constexpr double kDropRadius = 12.0;
constexpr int kAnyBad = 0xFF;

/// Seven bits per byte, the lowest first; the eighth says that more follow.
void put(std::uint32_t value, std::vector<std::uint8_t>& out) {
  for (; value > 127; value >>= 7) {
    out.push_back(static_cast<std::uint8_t>(value | 128U));
  }
  out.push_back(static_cast<std::uint8_t>(value));
}

std::uint32_t take(std::span<const std::uint8_t> bytes, std::size_t& at) {
  std::uint32_t value = 0;
  for (int shift = 0; at < bytes.size(); shift += 7) {
    const std::uint8_t byte = bytes[at++];
    value |= static_cast<std::uint32_t>(byte & 127U) << shift;
    if (byte < 128) {
      break;
    }
  }
  return value;
}

/// True when any pixel within `reach` of the rounded position (of the frame) has one of the bits.
bool any_bad(const epsf::Frame& frame, double x, double y, int reach, int bits) {
  const int cx = static_cast<int>(std::lround(x));
  const int cy = static_cast<int>(std::lround(y));
  const Box box =
      Box{cx - reach, cx + reach + 1, cy - reach, cy + reach + 1}.intersect(frame.data.box());
  for (int j = box.y0; j < box.y1; ++j) {
    for (int i = box.x0; i < box.x1; ++i) {
      if ((frame.bad(j, i) & bits) != 0 || (bits == kAnyBad && frame.mask(j, i) != 0)) {
        return true;
      }
    }
  }
  return false;
}

/// Centre of the connected saturated pixels next to a position; false when they are few.
bool saturated_centre(const epsf::Frame& frame, double& x, double& y) {
  const auto is_saturated = [&](int i, int j) {
    return (frame.bad(j, i) & epsf::kBadSaturated) != 0;
  };
  const Box around = Box{static_cast<int>(std::lround(x)) - 2, static_cast<int>(std::lround(x)) + 3,
                         static_cast<int>(std::lround(y)) - 2, static_cast<int>(std::lround(y)) + 3}
                         .intersect(frame.data.box());
  const Box reach = around.grown(20).intersect(frame.data.box());
  Image<std::uint8_t> seen(reach.width(), reach.height());
  std::vector<std::pair<int, int>> stack;
  for (int j = around.y0; j < around.y1 && stack.empty(); ++j) {
    for (int i = around.x0; i < around.x1 && stack.empty(); ++i) {
      if (is_saturated(i, j)) {
        stack.emplace_back(i, j);
        seen(j - reach.y0, i - reach.x0) = 1;
      }
    }
  }
  double sum_x = 0.0;
  double sum_y = 0.0;
  int count = 0;
  while (!stack.empty()) {
    const auto [i, j] = stack.back();
    stack.pop_back();
    sum_x += i;
    sum_y += j;
    ++count;
    for (int b = std::max(j - 1, reach.y0); b < std::min(j + 2, reach.y1); ++b) {
      for (int a = std::max(i - 1, reach.x0); a < std::min(i + 2, reach.x1); ++a) {
        if (seen(b - reach.y0, a - reach.x0) == 0 && is_saturated(a, b)) {
          seen(b - reach.y0, a - reach.x0) = 1;
          stack.emplace_back(a, b);
        }
      }
    }
  }
  if (count < 5) {
    return false;
  }
  x = sum_x / count;
  y = sum_y / count;
  return true;
}

Object measure(const epsf::Frame& frame, const sky::Detection& detection, double radius) {
  Object object;
  object.detection = detection;
  const double x = detection.x;
  const double y = detection.y;
  const sky::ApertureSum sum =
      sky::sum_circle(frame.data.view(), frame.sigma.view(), frame.mask.view(), x, y, radius);
  object.flux = sum.flux;
  object.snr = sum.error > 0.0 ? sum.flux / sum.error : 0.0;
  object.r50 = object.snr > kLeastSnr
                   ? sky::half_light_radius(frame.data.view(), frame.mask.view(), x, y,
                                            std::max(6.0 * detection.a, 3.0))
                   : std::numeric_limits<double>::quiet_NaN();
  object.near_saturated = any_bad(frame, x, y, 2, epsf::kBadSaturated);
  object.near_bad = any_bad(frame, x, y, 1, kAnyBad);
  // The barycentre of a star without its core is nowhere near it.
  if (object.near_saturated && object.snr >= kSaturatedSnr) {
    object.saturated = true;
    saturated_centre(frame, object.detection.x, object.detection.y);
  }
  object.detection.x += frame.box.x0;
  object.detection.y += frame.box.y0;
  return object;
}

/// Gives the fragments of saturated stars to the brightest of them.
void gather_fragments(std::vector<Object>& objects) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (objects[i].saturated) {
      order.push_back(i);
      objects[i].saturated = false;
    }
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return objects[a].flux > objects[b].flux; });
  for (const std::size_t i : order) {
    Object& object = objects[i];
    if (object.owner != static_cast<int>(i)) {
      continue;
    }
    object.saturated = true;
    for (std::size_t k = 0; k < objects.size(); ++k) {
      Object& other = objects[k];
      const double dx = other.detection.x - object.detection.x;
      const double dy = other.detection.y - object.detection.y;
      const double radius = other.near_saturated ? kFragmentRadius : kDropRadius;
      if (k != i && !other.saturated && dx * dx + dy * dy < radius * radius) {
        other.owner = static_cast<int>(i);
      }
    }
  }
}

}  // namespace

void Segments::add(const Run& run) {
  rows_[static_cast<std::size_t>(run.y)].push_back({run.x0, run.x1, run.object});
  longest_ = std::max(longest_, run.x1 - run.x0);
}

void Segments::finish() {
  for (std::vector<Part>& row : rows_) {
    row.shrink_to_fit();
    std::sort(row.begin(), row.end(), [](const Part& a, const Part& b) {
      return a.x0 != b.x0 ? a.x0 < b.x0 : a.object < b.object;
    });
  }
}

Image<std::int32_t> Segments::at(const Box& box) const {
  Image<std::int32_t> result(box.width(), box.height(), -1);
  for (int y = std::max(box.y0, 0); y < std::min(box.y1, static_cast<int>(rows_.size())); ++y) {
    const std::vector<Part>& row = rows_[static_cast<std::size_t>(y)];
    auto run = std::lower_bound(row.begin(), row.end(), box.x0 - longest_,
                                [](const Part& r, int x) { return r.x0 < x; });
    for (; run != row.end() && run->x0 < box.x1; ++run) {
      for (int x = std::max(run->x0, box.x0); x < std::min(run->x1, box.x1); ++x) {
        result(y - box.y0, x - box.x0) = run->object;
      }
    }
  }
  return result;
}

Box reach(const Box& tile, int width, int height) {
  return tile.grown(kOverlap).intersect({0, width, 0, height});
}

Found find(const epsf::Frame& frame, const Box& tile, double fwhm_guess_pix,
           const epsf::Options& options) {
  const double radius = std::max(4.0, std::isfinite(fwhm_guess_pix) ? fwhm_guess_pix : 4.0);
  sky::DetectionOptions detection;
  detection.threshold_sigma = options.detect_sigma;
  const sky::Detections detected =
      sky::detect(frame.data.view(), frame.sigma.view(), frame.mask.view(), detection);
  Found found;
  std::vector<int> number(detected.objects.size(), -1);
  for (std::size_t k = 0; k < detected.objects.size(); ++k) {
    const sky::Detection& d = detected.objects[k];
    if (tile.contains(d.x + frame.box.x0, d.y + frame.box.y0)) {
      number[k] = static_cast<int>(found.objects.size());
      found.objects.push_back(measure(frame, d, radius));
    }
  }
  for (int y = 0; y < frame.data.height(); ++y) {
    const auto labels = detected.segments.view().row(y);
    for (int x = 0; x < frame.data.width();) {
      const int label = labels[static_cast<std::size_t>(x)];
      int end = x + 1;
      while (end < frame.data.width() && labels[static_cast<std::size_t>(end)] == label) {
        ++end;
      }
      if (label != 0 && number[static_cast<std::size_t>(label - 1)] >= 0) {
        found.runs.push_back({y + frame.box.y0, x + frame.box.x0, end + frame.box.x0,
                              number[static_cast<std::size_t>(label - 1)]});
      }
      x = end;
    }
  }
  return found;
}

Objects join(const std::vector<Found>& tiles, int height) {
  Objects all;
  all.segments = Segments(height);
  for (const Found& found : tiles) {
    const auto first = static_cast<int>(all.list.size());
    for (const Object& object : found.objects) {
      all.list.push_back(object);
      all.list.back().owner = static_cast<int>(all.list.size()) - 1;
    }
    for (const Run& run : found.runs) {
      all.segments.add({run.y, run.x0, run.x1, first + run.object});
    }
  }
  all.segments.finish();
  gather_fragments(all.list);
  return all;
}

std::vector<std::uint8_t> packed(const std::vector<Run>& runs, const Box& reach) {
  std::vector<std::uint8_t> out;
  Run last{reach.y0, reach.x0, reach.x0, 0};
  for (const Run& run : runs) {
    put(static_cast<std::uint32_t>(run.y - last.y), out);
    put(static_cast<std::uint32_t>(run.x0 - (run.y == last.y ? last.x1 : reach.x0)), out);
    put(static_cast<std::uint32_t>(run.x1 - run.x0), out);
    const int step = run.object - last.object;
    put(static_cast<std::uint32_t>(step >= 0 ? 2 * step : -2 * step - 1), out);
    last = run;
  }
  return out;
}

std::vector<Run> unpacked(std::span<const std::uint8_t> bytes, const Box& reach) {
  std::vector<Run> out;
  Run run{reach.y0, reach.x0, reach.x0, 0};
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto down = static_cast<int>(take(bytes, at));
    run.y += down;
    run.x0 = (down == 0 ? run.x1 : reach.x0) + static_cast<int>(take(bytes, at));
    run.x1 = run.x0 + static_cast<int>(take(bytes, at));
    const auto step = static_cast<int>(take(bytes, at));
    run.object += step % 2 == 0 ? step / 2 : -(step + 1) / 2;
    out.push_back(run);
  }
  return out;
}

}  // namespace skyloom::photometry::objects
