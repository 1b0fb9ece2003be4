#include "pipelines/photometry/epsf/stars.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace skyloom::photometry::epsf {
namespace {

constexpr double kMaxAxisRatio = 1.8;
constexpr double kLocusSnr = 40.0;
constexpr double kSaturatedSnr = 300.0;
constexpr double kFragmentRadius = 15.0;  // one saturated star is one object within this
constexpr double kDropRadius = 12.0;
constexpr double kNeighbourLocus = 0.15;
constexpr double kNeighbourSnr = 5.0;

/// True when any pixel within `reach` of the rounded position has one of the bits.
bool any_bad(const Frame& frame, double x, double y, int reach, std::uint8_t bits) {
  const Box box =
      Box{static_cast<int>(std::lround(x)) - reach, static_cast<int>(std::lround(x)) + reach + 1,
          static_cast<int>(std::lround(y)) - reach, static_cast<int>(std::lround(y)) + reach + 1}
          .intersect(frame.data.box());
  for (int j = box.y0; j < box.y1; ++j) {
    for (int i = box.x0; i < box.x1; ++i) {
      if ((frame.bad(j, i) & bits) != 0 || (bits == 0xFF && frame.mask(j, i) != 0)) {
        return true;
      }
    }
  }
  return false;
}

std::vector<Object> measure(const Frame& frame, const std::vector<sky::Detection>& detections,
                            double radius) {
  std::vector<Object> objects;
  for (const sky::Detection& detection : detections) {
    Object object;
    object.detection = detection;
    object.owner = static_cast<int>(objects.size());
    const sky::ApertureSum sum = sky::sum_circle(
        frame.data.view(), frame.sigma.view(), frame.mask.view(), detection.x, detection.y, radius);
    object.flux = sum.flux;
    object.snr = sum.error > 0.0 ? sum.flux / sum.error : 0.0;
    object.r50 = sky::half_light_radius(frame.data.view(), frame.mask.view(), detection.x,
                                        detection.y, std::max(6.0 * detection.a, 3.0));
    objects.push_back(object);
  }
  return objects;
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

/// Marks saturated objects and gives their fragments to the brightest of them.
void mark_saturated(const Frame& frame, std::vector<Object>& objects) {
  std::vector<std::size_t> order(objects.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return objects[a].flux > objects[b].flux; });
  for (const std::size_t i : order) {
    Object& object = objects[i];
    if (object.owner != static_cast<int>(i) || object.snr < kSaturatedSnr ||
        !any_bad(frame, object.detection.x, object.detection.y, 2, kBadSaturated)) {
      continue;
    }
    object.saturated = true;
    saturated_centre(frame, object.detection.x, object.detection.y);
    for (std::size_t k = 0; k < objects.size(); ++k) {
      Object& other = objects[k];
      const double distance = std::hypot(other.detection.x - object.detection.x,
                                         other.detection.y - object.detection.y);
      const bool touched = any_bad(frame, other.detection.x, other.detection.y, 2, kBadSaturated);
      if (k != i && !other.saturated && distance < (touched ? kFragmentRadius : kDropRadius)) {
        other.owner = static_cast<int>(i);
      }
    }
  }
}

/// Mode by repeated half-samples: the densest half of the sorted values, until three remain.
double half_sample_mode(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  std::size_t begin = 0;
  std::size_t count = values.size();
  while (count > 3) {
    const std::size_t half = (count + 1) / 2;
    std::size_t best = begin;
    for (std::size_t k = begin; k + half <= begin + count; ++k) {
      if (values[k + half - 1] - values[k] < values[best + half - 1] - values[best]) {
        best = k;
      }
    }
    begin = best;
    count = half;
  }
  double sum = 0.0;
  for (std::size_t k = 0; k < count; ++k) {
    sum += values[begin + k];
  }
  return count > 0 ? sum / static_cast<double>(count) : 0.0;
}

template <class Positions>
const typename Positions::value_type* nearest(const Positions& list, double x, double y,
                                              double radius) {
  const typename Positions::value_type* best = nullptr;
  double distance = radius;
  for (const auto& entry : list) {
    const double d = std::hypot(entry.x - x, entry.y - y);
    if (d <= distance && (best == nullptr || d < distance)) {
      best = &entry;
      distance = d;
    }
  }
  return best;
}

/// What the outside knows about each object.
struct Knowledge {
  std::vector<std::uint8_t> gaia;
  std::vector<std::uint8_t> typed_star;
  std::vector<std::uint8_t> typed_other;
};

Knowledge match(const Input& input, const Options& options, const std::vector<Object>& objects) {
  std::vector<KnownStar> known;
  std::copy_if(input.known_stars.begin(), input.known_stars.end(), std::back_inserter(known),
               [&](const KnownStar& star) {
                 return star.mag >= options.gaia_mag_min && star.mag <= options.gaia_mag_max;
               });
  Knowledge result;
  const bool use_gaia = options.psfstar_mode != "sep";
  for (const Object& object : objects) {
    const double x = object.detection.x;
    const double y = object.detection.y;
    const double radius = options.gaia_match_r_pix;
    result.gaia.push_back(use_gaia && nearest(known, x, y, radius) != nullptr ? 1 : 0);
    const CatalogueSource* row = nearest(input.catalogue, x, y, radius);
    result.typed_star.push_back(row != nullptr && row->is_star ? 1 : 0);
    result.typed_other.push_back(row != nullptr && !row->is_star ? 1 : 0);
  }
  return result;
}

bool is_round_enough(const Object& object) {
  return object.detection.b > 0.0 && object.detection.a < kMaxAxisRatio * object.detection.b &&
         std::isfinite(object.r50);
}

double stellar_locus(const std::vector<Object>& objects, const Knowledge& knowledge) {
  std::vector<double> all;
  std::vector<double> bright;
  std::vector<double> known;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const Object& object = objects[i];
    if (object.saturated || object.owner != static_cast<int>(i) || !is_round_enough(object)) {
      continue;
    }
    if (object.snr > 0.5 * kLocusSnr) {
      all.push_back(object.r50);
    }
    if (object.snr > kLocusSnr) {
      bright.push_back(object.r50);
      if (knowledge.gaia[i] != 0 || knowledge.typed_star[i] != 0) {
        known.push_back(object.r50);
      }
    }
  }
  if (known.size() >= 5) {
    return median_of(std::move(known));
  }
  return half_sample_mode(bright.size() >= 3 ? std::move(bright) : std::move(all));
}

