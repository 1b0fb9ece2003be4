#include "pipelines/flares/simulate_sector.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "pipelines/flares/inject/kernel_template.hpp"

namespace skyloom::flares {
namespace {

constexpr double kTwoPi = 2.0 * std::numbers::pi;
constexpr double kDay_s = 86400.0;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
// Bits of QUALITY.
constexpr int kCoarsePoint = 4;
constexpr int kEarthPoint = 8;
constexpr int kDesaturation = 32;
constexpr int kCosmicRay = 64;
constexpr int kManualExclude = 128;
constexpr int kImpulsiveOutlier = 512;
constexpr int kStrayLight = 4096;
constexpr int kUnusable = 175;

double log_uniform(const Rng& rng, std::uint64_t draw, double low, double high) {
  return std::exp(rng.uniform(draw, std::log(low), std::log(high)));
}

/// Duration of a typical flare: about the cube root of its energy.
double typical_fwhm_d(double ed_s) {
  return 0.002 * std::cbrt(ed_s / 10.0);
}

/// Equivalent duration of a typical flare of this amplitude.
double typical_ed_s(double amplitude) {
  // ED = amplitude * area * fwhm(ED), and fwhm goes with ED^(1/3).
  const double per_amplitude =
      flare_area(FlareTemplate::mendoza2022) * kDay_s * 0.002 / std::cbrt(10.0);
  return std::pow(amplitude * per_amplitude, 1.5);
}

/// White noise of two minutes from star, sky and read-out in an aperture of ten pixels.
double noise_of(double flux) {
  constexpr double kExposure_s = 120.0 * 0.8;
  constexpr double kPixels = 10.0;
  constexpr double kSky = 20.0;         // [e-/s] per pixel
  constexpr double kReadNoise2 = 6000;  // [e-^2] per pixel and cadence
  const double electrons = flux * kExposure_s;
  const double variance = electrons + kPixels * (kSky * kExposure_s + kReadNoise2);
  return std::hypot(std::sqrt(variance) / electrons, 1.2e-4);
}

std::string key_of(const SimulatedStar& star, int sector) {
  return std::to_string(star.tic) + "/" + std::to_string(sector);
}

/// Rotation: two spot groups, the second of which the star shows at twice the frequency.
double rotation(const Rng& rng, const SimulatedStar& star, double time) {
  const double phase = time / star.period_d;
  const double second = rng.uniform(1, 0.0, 0.6);
  return 0.5 * star.rotation *
         (std::sin(kTwoPi * (phase + rng.uniform(2))) +
          second * std::sin(kTwoPi * (2.0 * phase + rng.uniform(3)))) /
         (1.0 + 0.5 * second);
}

/// Largest equivalent duration [s].
constexpr double kMostEd_s = 1e5;

std::vector<SimulatedFlare> draw_flares(const Rng& rng, const SimulatedStar& star, double begin,
                                        double end) {
  const auto count = static_cast<int>(rng.poisson(0, star.flares_per_day * (end - begin)));
  std::vector<SimulatedFlare> flares;
  const double power = 1.0 - star.slope;
  const double tail = 1.0 - std::pow(kMostEd_s / star.least_ed_s, power);
  for (int k = 0; k < count; ++k) {
    const auto draw = static_cast<std::uint64_t>(k) + 1;
    SimulatedFlare flare;
    flare.t_peak = rng.uniform(draw, begin, end, 0);
    flare.ed_s = star.least_ed_s * std::pow(1.0 - rng.uniform(draw, 1) * tail, 1.0 / power);
    flare.fwhm_d = typical_fwhm_d(flare.ed_s) * std::exp(0.35 * rng.normal(draw, 2));
    flare.amplitude = flare.ed_s / (kDay_s * flare.fwhm_d * flare_area(FlareTemplate::mendoza2022));
    flares.push_back(flare);
  }
  std::sort(flares.begin(), flares.end(),
            [](const SimulatedFlare& a, const SimulatedFlare& b) { return a.t_peak < b.t_peak; });
  return flares;
}

/// Adds a flare, averaged over the exposure of every cadence.
void add_flare(SimulatedFlare& flare, double begin, std::vector<double>& flux) {
  constexpr int kPoints = 11;
  constexpr double kRise = 1.3;  // the template is below 1e-9 outside [-1.3, 121.6]
  constexpr double kDecay = 121.6;
  const auto cadence_of = [&](double time) {
    const double place = std::floor((time - begin) / kSimulatedCadence_d);
    return static_cast<int>(std::clamp(place, 0.0, static_cast<double>(flux.size())));
  };
  const int first = std::max(0, cadence_of(flare.t_peak - kRise * flare.fwhm_d) - 1);
  const int last =
      std::min(static_cast<int>(flux.size()), cadence_of(flare.t_peak + kDecay * flare.fwhm_d) + 2);
  for (int i = first; i < last; ++i) {
    double sum = 0.0;
    for (int p = 0; p < kPoints; ++p) {
      const double within = (p + 0.5) / kPoints - 0.5;
      const double time = begin + (i + within) * kSimulatedCadence_d;
      sum += flare_shape(FlareTemplate::mendoza2022, (time - flare.t_peak) / flare.fwhm_d);
    }
    const double excess = flare.amplitude * sum / kPoints;
    flux[static_cast<std::size_t>(i)] += excess;
    flare.peak = std::max(flare.peak, excess);
  }
}

void mark(std::vector<int>& quality, int first, int count, int bits) {
  for (int i = std::max(0, first); i < std::min(first + count, static_cast<int>(quality.size()));
       ++i) {
    quality[static_cast<std::size_t>(i)] |= bits;
  }
}

/// Flags of a sector: the downlink in its middle, momentum dumps, stray light and a manual
/// exclusion at the end of its orbits, cosmic rays. The same for all stars of one camera.
std::vector<int> sector_quality(std::uint64_t seed, int sector, int cadences) {
  const Rng rng(seed, "simulate/sector", std::to_string(sector));
  std::vector<int> quality(static_cast<std::size_t>(cadences), 0);
  const int downlink = cadences / 28 + static_cast<int>(rng.uniform(0, 0.0, 0.01) * cadences);
  const int middle = cadences / 2 - downlink / 2;
  mark(quality, middle, downlink, kEarthPoint);
  mark(quality, middle - 40, 40, kStrayLight);
  mark(quality, middle + downlink, 15, kCoarsePoint);
  mark(quality, cadences - 120, 60, kManualExclude);
  const int every = 1800 + static_cast<int>(rng.uniform(1, 0.0, 400.0));
  for (int at = every; at < cadences; at += every) {
    mark(quality, at, 3 + static_cast<int>(rng.uniform(static_cast<std::uint64_t>(at), 0.0, 6.0)),
         kDesaturation);
  }
  return quality;
}

/// Noise, outliers and losses of one light curve.
void disturb(const Rng& rng, const SimulatedStar& star, SimulatedSector& out) {
  constexpr double kRed = 0.2;  // of the white noise, correlated over three hours
  constexpr double kKeep = 1.0 - 1.0 / 90.0;
  const double kick = std::sqrt(1.0 - kKeep * kKeep);
  double red = rng.normal(0, 3);
  for (std::size_t i = 0; i < out.flux.size(); ++i) {
    red = kKeep * red + kick * rng.normal(i, 1);
    out.flux[i] += star.noise * (rng.normal(i, 0) + kRed * red);
    const double chance = rng.uniform(i, 2);
    if (chance < 3e-4) {
      out.flux[i] += star.noise * (5.0 + 20.0 * rng.uniform(i, 4));
      out.quality[i] |= kImpulsiveOutlier;
    } else if (chance < 6e-4) {
      out.quality[i] |= kCosmicRay;
    } else if (chance < 9e-4) {
      out.flux[i] = kNone;
    }
    if ((out.quality[i] & (kDesaturation | kCoarsePoint)) != 0) {
      out.flux[i] += 0.02 * rng.normal(i, 5);
    }
    if ((out.quality[i] & kEarthPoint) != 0) {
      out.flux[i] = kNone;
      // Some of these rows have a time and some have none.
      out.time[i] = (i / 60) % 2 == 0 ? kNone : out.time[i];
    }
  }
}

}  // namespace

SimulatedStar simulated_star(std::uint64_t seed, int index, double slope) {
  constexpr std::int64_t kFirstTic = 900000001;
  constexpr double kSunRadius_cm = 6.957e10;
  constexpr double kStefanBoltzmann = 5.670374419e-5;  // [erg / (cm^2 s K^4)]
  SimulatedStar star;
  star.tic = kFirstTic + index;
  const Rng rng(seed, "simulate/star", std::to_string(star.tic));
  star.tess_mag = rng.uniform(0, 9.0, 14.0);
  star.ra_deg = rng.uniform(1, 0.0, 360.0);
  star.dec_deg = std::asin(rng.uniform(2, -1.0, 1.0)) * 180.0 / std::numbers::pi;
  star.teff_k = rng.uniform(3, 2900.0, 5200.0);
  star.radius_sun = 0.15 + 0.65 * (star.teff_k - 2900.0) / 2300.0;
  star.logg = 5.1 - 0.5 * (star.teff_k - 2900.0) / 2300.0;
  const double radius_cm = star.radius_sun * kSunRadius_cm;
  star.luminosity_erg_s =
      2.0 * kTwoPi * radius_cm * radius_cm * kStefanBoltzmann * std::pow(star.teff_k, 4);
  star.flux = std::pow(10.0, 0.4 * (20.44 - star.tess_mag));
  star.noise = noise_of(star.flux);
  star.period_d = log_uniform(rng, 4, 0.4, 15.0);
  star.rotation = log_uniform(rng, 5, 1e-3, 3e-2);
  star.slope = slope;
  // Flares begin far below what can be found: a typical one of twice the noise.
  star.least_ed_s = typical_ed_s(2.0 * star.noise);
  star.flares_per_day = log_uniform(rng, 6, 0.4, 2.0);
  return star;
}

double sector_begin(int sector) {
  constexpr double kFirst = 1325.2925;
  constexpr double kEvery_d = 27.4;
  return kFirst + kEvery_d * (sector - 1);
}

SimulatedSector simulated_sector(std::uint64_t seed, const SimulatedStar& star, int sector,
                                 int cadences) {
  const Rng rng(seed, "simulate/light-curve", key_of(star, sector));
  SimulatedSector out;
  out.sector = sector;
  out.camera = 1 + static_cast<int>(rng.uniform(0, 0.0, 4.0));
  out.ccd = 1 + static_cast<int>(rng.uniform(1, 0.0, 4.0));
  const double begin = sector_begin(sector);
  const auto n = static_cast<std::size_t>(cadences);
  const Rng star_rng = Rng(seed, "simulate/star", std::to_string(star.tic)).stream("rotation");
  const int first_cadence = static_cast<int>(std::lround((begin - 1227.4) / kSimulatedCadence_d));
  for (std::size_t i = 0; i < n; ++i) {
    out.time.push_back(begin + static_cast<double>(i) * kSimulatedCadence_d);
    out.cadence.push_back(first_cadence + static_cast<int>(i));
    out.flux.push_back(1.0 + rotation(star_rng, star, out.time[i]));
  }
  out.quality = sector_quality(seed, sector, cadences);
  out.flares =
      draw_flares(rng.stream("flares"), star, begin, begin + cadences * kSimulatedCadence_d);
  for (SimulatedFlare& flare : out.flares) {
    add_flare(flare, begin, out.flux);
  }
  disturb(rng.stream("noise"), star, out);
  for (SimulatedFlare& flare : out.flares) {
    const auto at = std::min(
        n - 1, static_cast<std::size_t>(std::lround((flare.t_peak - begin) / kSimulatedCadence_d)));
    flare.observed = std::isfinite(out.flux[at]) && (out.quality[at] & kUnusable) == 0;
  }
  return out;
}

}  // namespace skyloom::flares
