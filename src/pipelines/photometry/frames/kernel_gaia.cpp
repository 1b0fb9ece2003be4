#include "pipelines/photometry/frames/kernel_gaia.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_set>
#include <utility>

namespace skyloom::photometry::frames {
namespace {

constexpr double kDegree = M_PI / 180.0;

/// Ends of an interval of length `side` around `centre`, shifted into [0, limit) and cut to it.
std::pair<int, int> shifted_interval(double centre, double side, int limit) {
  double low = centre - 0.5 * side;
  double high = centre + 0.5 * side;
  if (low < 0.0) {
    high -= low;
    low = 0.0;
  }
  if (high > limit) {
    low -= high - limit;
    high = limit;
  }
  return {static_cast<int>(std::floor(std::max(0.0, low))), static_cast<int>(std::ceil(high))};
}

std::vector<double> picked(const std::vector<double>& values,
                           const std::vector<std::size_t>& rows) {
  std::vector<double> out;
  out.reserve(rows.size());
  for (const std::size_t row : rows) {
    out.push_back(values[row]);
  }
  return out;
}

void fill_fluxes(Table& sources, const GaiaStars& stars, const std::vector<std::size_t>& match,
                 const GaiaOptions& options) {
  for (std::size_t b = 0; b < options.bands.size(); ++b) {
    auto& flux = sources.get<double>("FLUX_" + options.bands[b]);
    for (std::size_t row = 0; row < match.size(); ++row) {
      if (match[row] == Table::npos || (std::isfinite(flux[row]) && flux[row] != 0.0)) {
        continue;
      }
      const double mag = stars.mags[b][match[row]];
      if (std::isfinite(mag)) {
        flux[row] = flux_of_mag(mag, options.zp_ref);
      }
    }
  }
}

void inject(Table& sources, const GaiaStars& stars, std::size_t star, const GaiaOptions& options) {
  const std::size_t row = sources.add_row();
  sources.set(row, "ID", "gaia_" + stars.id[star]);
  sources.set(row, "RA", stars.ra_deg[star]);
  sources.set(row, "DEC", stars.dec_deg[star]);
  sources.set(row, "TYPE", "STAR");
  sources.set(row, "gaia_source_id", stars.id[star]);
  sources.set(row, "x_pix_white", stars.x_pix[star]);
  sources.set(row, "y_pix_white", stars.y_pix[star]);
  for (std::size_t b = 0; b < options.bands.size(); ++b) {
    const double mag = stars.mags[b][star];
    sources.set(row, "FLUX_" + options.bands[b],
                std::isfinite(mag) ? flux_of_mag(mag, options.zp_ref) : 0.0);
  }
}

}  // namespace

Box gaia_box(std::span<const double> x, std::span<const double> y,
             std::span<const std::uint8_t> active, const Box& image, int min_side_pix) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  double x_low = kInfinity;
  double x_high = -kInfinity;
  double y_low = kInfinity;
  double y_high = -kInfinity;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (active[i] != 0) {
      x_low = std::min(x_low, x[i]);
      x_high = std::max(x_high, x[i]);
      y_low = std::min(y_low, y[i]);
      y_high = std::max(y_high, y[i]);
    }
  }
  double side = min_side_pix;
  double x_centre = 0.5 * image.width();
  double y_centre = 0.5 * image.height();
  if (x_low <= x_high) {
    side = std::max(side, std::ceil(std::max(x_high - x_low, y_high - y_low)));
    x_centre = 0.5 * (x_low + x_high);
    y_centre = 0.5 * (y_low + y_high);
  }
  const auto [x0, x1] = shifted_interval(x_centre, side, image.width());
  const auto [y0, y1] = shifted_interval(y_centre, side, image.height());
  return {x0, x1, y0, y1};
}

double separation_deg(double ra1_deg, double dec1_deg, double ra2_deg, double dec2_deg) {
  const double s_dec = std::sin(0.5 * (dec2_deg - dec1_deg) * kDegree);
  const double s_ra = std::sin(0.5 * (ra2_deg - ra1_deg) * kDegree);
  const double h =
      s_dec * s_dec + std::cos(dec1_deg * kDegree) * std::cos(dec2_deg * kDegree) * s_ra * s_ra;
  return 2.0 * std::asin(std::min(1.0, std::sqrt(h))) / kDegree;
}