bool is_isolated(const Options& options, const std::vector<Object>& objects, std::size_t i) {
  const Object& object = objects[i];
  const double radius = options.isolation_r50 * object.r50;
  for (std::size_t k = 0; k < objects.size(); ++k) {
    const bool other = objects[k].owner != object.owner;
    if (other && objects[k].flux > options.isolation_flux_frac * object.flux &&
        std::hypot(objects[k].detection.x - object.detection.x,
                   objects[k].detection.y - object.detection.y) < radius) {
      return false;
    }
  }
  return true;
}

bool is_candidate(const Input& input, const Options& options, const Frame& frame,
                  const Selection& selection, const Knowledge& knowledge, std::size_t i) {
  const Object& object = selection.objects[i];
  const double x = object.detection.x;
  const double y = object.detection.y;
  if (object.saturated || object.owner != static_cast<int>(i) ||
      object.snr < options.gaia_snr_min || !is_round_enough(object)) {
    return false;
  }
  const double tolerance = std::max(options.locus_tolerance, 2.5 / object.snr);
  const int half = (options.final_psf_size - 1) / 2;
  const bool inside = x >= half && y >= half && x < frame.data.width() - half - 0.5 &&
                      y < frame.data.height() - half - 0.5;
  const bool unsaturated =
      !std::isfinite(input.saturation_scaled) ||
      object.detection.peak < input.saturation_scaled / options.gaia_seed_sat_div;
  const bool wanted = options.psfstar_mode != "gaia" || knowledge.gaia[i] != 0;
  return inside && unsaturated && wanted &&
         std::abs(object.r50 - selection.locus_r50) < tolerance * selection.locus_r50 &&
         !(options.reject_galaxies && knowledge.typed_other[i] != 0) &&
         !any_bad(frame, x, y, 1, 0xFF) && is_isolated(options, selection.objects, i);
}

/// Masked pixels of a stamp: bad ones (grown for wing stars) and those near other objects.
std::vector<std::uint8_t> stamp_mask(const Frame& frame, const Selection& selection, const Box& box,
                                     int object, bool wing) {
  constexpr int kGrow = 2;
  std::vector<std::uint8_t> masked;
  for (int y = box.y0; y < box.y1; ++y) {
    for (int x = box.x0; x < box.x1; ++x) {
      bool bad = frame.mask(y, x) != 0;
      const Box around =
          Box{x - kGrow, x + kGrow + 1, y - kGrow, y + kGrow + 1}.intersect(frame.data.box());
      for (int j = around.y0; j < around.y1 && !bad; ++j) {
        for (int i = around.x0; i < around.x1 && !bad; ++i) {
          const int label = selection.segments(j, i);
          bad = (wing && frame.mask(j, i) != 0) ||
                (label != 0 &&
                 selection.objects[static_cast<std::size_t>(label - 1)].owner != object);
        }
      }
      masked.push_back(bad ? 1 : 0);
    }
  }
  return masked;
}

