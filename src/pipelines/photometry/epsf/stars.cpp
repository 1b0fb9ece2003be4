#include "pipelines/photometry/epsf/stars.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "pipelines/photometry/epsf/matching.hpp"

namespace skyloom::photometry::epsf {
namespace {

using objects::Object;

constexpr double kMaxAxisRatio = 1.8;
constexpr double kLocusSnr = 40.0;
constexpr double kNeighbourLocus = 0.15;
constexpr double kNeighbourSnr = objects::kLeastSnr;
constexpr double kFwhmPerR50 = 1.9;
constexpr int kMaskGrowth = 2;  // pixels, of other objects and, for wing stars, of bad pixels
// Crowding: below so many candidates neighbours may be closer and brighter.
constexpr int kFewCandidates = 8;
constexpr double kCrowdedR50 = 3.0;
constexpr double kCrowdedFraction = 0.2;
constexpr std::size_t kMaxWings = 100;  // more say nothing new about the wing
// Two modes of the locus, for example a seeing jump inside a mosaic.
constexpr double kModesDiffer = 0.10;
constexpr double kTwoModeTolerance = 0.2;
constexpr std::size_t kMinOfMode = 8;

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

/// Steps of select_stars(), in order.
class Chooser {
 public:
  Chooser(const Band& band, const Options& options, const objects::Objects& objects)
      : band_(band),
        input_(*band.input),
        options_(options),
        objects_(objects.list),
        segments_(objects.segments),
        knowledge_(match(input_, options, objects.list)),
        tolerance_(options.locus_tolerance),
        by_y_(objects.list.size()) {
    std::iota(by_y_.begin(), by_y_.end(), std::size_t{0});
    std::stable_sort(by_y_.begin(), by_y_.end(), [&](std::size_t a, std::size_t b) {
      return objects_[a].detection.y < objects_[b].detection.y;
    });
  }

  Selection run(std::vector<std::string>& warnings) {
    Selection selection;
    selection.near = NearPixels(band_.box);
    selection.n_detections = static_cast<int>(objects_.size());
    selection.locus_r50 = locus_ = stellar_locus();
    if (!(locus_ > 0.0)) {
      return selection;
    }
    if (has_two_modes()) {
      tolerance_ = std::max(tolerance_, kTwoModeTolerance);
      warnings.emplace_back(
          "the size of stars differs by more than 10 % between halves of the image");
    }
    choose(selection);
    if (selection.crowded) {
      warnings.emplace_back(
          "few isolated stars: stars with closer and brighter neighbours are used");
    }
    collect_neighbours(selection);
    selection.near.fill(band_);
    for (Star& star : selection.stars) {
      fill_star(selection.near, star);
    }
    return selection;
  }

 private:
  [[nodiscard]] bool is_round_enough(const Object& object) const {
    return object.detection.b > 0.0 && object.detection.a < kMaxAxisRatio * object.detection.b &&
           std::isfinite(object.r50);
  }

  /// Objects whose size may say something about the stars'.
  [[nodiscard]] bool is_sizeable(std::size_t i, double snr) const {
    const Object& object = objects_[i];
    return !object.saturated && object.owner == static_cast<int>(i) && is_round_enough(object) &&
           object.snr > snr;
  }

  [[nodiscard]] double stellar_locus() const {
    std::vector<double> all;
    std::vector<double> bright;
    std::vector<double> known;
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (is_sizeable(i, 0.5 * kLocusSnr)) {
        all.push_back(objects_[i].r50);
      }
      if (is_sizeable(i, kLocusSnr)) {
        bright.push_back(objects_[i].r50);
        if (knowledge_.gaia[i] != 0 || knowledge_.typed_star[i] != 0) {
          known.push_back(objects_[i].r50);
        }
      }
    }
    if (known.size() >= 5) {
      return median_of(std::move(known));
    }
    return half_sample_mode(bright.size() >= 3 ? std::move(bright) : std::move(all));
  }

