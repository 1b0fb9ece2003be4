#include "pipelines/photometry/epsf/classic_stars.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>

#include "skyloom/core/errors.hpp"

namespace skyloom::photometry::epsf {
namespace {

constexpr double kUnknownFwhmRadius = 3.0;

/// Pixels that a star must keep from the cell's edge.
int edge_distance(const Options& options) {
  return options.cutout_size / 2 + options.edge_pad;
}

bool clear_of_edge(double x, double y, const Box& cell, const Options& options) {
  const int need = edge_distance(options);
  return x > need && x < cell.width() - need - 1 && y > need && y < cell.height() - need - 1;
}

class Picker {
 public:
  Picker(const Input& input, const Options& options, const ClassicCell& cell,
         const std::vector<sky::Detection>& candidates, ClassicSelection& out)
      : input_(input),
        options_(options),
        cell_(cell),
        candidates_(candidates),
        used_(candidates.size(), 0),
        radius_(seed_aperture_radius(input.fwhm_guess_pix, options)),
        out_(out) {}

  /// Gaia stars, brightest first.
  void seeds() {
    std::vector<KnownStar> known;
    for (const KnownStar& star : input_.known_stars) {
      if (star.mag >= options_.gaia_mag_min && star.mag <= options_.gaia_mag_max) {
        known.push_back({star.x - cell_.box.x0, star.y - cell_.box.y0, star.mag});
      }
    }
    std::stable_sort(known.begin(), known.end(),
                     [](const KnownStar& a, const KnownStar& b) { return a.mag < b.mag; });
    for (const KnownStar& star : known) {
      if (full()) {
        break;
      }
      if (try_seed(star)) {
        ++out_.n_seeds;
      }
    }
  }

  /// Detections that are no galaxy of the catalogue, brightest first.
  void supplement() {
    for (const sky::Detection& candidate : candidates_) {
      if (full()) {
        break;
      }
      if (far_from_picked(candidate.x, candidate.y) && has_good_centre(candidate.x, candidate.y) &&
          !(options_.reject_galaxies && is_galaxy(candidate))) {
        const sky::ApertureSum sum = aperture(candidate.x, candidate.y);
        add(candidate.x, candidate.y, sum, "sep");
      }
    }
  }

 private:
  [[nodiscard]] bool full() const {
    return static_cast<int>(out_.stars.size()) >= options_.max_stars;
  }

  void add(double x, double y, const sky::ApertureSum& sum, const char* origin) {
    out_.stars.push_back({x, y, sum.flux, sum.error > 0.0 ? sum.flux / sum.error : 0.0, origin});
  }

  bool try_seed(const KnownStar& star) {
    if (!clear_of_edge(star.x, star.y, cell_.box, options_) || !core_is_clean(star)) {
      return false;
    }
    double x = star.x;
    double y = star.y;
    const char* origin = "gaia";
    if (options_.gaia_snap_to_sep) {
      if (const std::size_t nearest = nearest_candidate(x, y, true); nearest < used_.size()) {
        // Used up even if the seed fails below: the same light must not come back under another
        // position.
        used_[nearest] = 1;
        x = candidates_[nearest].x;
        y = candidates_[nearest].y;
        origin = "both";
      }
    } else if (nearest_candidate(x, y, false) < used_.size()) {
      origin = "both";
    }
    const sky::ApertureSum sum = aperture(x, y);
    if (sum.masked || !(sum.error > 0.0) || sum.flux / sum.error < options_.gaia_snr_min ||
        !far_from_picked(x, y)) {
      return false;
    }
    add(x, y, sum, origin);
    return true;
  }

  /// A saturated star is masked in its middle, where its detection then has a hole.
  [[nodiscard]] bool has_good_centre(double x, double y) const {
    return cell_.mask(static_cast<int>(std::lround(y)), static_cast<int>(std::lround(x))) == 0;
  }

  /// The pixel is good and the star's peak below saturation.
  [[nodiscard]] bool core_is_clean(const KnownStar& star) const {
    if (!has_good_centre(star.x, star.y)) {
      return false;
    }
    const auto x = static_cast<int>(std::lround(star.x));
    const auto y = static_cast<int>(std::lround(star.y));
    if (!std::isfinite(input_.saturation_scaled)) {
      return true;
    }
    const int reach = options_.gaia_seed_sat_r;
    const Box around =
        Box{x - reach, x + reach + 1, y - reach, y + reach + 1}.intersect(cell_.raw.box());
    double peak = -std::numeric_limits<double>::infinity();
    for (int j = around.y0; j < around.y1; ++j) {
      for (int i = around.x0; i < around.x1; ++i) {
        if (cell_.mask(j, i) == 0) {
          peak = std::max(peak, static_cast<double>(cell_.raw(j, i)));
        }
      }
    }
    return peak < input_.saturation_scaled / options_.gaia_seed_sat_div;
  }