std::vector<std::size_t> nearest_on_sky(std::span<const double> ra_deg,
                                        std::span<const double> dec_deg,
                                        std::span<const double> star_ra_deg,
                                        std::span<const double> star_dec_deg,
                                        double radius_arcsec) {
  std::vector<std::size_t> by_dec;
  for (std::size_t i = 0; i < star_dec_deg.size(); ++i) {
    if (std::isfinite(star_ra_deg[i]) && std::isfinite(star_dec_deg[i])) {
      by_dec.push_back(i);
    }
  }
  std::stable_sort(by_dec.begin(), by_dec.end(),
                   [&](std::size_t a, std::size_t b) { return star_dec_deg[a] < star_dec_deg[b]; });
  const double radius_deg = radius_arcsec / 3600.0;
  // Declinations are compared with a margin for rounding; separations decide.
  const double window_deg = radius_deg + 1e-9;
  std::vector<std::size_t> nearest(ra_deg.size(), Table::npos);
  for (std::size_t row = 0; row < nearest.size(); ++row) {
    if (!std::isfinite(ra_deg[row]) || !std::isfinite(dec_deg[row])) {
      continue;
    }
    auto at = std::lower_bound(
        by_dec.begin(), by_dec.end(), dec_deg[row] - window_deg,
        [&](std::size_t star, double limit) { return star_dec_deg[star] < limit; });
    double best_deg = radius_deg;
    for (; at != by_dec.end() && star_dec_deg[*at] <= dec_deg[row] + window_deg; ++at) {
      const double d =
          separation_deg(ra_deg[row], dec_deg[row], star_ra_deg[*at], star_dec_deg[*at]);
      const bool first = nearest[row] == Table::npos;
      if (d < best_deg || (d == best_deg && (first || *at < nearest[row]))) {
        best_deg = d;
        nearest[row] = *at;
      }
    }
  }
  return nearest;
}

double flux_of_mag(double mag, double zp_ref) {
  return std::pow(10.0, (zp_ref - mag) / 2.5);
}

std::vector<std::size_t> stars_in(const GaiaStars& stars, const Box& box) {
  std::vector<std::size_t> chosen;
  std::unordered_set<std::string> known;
  for (std::size_t i = 0; i < stars.size(); ++i) {
    if (box.contains(stars.x_pix[i], stars.y_pix[i]) && !stars.id[i].empty() &&
        known.insert(stars.id[i]).second) {
      chosen.push_back(i);
    }
  }
  return chosen;
}

Box selection_box(const Table& sources, const GaiaOptions& options) {
  const auto& x = sources.get<double>("x_pix_white");
  const auto& y = sources.get<double>("y_pix_white");
  const auto& excluded = sources.get<std::uint8_t>("excluded_any");
  std::vector<std::uint8_t> active(sources.rows());
  for (std::size_t i = 0; i < active.size(); ++i) {
    active[i] = excluded[i] == 0 && options.image.contains(x[i], y[i]) ? 1 : 0;
  }
  return gaia_box(x, y, active, options.image, options.min_box_size_pix);
}

Table with_gaia(Table sources, const GaiaStars& stars, const GaiaOptions& options) {
  const std::vector<std::size_t> chosen = stars_in(stars, selection_box(sources, options));
  if (chosen.empty() || sources.rows() == 0) {
    return sources;
  }
  std::vector<std::size_t> match = nearest_on_sky(
      sources.get<double>("RA"), sources.get<double>("DEC"), picked(stars.ra_deg, chosen),
      picked(stars.dec_deg, chosen), options.match_radius_arcsec);
  std::vector<std::uint8_t> matched(stars.size(), 0);
  auto& id = sources.get<std::string>("gaia_source_id");
  for (std::size_t row = 0; row < match.size(); ++row) {
    if (match[row] != Table::npos) {
      match[row] = chosen[match[row]];
      matched[match[row]] = 1;
      id[row] = stars.id[match[row]];
    }
  }
  fill_fluxes(sources, stars, match, options);
  for (const std::size_t star : chosen) {
    if (options.inject && matched[star] == 0 && stars.saturated[star] == 0) {
      inject(sources, stars, star, options);
    }
  }
  return sources;
}

}  // namespace skyloom::photometry::frames
