#include "kernel.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include "skyloom/core/errors.hpp"

namespace skyloom::flares {
namespace {

constexpr int kFromEnds = 5;
constexpr double kLargestAmplitude = 50.0;  // in relative errors
constexpr double kDuration = 0.002;         // [d]
constexpr double kDurationScatter = 0.7;    // of its logarithm
constexpr double kSecondsPerDay = 86400.0;

/// Purposes of the random numbers: the first word of the counter.
enum class Draw : std::uint64_t { duration = 0, cadence = 1, energy_scatter = 2, energy = 3 };

std::uint64_t counter(Draw what, int id) {
  return static_cast<std::uint64_t>(id) << 32 | static_cast<std::uint64_t>(what);
}

InjectedFlare flare_of_energy(const FlareSample& sample, const StarScale& star, const Rng& rng,
                              int id) {
  const std::optional<EnergyRelation> relation = energy_relation(star.teff_k);
  if (!relation || !(star.luminosity_erg_s > 0.0)) {
    throw UnitError(
        Reason::bad_input,
        "temperature and radius of the star must be known (injection.sample = \"ffd\")");
  }
  const EnergyDistribution& e = sample.energies;
  const double u = rng.uniform(counter(Draw::energy, id));
  const double most = std::pow(e.min_erg / e.max_erg, e.slope);
  const double energy = e.max_erg * std::pow(1.0 + (1.0 - u) * (most - 1.0), 1.0 / e.slope);
  const double log_energy =
      std::log10(energy) - relation->scatter * rng.normal(counter(Draw::energy_scatter, id));
  const double amplitude = std::pow(10.0, (log_energy - relation->intercept) / relation->slope);
  const double equivalent_s = energy / star.luminosity_erg_s;
  return {amplitude, equivalent_s / (kSecondsPerDay * flare_area(sample.shape) * amplitude)};
}

/// floor(bits * n / 2^64).
int scaled(const std::array<std::uint32_t, 4>& bits, std::size_t n) {
  const auto count = static_cast<std::uint64_t>(n);
  return static_cast<int>((bits[0] * count + (bits[1] * count >> 32)) >> 32);
}

}  // namespace

InjectedFlare draw_flare(const FlareSample& sample, const StarScale& star, const Rng& rng, int id) {
  if (sample.how == Sample::ffd) {
    return flare_of_energy(sample, star, rng, id);
  }
  if (!(star.relative_error > 0.0)) {
    throw UnitError(Reason::no_good_data,
                    "no cadence has a flux error, which amplitudes are drawn in units of "
                    "(injection.sample = \"lognormal\")");
  }
  const double step = sample.count > 1 ? static_cast<double>(id) / (sample.count - 1) : 0.0;
  return {star.relative_error * std::pow(kLargestAmplitude, step),
          kDuration * std::exp(kDurationScatter * rng.normal(counter(Draw::duration, id)))};
}

std::vector<int> eligible_cadences(std::span<const std::uint8_t> predicted,
                                   std::span<const std::uint8_t> mask) {
  std::vector<int> out;
  const int n = static_cast<int>(predicted.size());
  for (int i = kFromEnds + 1; i < n - kFromEnds; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (predicted[at] != 0 && mask[at] == 0) {
      out.push_back(i);
    }
  }
  return out;
}

int draw_cadence(std::span<const int> eligible, const Rng& rng, int id, int repeat) {
  const auto bits = rng.bits(counter(Draw::cadence, id), static_cast<std::uint32_t>(repeat));
  return eligible[static_cast<std::size_t>(scaled(bits, eligible.size()))];
}

double band_luminosity(double teff_k, double radius) {
  if (!(teff_k > 0.0) || !(radius > 0.0)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  constexpr double kSecondRadiation = 1.438776877e-2;  // h c / k [m K]
  constexpr double kStefanBoltzmann = 5.670374419e-5;  // [erg / (s cm^2 K^4)]
  constexpr double kSolarRadius = 6.957e10;            // [cm]
  // Part of the radiation below a wavelength (Wiebelt 1966).
  const auto below = [&](double metres) {
    const double x = kSecondRadiation / (metres * teff_k);
    double sum = 0.0;
    for (int n = 1; n <= 40; ++n) {
      sum += std::exp(-n * x) *
             (((x / n + 3.0 / (n * n)) * x + 6.0 / (std::pow(n, 3))) * x + 6.0 / std::pow(n, 4));
    }
    return 15.0 / std::pow(std::numbers::pi, 4) * sum;
  };
  const double r = radius * kSolarRadius;
  return 4.0 * std::numbers::pi * r * r * kStefanBoltzmann * std::pow(teff_k, 4) *
         (below(1000e-9) - below(600e-9));
}

BlockOutcome inject(Trials<float>& trials, std::span<const std::uint8_t> mask,
                    const FlareSample& sample, const StarScale& star, const InjectionBlock& block,
                    bool together, const Rng& rng) {
  const std::vector<int> eligible = eligible_cadences(trials.curve().windows->predicted, mask);
  if (eligible.empty()) {
    throw UnitError(Reason::no_good_data, "no cadence outside flares has a window");
  }
  const auto trial = [&](int id, int repeat) {
    const InjectedFlare flare = draw_flare(sample, star, rng, id);
    return Trial{draw_cadence(eligible, rng, id, repeat), flare.amplitude, flare.duration_d};
  };
  BlockOutcome out;
  std::vector<Trial> injected;
  for (int k = 0; k < block.count; ++k) {
    out.flares.push_back(draw_flare(sample, star, rng, block.first + k));
    for (int repeat = 0; repeat < block.repeats; ++repeat) {
      injected.push_back(trial(block.first + k, repeat));
      out.cadence.push_back(injected.back().cadence);
    }
  }
  if (!together) {
    out.recovered = trials.recovered(injected);
    return out;
  }
  out.recovered.resize(injected.size());
  for (int repeat = 0; repeat < block.repeats; ++repeat) {
    std::vector<Trial> all;
    all.reserve(static_cast<std::size_t>(sample.count));
    for (int id = 0; id < sample.count; ++id) {
      all.push_back(trial(id, repeat));
    }
    const std::vector<std::uint8_t> found = trials.recovered_together(all);
    for (int k = 0; k < block.count; ++k) {
      out.recovered[static_cast<std::size_t>(k * block.repeats + repeat)] =
          found[static_cast<std::size_t>(block.first + k)];
    }
  }
  return out;
}

}  // namespace skyloom::flares