  /// True when either pair of halves of the image has well-populated modes that differ.
  [[nodiscard]] bool has_two_modes() const {
    std::vector<double> halves[4];
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (is_sizeable(i, kLocusSnr)) {
        const sky::Detection& d = objects_[i].detection;
        halves[d.x < 0.5 * band_.box.width() ? 0 : 1].push_back(objects_[i].r50);
        halves[d.y < 0.5 * band_.box.height() ? 2 : 3].push_back(objects_[i].r50);
      }
    }
    double mode[4] = {};
    bool clear[4] = {};
    for (std::size_t k = 0; k < 4; ++k) {
      mode[k] = half_sample_mode(halves[k]);
      const auto members = static_cast<std::size_t>(std::count_if(
          halves[k].begin(), halves[k].end(),
          [&](double r50) { return std::abs(r50 - mode[k]) < 0.5 * kModesDiffer * mode[k]; }));
      clear[k] = members >= std::max(kMinOfMode, halves[k].size() / 4);
    }
    const auto differ = [&](std::size_t a, std::size_t b) {
      return clear[a] && clear[b] &&
             std::abs(mode[a] - mode[b]) > kModesDiffer * std::min(mode[a], mode[b]);
    };
    return differ(0, 1) || differ(2, 3);
  }

  [[nodiscard]] bool is_isolated(std::size_t i, double r50s, double fraction) const {
    const Object& object = objects_[i];
    const double radius = r50s * object.r50;
    const double top = object.detection.y + radius;
    auto near =
        std::lower_bound(by_y_.begin(), by_y_.end(), object.detection.y - radius,
                         [&](std::size_t k, double y) { return objects_[k].detection.y < y; });
    for (; near != by_y_.end() && objects_[*near].detection.y < top; ++near) {
      const Object& other = objects_[*near];
      if (other.owner != object.owner && other.flux > fraction * object.flux &&
          std::hypot(other.detection.x - object.detection.x,
                     other.detection.y - object.detection.y) < radius) {
        return false;
      }
    }
    return true;
  }

  /// Everything a candidate must be but isolated.
  [[nodiscard]] bool looks_like_star(std::size_t i) const {
    const Object& object = objects_[i];
    const double x = object.detection.x;
    const double y = object.detection.y;
    if (!is_sizeable(i, options_.gaia_snr_min) || object.near_bad) {
      return false;
    }
    const double tolerance = std::max(tolerance_, 2.5 / object.snr);
    const int half = (options_.final_psf_size - 1) / 2;
    const bool inside = x >= half && y >= half && x < band_.box.width() - half - 0.5 &&
                        y < band_.box.height() - half - 0.5;
    const bool unsaturated =
        !std::isfinite(input_.saturation_scaled) ||
        object.detection.peak < input_.saturation_scaled / options_.gaia_seed_sat_div;
    const bool wanted = options_.psfstar_mode != "gaia" || knowledge_.gaia[i] != 0;
    return inside && unsaturated && wanted && std::abs(object.r50 - locus_) < tolerance * locus_ &&
           !(options_.reject_galaxies && knowledge_.typed_other[i] != 0);
  }