  /// Index of the nearest candidate within the match radius; the number of candidates = none.
  [[nodiscard]] std::size_t nearest_candidate(double x, double y, bool unused_only) const {
    std::size_t best = candidates_.size();
    double distance = std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k < candidates_.size(); ++k) {
      const double d = std::hypot(candidates_[k].x - x, candidates_[k].y - y);
      if (d <= options_.gaia_match_r_pix && d < distance && !(unused_only && used_[k] != 0)) {
        best = k;
        distance = d;
      }
    }
    return best;
  }

  [[nodiscard]] sky::ApertureSum aperture(double x, double y) const {
    return sky::sum_circle(cell_.data.view(), cell_.sigma.view(), cell_.mask.view(), x, y, radius_);
  }

  [[nodiscard]] bool far_from_picked(double x, double y) const {
    return std::all_of(out_.stars.begin(), out_.stars.end(), [&](const ClassicStar& star) {
      return std::hypot(star.x - x, star.y - y) >= options_.min_sep;
    });
  }

  /// The nearest row of the catalogue within the match radius is no star.
  [[nodiscard]] bool is_galaxy(const sky::Detection& candidate) const {
    bool galaxy = false;
    double distance = std::numeric_limits<double>::infinity();
    for (const CatalogueSource& row : input_.catalogue) {
      const double d =
          std::hypot(row.x - cell_.box.x0 - candidate.x, row.y - cell_.box.y0 - candidate.y);
      if (d <= options_.gaia_match_r_pix && d < distance) {
        distance = d;
        galaxy = !row.is_star;
      }
    }
    return galaxy;
  }

  const Input& input_;
  const Options& options_;
  const ClassicCell& cell_;
  const std::vector<sky::Detection>& candidates_;
  std::vector<char> used_;
  double radius_;
  ClassicSelection& out_;
};

}  // namespace

double seed_aperture_radius(double fwhm_pix, const Options& options) {
  const double radius =
      std::isfinite(fwhm_pix)
          ? std::clamp(options.gaia_forced_k_fwhm * fwhm_pix, options.gaia_forced_rmin_pix,
                       std::max(options.gaia_forced_rmin_pix, options.gaia_forced_rmax_pix))
          : kUnknownFwhmRadius;
  return std::min(radius, static_cast<double>(options.cutout_size / 2 - 2));
}

std::vector<sky::Detection> star_candidates(const std::vector<sky::Detection>& detections,
                                            const Box& cell, double saturation,
                                            const Options& options) {
  std::vector<sky::Detection> out;
  for (const sky::Detection& detection : detections) {
    const bool unsaturated =
        !std::isfinite(saturation) || detection.peak < saturation / options.gaia_seed_sat_div;
    const double q =
        detection.b > 0.0 ? detection.a / detection.b : std::numeric_limits<double>::infinity();
    if (unsaturated && q >= options.q_range.at(0) && q <= options.q_range.at(1) &&
        clear_of_edge(detection.x, detection.y, cell, options)) {
      out.push_back(detection);
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const sky::Detection& a, const sky::Detection& b) {
    return a.flux > b.flux;
  });
  return out;
}

ClassicSelection select_classic_stars(const Input& input, const Options& options,
                                      const ClassicCell& cell) {
  ClassicSelection out;
  std::vector<sky::Detection> candidates;
  try {
    sky::DetectionOptions detection;
    detection.threshold_sigma = options.thresh_sigma;
    detection.min_area_pix = options.minarea;
    sky::Detections found =
        sky::detect(cell.data.view(), cell.sigma.view(), cell.mask.view(), detection);
    out.n_detections = static_cast<int>(found.objects.size());
    candidates = star_candidates(found.objects, cell.box, input.saturation_scaled, options);
    out.segments = std::move(found.segments);
  } catch (const UnitError& error) {
    out.detection_error = error.what();
  }
  out.n_candidates = static_cast<int>(candidates.size());
  Picker picker(input, options, cell, candidates, out);
  if (options.psfstar_mode != "sep") {
    picker.seeds();
  }
  if (options.psfstar_mode != "gaia") {
    picker.supplement();
  }
  return out;
}

}  // namespace skyloom::photometry::epsf
