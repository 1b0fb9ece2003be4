#pragma once
// Flares from probabilities: blocks of cadences above a threshold, and what is measured in them.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace skyloom::flares {

struct DetectionRule {
  double threshold = 0.75;  ///< a cadence counts above it, not at it
  int merge_cadences = 20;  ///< runs whose facing ends are closer than this become one
  int min_cadences = 3;     ///< shortest block, bridged cadences included
};

/// First and last cadence of a flare, both inside.
struct FlareBlock {
  int start = 0;
  int stop = 0;

  friend bool operator==(const FlareBlock&, const FlareBlock&) = default;
};

/// Blocks in order of time. Runs are cut at gaps and never merged over one.
/// @param probability of every cadence, NaN = none (never part of a run)
/// @param gaps j: gap between cadences j and j + 1, increasing
std::vector<FlareBlock> find_flares(std::span<const double> probability, std::span<const int> gaps,
                                    const DetectionRule& rule);

/// 1 on every cadence of every block.
std::vector<std::uint8_t> flare_mask(std::span<const FlareBlock> blocks, std::size_t cadences);

/// A flare as it stands in the flare list.
struct Flare {
  FlareBlock block;
  int peak = 0;                              ///< cadence of the largest flux - mu
  double t_start = 0.0;                      ///< [d]
  double t_stop = 0.0;                       ///< [d]
  double t_peak = 0.0;                       ///< [d]
  double amplitude = 0.0;                    ///< (flux - mu) / median flux at the peak
  double equivalent_duration_s = 0.0;        ///< integral of (flux - mu) / median flux, 3 cadences
                                             ///< before to 9 after the block
  double equivalent_duration_error_s = 0.0;  ///< from flux_err; cadences without one add nothing
  double probability_max = 0.0;
};

/// A light curve with its quiet level, all of one length.
struct FlareInput {
  std::span<const double> time;         ///< [d]
  std::span<const double> flux;         ///< [e-/s]
  std::span<const double> flux_err;     ///< [e-/s]; NaN or not positive = unknown
  std::span<const double> mu;           ///< flux without flares [e-/s]
  std::span<const double> probability;  ///< [-]
  double median_flux = 0.0;             ///< [e-/s]
  double cadence_d = 0.0;               ///< intervals above 5 of these add no area
};

Flare measure_flare(const FlareInput& input, const FlareBlock& block);

/// log10(energy / erg) = slope * log10(amplitude) + intercept, with Gaussian scatter.
struct EnergyRelation {
  double slope = 0.0;
  double intercept = 0.0;
  double scatter = 0.0;
};
/// The relation of a star's class: M below 3900 K, K to 5300 K, G to 6000 K; nothing for hotter
/// stars and without a temperature (NaN).
std::optional<EnergyRelation> energy_relation(double teff_k);
/// Energy that the relation expects of a flare [log10 erg]; NaN for an amplitude that is not
/// positive.
double log10_energy(const EnergyRelation& relation, double amplitude);

}  // namespace skyloom::flares