  [[nodiscard]] std::vector<std::size_t> candidates(bool& crowded) const {
    std::vector<std::size_t> alike;
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (looks_like_star(i)) {
        alike.push_back(i);
      }
    }
    const auto isolated = [&](double r50s, double fraction) {
      std::vector<std::size_t> out;
      std::copy_if(alike.begin(), alike.end(), std::back_inserter(out),
                   [&](std::size_t i) { return is_isolated(i, r50s, fraction); });
      return out;
    };
    std::vector<std::size_t> out = isolated(options_.isolation_r50, options_.isolation_flux_frac);
    if (out.size() < kFewCandidates) {
      std::vector<std::size_t> relaxed =
          isolated(std::min(options_.isolation_r50, kCrowdedR50),
                   std::max(options_.isolation_flux_frac, kCrowdedFraction));
      crowded = relaxed.size() > out.size();
      out = std::move(relaxed);
    }
    return out;
  }

  void choose(Selection& selection) const {
    std::vector<std::size_t> core = candidates(selection.crowded);
    std::vector<std::size_t> wings;
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (objects_[i].saturated && options_.use_saturated_wings) {
        wings.push_back(i);
      }
    }
    selection.n_candidates = static_cast<int>(core.size());
    const bool prefer_gaia = options_.psfstar_mode == "sep+gaia";
    const auto brighter = [&](std::size_t a, std::size_t b) {
      if (prefer_gaia && knowledge_.gaia[a] != knowledge_.gaia[b]) {
        return knowledge_.gaia[a] > knowledge_.gaia[b];
      }
      return objects_[a].snr > objects_[b].snr;
    };
    std::stable_sort(core.begin(), core.end(), brighter);
    std::stable_sort(wings.begin(), wings.end(), brighter);
    if (wings.size() > kMaxWings) {
      for (std::size_t k = kMaxWings; k < wings.size(); ++k) {
        selection.left_out.push_back(make_row(wings[k], true));
        selection.left_out.back().reason = Rejected::quota;
      }
      wings.resize(kMaxWings);
    }
    const std::vector<std::uint8_t> chosen = within_quotas(core);
    for (std::size_t k = 0; k < core.size(); ++k) {
      const std::size_t i = core[k];
      StarRow row = make_row(i, false);
      if (chosen[k] != 0) {
        row.used = true;
        selection.stars.push_back(make_star(i, row, selection.near));
      } else {
        row.reason = Rejected::quota;
        selection.left_out.push_back(row);
      }
    }
    for (const std::size_t i : wings) {
      StarRow row = make_row(i, true);
      row.used = true;
      selection.stars.push_back(make_star(i, row, selection.near));
    }
  }

  /// Of candidates, brightest first: the first of every cell, then the second of every cell, ...
  /// until there are enough.
  [[nodiscard]] std::vector<std::uint8_t> within_quotas(
      const std::vector<std::size_t>& candidates) const {
    std::vector<int> taken(input_.cells.size() + 1, 0);
    std::vector<std::pair<int, std::size_t>> turns;
    for (std::size_t k = 0; k < candidates.size(); ++k) {
      const sky::Detection& d = objects_[candidates[k]].detection;
      const int turn = taken[static_cast<std::size_t>(cell_of(input_.cells, d.x, d.y) + 1)]++;
      if (turn < options_.max_stars) {
        turns.emplace_back(turn, k);
      }
    }
    std::sort(turns.begin(), turns.end());
    turns.resize(std::min(turns.size(), static_cast<std::size_t>(options_.max_stars_image)));
    std::vector<std::uint8_t> chosen(candidates.size(), 0);
    for (const auto& [turn, k] : turns) {
      chosen[k] = 1;
    }
    return chosen;
  }

  [[nodiscard]] StarRow make_row(std::size_t i, bool wing) const {
    const Object& object = objects_[i];
    StarRow row;
    row.x = object.detection.x;
    row.y = object.detection.y;
    row.flux = object.flux;
    row.snr = object.snr;
    row.r50_pix = object.r50;
    row.wing = wing;
    row.cell = cell_of(input_.cells, row.x, row.y);
    row.origin = knowledge_.gaia[i] != 0 ? "both" : "sep";
    return row;
  }

  /// A star without its pixels, which are asked for.
  Star make_star(std::size_t i, const StarRow& row, NearPixels& near) const {
    Star star;
    star.row = row;
    star.object = static_cast<int>(i);
    star.peak = objects_[i].detection.peak;
    int half = (options_.final_psf_size - 1) / 2;
    if (row.wing) {
      half = std::max(half, static_cast<int>(std::ceil(options_.wing_radius_pix)));
    }
    const int x = static_cast<int>(std::lround(row.x));
    const int y = static_cast<int>(std::lround(row.y));
    const auto square = [&](int reach) {
      return Box{x - reach, x + reach + 1, y - reach, y + reach + 1}.intersect(band_.box);
    };
    star.box = square(half);
    near.want(star.box.grown(kMaskGrowth));
    if (!row.wing) {
      // The position may still move by a pixel before the cell's cut-outs are stacked.
      near.want(square((options_.cutout_size + 1) / 2));
    }
    return star;
  }

  /// Half size of what a neighbour needs: far enough that its light is below the noise.
  [[nodiscard]] int light_radius(double flux) const {
    const double alpha = kFwhmPerR50 * locus_ / 1.13;  // Moffat of beta 2.5, a wide one
    const double peak = flux * 1.5 / (3.14 * alpha * alpha);
    const double contrast = std::max(peak / (0.1 * band_.sigma_median), 1.0);
    const double radius = 1.7 * alpha * std::sqrt(std::pow(contrast, 0.4) - 1.0);
    return static_cast<int>(std::clamp(std::ceil(radius), 10.0, 60.0));
  }

  void collect_neighbours(Selection& selection) const {
    std::vector<int> star_of(objects_.size(), -1);
    for (std::size_t k = 0; k < selection.stars.size(); ++k) {
      star_of[static_cast<std::size_t>(selection.stars[k].object)] = static_cast<int>(k);
    }
    const int core = static_cast<int>(std::ceil(2.5 * kFwhmPerR50 * locus_));
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      const Object& object = objects_[i];
      const bool star_like = object.owner == static_cast<int>(i) && !object.saturated &&
                             object.snr > kNeighbourSnr &&
                             std::abs(object.r50 - locus_) < kNeighbourLocus * locus_;
      const double flux = std::max(object.flux, 0.0);
      if (star_of[i] < 0 && !(star_like && shines_on_star(object, flux, selection.stars))) {
        continue;
      }
      selection.neighbours.push_back({object.detection.x, object.detection.y, flux, star_of[i]});
      const int x = static_cast<int>(std::lround(object.detection.x));
      const int y = static_cast<int>(std::lround(object.detection.y));
      selection.near.want(Box{x, x + 1, y, y + 1}.grown(core));
    }
    std::stable_sort(selection.neighbours.begin(), selection.neighbours.end(),
                     [](const Neighbour& a, const Neighbour& b) { return a.flux > b.flux; });
  }

  [[nodiscard]] bool shines_on_star(const Object& object, double flux,
                                    const std::vector<Star>& stars) const {
    const int reach = light_radius(flux);
    return std::any_of(stars.begin(), stars.end(), [&](const Star& star) {
      return star.box.grown(reach).contains(object.detection.x, object.detection.y);
    });
  }

  /// Masked pixels of a stamp: bad ones (grown for wing stars) and those near other objects.
  [[nodiscard]] std::vector<std::uint8_t> stamp_mask(const NearPixels& near,
                                                     const Star& star) const {
    const int own = objects_[static_cast<std::size_t>(star.object)].owner;
    const Box wide = star.box.grown(kMaskGrowth).intersect(band_.box);
    const Image<std::int32_t> labels = segments_.at(wide);
    Image<std::uint8_t> spoilt(wide.width(), wide.height());
    for (int y = wide.y0; y < wide.y1; ++y) {
      for (int x = wide.x0; x < wide.x1; ++x) {
        const std::int32_t label = labels(y - wide.y0, x - wide.x0);
        const std::ptrdiff_t k = near.offset(y, x);
        const bool bad = star.row.wing && k != NearPixels::kAbsent &&
                         near.mask()[static_cast<std::size_t>(k)] != 0;
        const bool foreign = label >= 0 && objects_[static_cast<std::size_t>(label)].owner != own;
        spoilt(y - wide.y0, x - wide.x0) = bad || foreign ? 1 : 0;
      }
    }
    const Image<std::uint8_t> grown = sky::dilated(spoilt.view(), kMaskGrowth);
    std::vector<std::uint8_t> masked;
    for (int y = star.box.y0; y < star.box.y1; ++y) {
      for (int x = star.box.x0; x < star.box.x1; ++x) {
        const auto k = static_cast<std::size_t>(near.offset(y, x));
        masked.push_back(near.mask()[k] != 0 || grown(y - wide.y0, x - wide.x0) != 0 ? 1 : 0);
      }
    }
    return masked;
  }

  void fill_star(const NearPixels& near, Star& star) const {
    star.masked = stamp_mask(near, star);
    std::vector<double> sky;
    for (int j = star.box.y0; j < star.box.y1; ++j) {
      for (int i = star.box.x0; i < star.box.x1; ++i) {
        const auto k = static_cast<std::size_t>(near.offset(j, i));
        const bool good = star.masked[star.data.size()] == 0;
        star.data.push_back(near.data()[k]);
        star.variance.push_back(near.sigma()[k] * near.sigma()[k]);
        if (good &&
            std::hypot(i - star.row.x, j - star.row.y) > options_.star_local_bkg_annulus_rin_pix) {
          sky.push_back(static_cast<double>(near.data()[k]));
        }
      }
    }
    star.neighbours.assign(star.data.size(), 0.0F);
    star.clipped.assign(star.data.size(), 0);
    star.row.sky = median_of(std::move(sky));
    star.sigma_sky = std::sqrt(median_of({star.variance.begin(), star.variance.end()}));
    star.row.flux *= 1.1;
  }

  const Band& band_;
  const Input& input_;
  const Options& options_;
  const std::vector<Object>& objects_;
  const objects::Segments& segments_;
  Knowledge knowledge_;
  double tolerance_;
  std::vector<std::size_t> by_y_;  ///< objects by increasing y
  double locus_ = 0.0;
};

}  // namespace

Selection select_stars(const Band& band, const objects::Objects& objects, const Options& options,
                       std::vector<std::string>& warnings) {
  return Chooser(band, options, objects).run(warnings);
}

}  // namespace skyloom::photometry::epsf
