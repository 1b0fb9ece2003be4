#include "pipelines/photometry/epsf/objects.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <numeric>
#include <utility>

namespace skyloom::photometry::epsf {
namespace {

constexpr int kOverlap = 128;  // pixels: objects up to this radius are seen whole
constexpr double kSaturatedSnr = 300.0;
constexpr double kFragmentRadius = 15.0;  // one saturated star is one object within this
constexpr double kDropRadius = 12.0;
constexpr int kAnyBad = 0xFF;

/// True when any pixel within `reach` of the rounded position (of the frame) has one of the bits.
bool any_bad(const Frame& frame, double x, double y, int reach, int bits) {
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
bool saturated_centre(const Frame& frame, double& x, double& y) {
  const auto is_saturated = [&](int i, int j) { return (frame.bad(j, i) & kBadSaturated) != 0; };
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

Object measure(const Frame& frame, const sky::Detection& detection, double radius) {
  Object object;
  object.detection = detection;
  const double x = detection.x;
  const double y = detection.y;
  const sky::ApertureSum sum =
      sky::sum_circle(frame.data.view(), frame.sigma.view(), frame.mask.view(), x, y, radius);
  object.flux = sum.flux;
  object.snr = sum.error > 0.0 ? sum.flux / sum.error : 0.0;
  object.r50 = sky::half_light_radius(frame.data.view(), frame.mask.view(), x, y,
                                      std::max(6.0 * detection.a, 3.0));
  object.near_saturated = any_bad(frame, x, y, 2, kBadSaturated);
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

/// Objects of one tile, and the pixels of each.
void add_tile(const Band& band, const Box& tile, const Options& options, double radius,
              Objects& objects) {
  const Frame frame = band.read(tile.grown(kOverlap).intersect(band.box));
  sky::DetectionOptions detection;
  detection.threshold_sigma = options.detect_sigma;
  const sky::Detections found =
      sky::detect(frame.data.view(), frame.sigma.view(), frame.mask.view(), detection);
  std::vector<int> number(found.objects.size(), -1);
  for (std::size_t k = 0; k < found.objects.size(); ++k) {
    const sky::Detection& d = found.objects[k];
    if (tile.contains(d.x + frame.box.x0, d.y + frame.box.y0)) {
      number[k] = static_cast<int>(objects.list.size());
      objects.list.push_back(measure(frame, d, radius));
      objects.list.back().owner = number[k];
    }
  }
  for (int y = 0; y < frame.data.height(); ++y) {
    const auto labels = found.segments.view().row(y);
    for (int x = 0; x < frame.data.width();) {
      const int label = labels[static_cast<std::size_t>(x)];
      int end = x + 1;
      while (end < frame.data.width() && labels[static_cast<std::size_t>(end)] == label) {
        ++end;
      }
      if (label != 0 && number[static_cast<std::size_t>(label - 1)] >= 0) {
        objects.segments.add(y + frame.box.y0, x + frame.box.x0, end + frame.box.x0,
                             number[static_cast<std::size_t>(label - 1)]);
      }
      x = end;
    }
  }
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

/// Entries with x and y, found by position.
template <class Entry>
class PositionIndex {
 public:
  explicit PositionIndex(std::vector<Entry> entries) : entries_(std::move(entries)) {
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const Entry& a, const Entry& b) { return a.y < b.y; });
  }

  [[nodiscard]] const Entry* nearest(double x, double y, double radius) const {
    const Entry* best = nullptr;
    double distance = radius;
    auto entry = std::lower_bound(entries_.begin(), entries_.end(), y - radius,
                                  [](const Entry& e, double value) { return e.y < value; });
    for (; entry != entries_.end() && entry->y <= y + radius; ++entry) {
      const double d = std::hypot(entry->x - x, entry->y - y);
      if (d <= distance && (best == nullptr || d < distance)) {
        best = &*entry;
        distance = d;
      }
    }
    return best;
  }

 private:
  std::vector<Entry> entries_;
};

}  // namespace

void Segments::add(int y, int x0, int x1, int object) {
  rows_[static_cast<std::size_t>(y)].push_back({x0, x1, object});
  longest_ = std::max(longest_, x1 - x0);
}

void Segments::finish() {
  for (std::vector<Run>& row : rows_) {
    row.shrink_to_fit();
    std::sort(row.begin(), row.end(), [](const Run& a, const Run& b) {
      return a.x0 != b.x0 ? a.x0 < b.x0 : a.object < b.object;
    });
  }
}

Image<std::int32_t> Segments::at(const Box& box) const {
  Image<std::int32_t> result(box.width(), box.height(), -1);
  for (int y = std::max(box.y0, 0); y < std::min(box.y1, static_cast<int>(rows_.size())); ++y) {
    const std::vector<Run>& row = rows_[static_cast<std::size_t>(y)];
    auto run = std::lower_bound(row.begin(), row.end(), box.x0 - longest_,
                                [](const Run& r, int x) { return r.x0 < x; });
    for (; run != row.end() && run->x0 < box.x1; ++run) {
      for (int x = std::max(run->x0, box.x0); x < std::min(run->x1, box.x1); ++x) {
        result(y - box.y0, x - box.x0) = run->object;
      }
    }
  }
  return result;
}

Objects find_objects(const Band& band, const Options& options) {
  Objects objects;
  objects.segments = Segments(band.box.height());
  const double guess = band.input->fwhm_guess_pix;
  const double radius = std::max(4.0, std::isfinite(guess) ? guess : 4.0);
  for (const Box& tile : band.tiles) {
    add_tile(band, tile, options, radius, objects);
  }
  objects.segments.finish();
  gather_fragments(objects.list);
  return objects;
}

Knowledge match(const Input& input, const Options& options, const std::vector<Object>& objects) {
  std::vector<KnownStar> wanted;
  if (options.psfstar_mode != "sep") {
    std::copy_if(input.known_stars.begin(), input.known_stars.end(), std::back_inserter(wanted),
                 [&](const KnownStar& star) {
                   return star.mag >= options.gaia_mag_min && star.mag <= options.gaia_mag_max;
                 });
  }
  const PositionIndex<KnownStar> known(std::move(wanted));
  const PositionIndex<CatalogueSource> catalogue(input.catalogue);
  Knowledge result;
  for (const Object& object : objects) {
    const double x = object.detection.x;
    const double y = object.detection.y;
    const double radius = options.gaia_match_r_pix;
    result.gaia.push_back(known.nearest(x, y, radius) != nullptr ? 1 : 0);
    const CatalogueSource* row = catalogue.nearest(x, y, radius);
    result.typed_star.push_back(row != nullptr && row->is_star ? 1 : 0);
    result.typed_other.push_back(row != nullptr && !row->is_star ? 1 : 0);
  }
  return result;
}

}  // namespace skyloom::photometry::epsf
