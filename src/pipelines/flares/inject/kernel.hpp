#pragma once
// Which flares are injected into the light curve of a sector, and where. Numbers depend on the seed
// of the run, the star, the sector, and the numbers of flare and repeat, on nothing else.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "pipelines/flares/detect/kernel_mask.hpp"
#include "pipelines/flares/inject/kernel_trials.hpp"
#include "skyloom/core/random.hpp"

namespace skyloom::flares {

enum class Sample { lognormal, ffd };

/// Flares whose number with an energy above E goes with E^slope between two energies.
struct EnergyDistribution {
  double slope = -1.0;  ///< below 0
  double min_erg = 1e32;
  double max_erg = 1e36;
};

struct FlareSample {
  Sample how = Sample::lognormal;
  int count = 2000;  ///< flares of a sector
  FlareTemplate shape = FlareTemplate::mendoza2022;
  EnergyDistribution energies;  ///< for ffd
};

/// What amplitudes and durations are scaled by.
struct StarScale {
  double relative_error = 0.0;    ///< median error / median flux; NaN = unknown
  double teff_k = 0.0;            ///< NaN = unknown
  double luminosity_erg_s = 0.0;  ///< of the quiet star in the band; NaN = unknown
};

struct InjectedFlare {
  double amplitude = 0.0;   ///< in units of the median flux outside flares
  double duration_d = 0.0;  ///< unit of the template's argument
};

/// Flare `id` of a sample. `lognormal`: amplitudes from one relative error to 50 of them, evenly in
/// their logarithm, and durations around 0.002 d with a standard deviation of 0.7 in their
/// logarithm. `ffd`: an energy, the amplitude that the energy relation of the star's class and its
/// scatter give, and the duration that makes the template's equivalent duration energy /
/// luminosity.
/// @throws UnitError for lognormal when the relative error is not positive, for ffd when class or
///   luminosity of the star are unknown
InjectedFlare draw_flare(const FlareSample& sample, const StarScale& star, const Rng& rng, int id);

/// Cadences with a window outside the mask, more than five from the ends.
std::vector<int> eligible_cadences(std::span<const std::uint8_t> predicted,
                                   std::span<const std::uint8_t> mask);

/// One of them, all equally likely.
int draw_cadence(std::span<const int> eligible, const Rng& rng, int id, int repeat);

/// Luminosity of a black body between 600 and 1000 nm, the band of TESS [erg/s].
/// @param radius in solar radii; NaN when it or the temperature are not positive
double band_luminosity(double teff_k, double radius);

/// Flares first .. first + count - 1 of a sector, every one at `repeats` cadences.
struct InjectionBlock {
  int first = 0;
  int count = 0;
  int repeats = 10;
};

/// Row k belongs to flare first + k.
struct BlockOutcome {
  std::vector<InjectedFlare> flares;
  std::vector<std::int32_t> cadence;    ///< (count, repeats)
  std::vector<std::uint8_t> recovered;  ///< (count, repeats)
};

/// Draws and searches a block. @param together all flares of a repeat in one light curve (those of
///   the whole sample, so that the result does not depend on the block)
/// @param mask of the flares that the light curve has
/// @throws UnitError when no cadence is eligible, and as draw_flare()
BlockOutcome inject(Trials<float>& trials, std::span<const std::uint8_t> mask,
                    const FlareSample& sample, const StarScale& star, const InjectionBlock& block,
                    bool together, const Rng& rng);

}  // namespace skyloom::flares
