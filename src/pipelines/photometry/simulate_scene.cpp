#include "pipelines/photometry/simulate_scene.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <numeric>
#include <tuple>
#include <utility>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/random.hpp"

namespace skyloom::photometry {
namespace {

constexpr double kDegree = std::numbers::pi / 180.0;
constexpr double kZeroPoint = 25.0;
constexpr double kBrightStarMag = 12.0;
constexpr double kBrightGalaxyMag = 14.5;
constexpr double kGaiaLimitMag = 18.0;
constexpr double kLackingLimitMag = 17.5;  // of Gaia stars that the catalogue lacks
// Numbers of one source, each a lane of its draw.
enum Lane : std::uint32_t { kX, kY, kType, kMag, kColor, kRe, kShape, kAngle, kIndex, kGaia };

double flux_of(double mag) {
  return std::pow(10.0, 0.4 * (kZeroPoint - mag));
}
double mag_of(double flux) {
  return kZeroPoint - 2.5 * std::log10(flux);
}

/// Magnitude whose cumulative counts rise as 10^(slope m) between two limits.
double drawn_mag(double u, double bright, double faint, double slope) {
  const double low = std::pow(10.0, slope * (bright - faint));
  return faint + std::log10(low + u * (1.0 - low)) / slope;
}

int saturated_stars(const SimulationOptions& options) {
  return options.side_pix < 512 ? 1 : 3;
}

/// Positions with a minimum separation, by rejection against the neighbouring squares of a grid.
class Placement {
 public:
  Placement(int side_pix, double separation_pix)
      : side_(side_pix),
        separation_(std::max(separation_pix, 0.5)),
        n_cells_(static_cast<int>(side_pix / separation_) + 1),
        cells_(static_cast<std::size_t>(n_cells_ * n_cells_)) {}

  [[nodiscard]] bool is_free(double x, double y) const {
    const int cx = cell(x);
    const int cy = cell(y);
    for (int j = std::max(0, cy - 1); j <= std::min(n_cells_ - 1, cy + 1); ++j) {
      for (int i = std::max(0, cx - 1); i <= std::min(n_cells_ - 1, cx + 1); ++i) {
        for (const auto& [px, py] : cells_[static_cast<std::size_t>(j * n_cells_ + i)]) {
          if (std::hypot(px - x, py - y) < separation_) {
            return false;
          }
        }
      }
    }
    return true;
  }
  void add(double x, double y) {
    cells_[static_cast<std::size_t>(cell(y) * n_cells_ + cell(x))].emplace_back(x, y);
  }
  /// A free place at least `edge` from the border.
  std::pair<double, double> draw(const Rng& rng, std::uint64_t source, double edge) {
    constexpr std::uint32_t kTries = 5000;
    for (std::uint32_t attempt = 0; attempt < kTries; ++attempt) {
      const double x = rng.uniform(source, edge, side_ - 1.0 - edge, 2 * attempt);
      const double y = rng.uniform(source, edge, side_ - 1.0 - edge, 2 * attempt + 1);
      if (is_free(x, y)) {
        add(x, y);
        return {x, y};
      }
    }
    throw ConfigError("simulate", "the field is too small for its sources",
                      "fewer sources, a larger field or a smaller separation");
  }

 private:
  [[nodiscard]] int cell(double v) const {
    return std::clamp(static_cast<int>(v / separation_), 0, n_cells_ - 1);
  }