Star make_star(const Options& options, const Frame& frame, const Selection& selection,
               std::size_t i, const StarRow& row) {
  const Object& object = selection.objects[i];
  Star star;
  star.row = row;
  star.object = static_cast<int>(i);
  int half = (options.final_psf_size - 1) / 2;
  if (row.wing) {
    half = std::max(half, static_cast<int>(std::ceil(options.wing_radius_pix)));
  }
  const int x = static_cast<int>(std::lround(object.detection.x));
  const int y = static_cast<int>(std::lround(object.detection.y));
  star.box = Box{x - half, x + half + 1, y - half, y + half + 1}.intersect(frame.data.box());
  star.masked = stamp_mask(frame, selection, star.box, object.owner, row.wing);
  std::vector<double> sky;
  for (int j = star.box.y0; j < star.box.y1; ++j) {
    for (int k = star.box.x0; k < star.box.x1; ++k) {
      const bool good = star.masked[star.data.size()] == 0;
      star.data.push_back(frame.data(j, k));
      star.variance.push_back(static_cast<double>(frame.sigma(j, k)) * frame.sigma(j, k));
      if (good && std::hypot(k - row.x, j - row.y) > options.star_local_bkg_annulus_rin_pix) {
        sky.push_back(frame.data(j, k));
      }
    }
  }
  star.neighbours.assign(star.data.size(), 0.0);
  star.clipped.assign(star.data.size(), 0);
  star.row.sky = median_of(std::move(sky));
  star.row.flux = 1.1 * object.flux;
  return star;
}

StarRow make_row(const Input& input, const Object& object, bool gaia, bool wing) {
  StarRow row;
  row.x = object.detection.x;
  row.y = object.detection.y;
  row.flux = object.flux;
  row.snr = object.snr;
  row.r50_pix = object.r50;
  row.wing = wing;
  row.cell = cell_of(input.cells, row.x, row.y);
  row.origin = gaia ? "both" : "sep";
  return row;
}

void choose(const Input& input, const Options& options, const Frame& frame,
            const Knowledge& knowledge, Selection& selection) {
  std::vector<std::size_t> core;
  std::vector<std::size_t> wings;
  for (std::size_t i = 0; i < selection.objects.size(); ++i) {
    if (is_candidate(input, options, frame, selection, knowledge, i)) {
      core.push_back(i);
    }
    if (selection.objects[i].saturated && options.use_saturated_wings) {
      wings.push_back(i);
    }
  }
  selection.n_candidates = static_cast<int>(core.size());
  const bool prefer_gaia = options.psfstar_mode == "sep+gaia";
  const auto brighter = [&](std::size_t a, std::size_t b) {
    if (prefer_gaia && knowledge.gaia[a] != knowledge.gaia[b]) {
      return knowledge.gaia[a] > knowledge.gaia[b];
    }
    return selection.objects[a].snr > selection.objects[b].snr;
  };
  std::stable_sort(core.begin(), core.end(), brighter);
  std::stable_sort(wings.begin(), wings.end(), brighter);
  std::vector<int> taken(input.cells.size() + 1, 0);
  for (const std::size_t i : core) {
    StarRow row = make_row(input, selection.objects[i], knowledge.gaia[i] != 0, false);
    int& count = taken[static_cast<std::size_t>(row.cell + 1)];
    if (count < options.max_stars) {
      ++count;
      row.used = true;
      selection.stars.push_back(make_star(options, frame, selection, i, row));
    } else {
      row.reason = Rejected::quota;
      selection.left_out.push_back(row);
    }
  }
  for (const std::size_t i : wings) {
    StarRow row = make_row(input, selection.objects[i], knowledge.gaia[i] != 0, true);
    row.used = true;
    selection.stars.push_back(make_star(options, frame, selection, i, row));
  }
}

void collect_neighbours(Selection& selection) {
  std::vector<int> star_of(selection.objects.size(), -1);
  for (std::size_t k = 0; k < selection.stars.size(); ++k) {
    star_of[static_cast<std::size_t>(selection.stars[k].object)] = static_cast<int>(k);
  }
  for (std::size_t i = 0; i < selection.objects.size(); ++i) {
    const Object& object = selection.objects[i];
    const bool star_like =
        object.owner == static_cast<int>(i) && !object.saturated && object.snr > kNeighbourSnr &&
        std::abs(object.r50 - selection.locus_r50) < kNeighbourLocus * selection.locus_r50;
    if (star_like || star_of[i] >= 0) {
      selection.neighbours.push_back(
          {object.detection.x, object.detection.y, std::max(object.flux, 0.0), star_of[i]});
    }
  }
  std::stable_sort(selection.neighbours.begin(), selection.neighbours.end(),
                   [](const Neighbour& a, const Neighbour& b) { return a.flux > b.flux; });
}

}  // namespace

Selection select_stars(const Input& input, const Options& options, const Frame& frame) {
  Selection selection;
  sky::DetectionOptions detection;
  detection.threshold_sigma = options.detect_sigma;
  sky::Detections found =
      sky::detect(frame.data.view(), frame.sigma.view(), frame.mask.view(), detection);
  selection.segments = std::move(found.segments);
  const double fwhm = std::isfinite(input.fwhm_guess_pix) ? input.fwhm_guess_pix : 4.0;
  selection.objects = measure(frame, found.objects, std::max(4.0, fwhm));
  mark_saturated(frame, selection.objects);
  const Knowledge knowledge = match(input, options, selection.objects);
  selection.locus_r50 = stellar_locus(selection.objects, knowledge);
  if (selection.locus_r50 > 0.0) {
    choose(input, options, frame, knowledge, selection);
    collect_neighbours(selection);
  }
  return selection;
}

}  // namespace skyloom::photometry::epsf