  int side_;
  double separation_;
  int n_cells_;
  std::vector<std::vector<std::pair<double, double>>> cells_;
};

/// Fluxes from a magnitude in the second band and a colour, which tilts the spectrum.
std::vector<double> spectrum(double mag, double color, std::size_t n_bands) {
  std::vector<double> flux;
  for (std::size_t b = 0; b < n_bands; ++b) {
    const double steps = static_cast<double>(b) - 1.0;
    flux.push_back(flux_of(mag - color * steps / (1.0 + 0.35 * std::abs(steps))));
  }
  return flux;
}

void shape_galaxy(const Rng& rng, std::uint64_t i, double mag, double faint, TrueSource& source) {
  const double u = rng.uniform(i, kType + 100);
  source.type = u < 0.5 ? SourceType::exponential
                        : (u < 0.8 ? SourceType::de_vaucouleurs : SourceType::sersic);
  // Brighter galaxies are larger, with a scatter of a factor 1.5.
  const double typical = 1.9 * std::pow(10.0, 0.09 * (faint - mag));
  source.re_pix = std::clamp(typical * std::exp(0.4 * rng.normal(i, kRe)), 1.2, 7.0);
  source.ellipticity = rng.uniform(i, 0.03, 0.68, kShape);
  source.theta_deg = rng.uniform(i, -90.0, 90.0, kAngle);
  switch (source.type) {
    case SourceType::exponential:
      source.sersic_n = 1.0;
      break;
    case SourceType::de_vaucouleurs:
      source.sersic_n = 4.0;
      break;
    default:
      // Quarter steps keep the number of radial transforms small.
      source.sersic_n = 1.0 + 0.25 * std::floor(1.0 + 11.0 * rng.uniform(i, kIndex));
  }
}

std::int64_t gaia_number(const Rng& rng, std::uint64_t i) {
  constexpr std::int64_t kFirst = 3'800'000'000'000'000'000;
  return kFirst + static_cast<std::int64_t>(rng.uniform(i, kGaia) * 9.0e16);
}

std::string_view name_of(SourceType type) {
  switch (type) {
    case SourceType::star:
      return "STAR";
    case SourceType::exponential:
      return "EXP";
    case SourceType::de_vaucouleurs:
      return "DEV";
    default:
      return "SERSIC";
  }
}

Column number_column(std::string name, std::string unit, std::string description) {
  return {std::move(name), Type::float64, std::move(unit), std::move(description)};
}

/// Angle in [-90, 90).
double folded(double theta_deg) {
  return theta_deg - 180.0 * std::floor((theta_deg + 90.0) / 180.0);
}

double rounded(double value, int decimals) {
  const double factor = std::pow(10.0, decimals);
  return std::round(value * factor) / factor;
}

}  // namespace

TangentPlane::TangentPlane(double ra_deg, double dec_deg, double scale_arcsec, int side_pix)
    : ra_deg_(ra_deg),
      dec_deg_(dec_deg),
      scale_deg_(scale_arcsec / 3600.0),
      center_pix_(0.5 * (side_pix - 1)) {}

TangentPlane::Position TangentPlane::to_sky(double x_pix, double y_pix) const {
  const double xi = -(x_pix - center_pix_) * scale_deg_ * kDegree;
  const double eta = (y_pix - center_pix_) * scale_deg_ * kDegree;
  const double sin0 = std::sin(dec_deg_ * kDegree);
  const double cos0 = std::cos(dec_deg_ * kDegree);
  const double ra = ra_deg_ + std::atan2(xi, cos0 - eta * sin0) / kDegree;
  const double dec = std::atan2(sin0 + eta * cos0, std::hypot(xi, cos0 - eta * sin0)) / kDegree;
  return {ra - 360.0 * std::floor(ra / 360.0), dec};
}

std::vector<TrueSource> make_sources(const SimulationOptions& options) {
  const Rng places(options.seed, "simulate/positions", options.size);
  const Rng rng(options.seed, "simulate/sources", options.size);
  Placement placement(options.side_pix, options.min_separation_pix);
  std::vector<TrueSource> sources;
  int n_bright = 0;
  for (int s = 0; s < options.n_sources; ++s) {
    const auto i = static_cast<std::uint64_t>(s);
    const bool saturated = s < saturated_stars(options);
    TrueSource source;
    std::tie(source.x_pix, source.y_pix) =
        placement.draw(places, i, saturated ? 0.15 * options.side_pix : 3.0);
    const bool star = saturated || rng.uniform(i, kType) < options.star_fraction;
    double mag = 0.0;
    if (star) {
      mag = saturated
                ? 9.2 + 0.3 * s
                : drawn_mag(rng.uniform(i, kMag), kBrightStarMag, options.faint_limit_mag, 0.2);
    } else {
      mag = drawn_mag(rng.uniform(i, kMag), kBrightGalaxyMag, options.faint_limit_mag - 0.7, 0.25);
      shape_galaxy(rng, i, mag, options.faint_limit_mag, source);
    }
    source.flux = spectrum(mag, 0.45 + 0.25 * rng.normal(i, kColor), options.bands.size());
    if (star && mag < kGaiaLimitMag) {
      source.gaia_id = gaia_number(rng, i);
      source.catalogued = mag >= kLackingLimitMag || ++n_bright % 14 != 10;
    }
    char id[16];
    std::snprintf(id, sizeof id, "%06d", s + 1);
    source.id = source.catalogued ? id : "gaia_" + std::to_string(source.gaia_id);
    sources.push_back(std::move(source));
  }
  return sources;
}

Table truth_table(const SimulationOptions& options, const std::vector<TrueSource>& sources) {
  TableSchema schema{"truth", {}};
  schema.columns = {{"ID", Type::text, "", "as in the catalogue"},
                    number_column("RA", "deg", "right ascension"),
                    number_column("DEC", "deg", "declination"),
                    number_column("x", "pix", "0-based, of the uncropped image"),
                    number_column("y", "pix", "0-based, of the uncropped image"),
                    {"TYPE", Type::text, "", "STAR, EXP, DEV or SERSIC"}};
  for (const SimulatedBand& band : options.bands) {
    schema.columns.push_back(number_column("FLUX_" + band.name, "", "scaled flux, zero point 25"));
  }
  for (const SimulatedBand& band : options.bands) {
    schema.columns.push_back(number_column("MAG_" + band.name, "mag", "AB magnitude"));
  }
  schema.columns.push_back(number_column("Re", "pix", "half-light radius, major axis"));
  schema.columns.push_back(number_column("ELL", "", "1 - b/a"));
  schema.columns.push_back(number_column("THETA", "deg", "counter-clockwise from +x"));
  schema.columns.push_back(number_column("n", "", "Sersic index"));
  schema.columns.push_back({"in_catalogue", Type::boolean, "", "false: only in the Gaia table"});
  const TangentPlane plane(options.ra_deg, options.dec_deg, options.pixel_scale_arcsec,
                           options.side_pix);
  Table table(schema);
  for (const TrueSource& source : sources) {
    const std::size_t row = table.add_row();
    const auto sky = plane.to_sky(source.x_pix, source.y_pix);
    table.set(row, "ID", source.id);
    table.set(row, "RA", sky.ra_deg);
    table.set(row, "DEC", sky.dec_deg);
    table.set(row, "x", source.x_pix);
    table.set(row, "y", source.y_pix);
    table.set(row, "TYPE", name_of(source.type));
    for (std::size_t b = 0; b < options.bands.size(); ++b) {
      table.set(row, "FLUX_" + options.bands[b].name, source.flux[b]);
      table.set(row, "MAG_" + options.bands[b].name, mag_of(source.flux[b]));
    }
    if (source.type != SourceType::star) {
      table.set(row, "Re", source.re_pix);
      table.set(row, "ELL", source.ellipticity);
      table.set(row, "THETA", source.theta_deg);
      table.set(row, "n", source.sersic_n);
    }
    table.set(row, "in_catalogue", source.catalogued);
  }
  return table;
}

Table catalogue_table(const SimulationOptions& options, const std::vector<TrueSource>& sources) {
  TableSchema schema{"catalogue", {}};
  schema.columns = {{"ID", Type::text, "", "source"},
                    number_column("RA", "deg", "right ascension"),
                    number_column("DEC", "deg", "declination"),
                    {"TYPE", Type::text, "", "STAR, EXP, DEV or SERSIC"}};
  for (const SimulatedBand& band : options.bands) {
    schema.columns.push_back(number_column("FLUX_" + band.name, "", "scaled flux, zero point 25"));
  }
  schema.columns.push_back(number_column("ELL", "", "1 - b/a"));
  schema.columns.push_back(number_column("THETA", "deg", "counter-clockwise from +x"));
  schema.columns.push_back(number_column("Re", "pix", "half-light radius"));
  const TangentPlane plane(options.ra_deg, options.dec_deg, options.pixel_scale_arcsec,
                           options.side_pix);
  const Rng rng(options.catalogue_seed.value_or(options.seed), "simulate/catalogue", options.size);
  Table table(schema);
  for (std::size_t s = 0; s < sources.size(); ++s) {
    const TrueSource& source = sources[s];
    if (!source.catalogued) {
      continue;
    }
    const std::size_t row = table.add_row();
    const bool star = source.type == SourceType::star;
    const double scatter_pix = star ? 0.16 : 0.3;
    const auto sky = plane.to_sky(source.x_pix + scatter_pix * rng.normal(s, 0),
                                  source.y_pix + scatter_pix * rng.normal(s, 1));
    table.set(row, "ID", source.id);
    table.set(row, "RA", rounded(sky.ra_deg, 8));
    table.set(row, "DEC", rounded(sky.dec_deg, 8));
    table.set(row, "TYPE", name_of(source.type));
    for (std::size_t b = 0; b < options.bands.size(); ++b) {
      const auto lane = static_cast<std::uint32_t>(20 + 2 * b);
      if (rng.uniform(s, lane) > 0.05) {
        const double flux = source.flux[b] * std::max(0.2, 1.0 + 0.12 * rng.normal(s, lane + 1));
        table.set(row, "FLUX_" + options.bands[b].name, rounded(flux, 4));
      }
    }
    if (!star) {
      const double ell = std::clamp(source.ellipticity + 0.07 * rng.normal(s, 2), 0.0, 0.95);
      table.set(row, "ELL", rounded(ell, 4));
      table.set(row, "THETA", rounded(folded(source.theta_deg + 8.0 * rng.normal(s, 3)), 2));
      table.set(row, "Re", rounded(source.re_pix * std::max(0.3, 1.0 + 0.2 * rng.normal(s, 4)), 4));
    }
  }
  return table;
}

Table gaia_table(const SimulationOptions& options, const std::vector<TrueSource>& sources) {
  TableSchema schema{"gaia", {}};
  schema.columns = {{"source_id", Type::int64, "", "Gaia source"},
                    number_column("ra", "deg", "right ascension"),
                    number_column("dec", "deg", "declination"),
                    number_column("phot_g_mean_mag", "mag", "mean G magnitude")};
  for (const SimulatedBand& band : options.bands) {
    schema.columns.push_back(number_column("mag_" + band.name, "mag", "synthetic AB magnitude"));
  }
  const TangentPlane plane(options.ra_deg, options.dec_deg, options.pixel_scale_arcsec,
                           options.side_pix);
  const Rng rng(options.seed, "simulate/gaia", options.size);
  Table table(schema);
  const auto add = [&](std::uint64_t draw, const TrueSource& source) {
    const std::size_t row = table.add_row();
    // About a milliarcsecond.
    const double scatter_pix = 1.0e-3 / options.pixel_scale_arcsec;
    const auto sky = plane.to_sky(source.x_pix + scatter_pix * rng.normal(draw, 0),
                                  source.y_pix + scatter_pix * rng.normal(draw, 1));
    table.set(row, "source_id", source.gaia_id);
    table.set(row, "ra", rounded(sky.ra_deg, 9));
    table.set(row, "dec", rounded(sky.dec_deg, 9));
    const double mean = std::accumulate(source.flux.begin(), source.flux.end(), 0.0) /
                        static_cast<double>(source.flux.size());
    table.set(row, "phot_g_mean_mag", rounded(mag_of(mean), 4));
    for (std::size_t b = 0; b < options.bands.size(); ++b) {
      const auto lane = static_cast<std::uint32_t>(10 + b);
      table.set(row, "mag_" + options.bands[b].name,
                rounded(mag_of(source.flux[b]) + 0.004 * rng.normal(draw, lane), 4));
    }
  };
  for (std::size_t s = 0; s < sources.size(); ++s) {
    if (sources[s].gaia_id != 0) {
      add(s, sources[s]);
    }
  }
  // A cone search reaches beyond the image.
  constexpr std::uint64_t kOutside = 1ULL << 40U;
  for (std::uint64_t i = 0; i < 12; ++i) {
    const double angle = rng.uniform(kOutside + i, 0.0, 2.0 * std::numbers::pi, 5);
    const double radius = options.side_pix * rng.uniform(kOutside + i, 0.75, 0.9, 6);
    TrueSource source;
    source.x_pix = plane.center_pix() + radius * std::cos(angle);
    source.y_pix = plane.center_pix() + radius * std::sin(angle);
    source.flux = spectrum(rng.uniform(kOutside + i, 13.0, 18.0, 7), 0.4, options.bands.size());
    source.gaia_id = gaia_number(rng, kOutside + i);
    add(kOutside + i, source);
  }
  return table;
}

}  // namespace skyloom::photometry
