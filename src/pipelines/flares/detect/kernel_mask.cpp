#include "kernel_mask.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace skyloom::flares {
namespace {

constexpr double kSecondsPerDay = 86400.0;
constexpr int kBefore = 3;  // cadences of the integral outside the block
constexpr int kAfter = 9;
constexpr double kLongestStep = 5.0;  // cadences

bool has_gap(std::span<const int> gaps, int first, int last) {
  const auto at = std::lower_bound(gaps.begin(), gaps.end(), first);
  return at != gaps.end() && *at < last;
}

}  // namespace

std::vector<FlareBlock> find_flares(std::span<const double> probability, std::span<const int> gaps,
                                    const DetectionRule& rule) {
  std::vector<FlareBlock> blocks;
  for (int i = 0; i < static_cast<int>(probability.size()); ++i) {
    if (!(probability[static_cast<std::size_t>(i)] > rule.threshold)) {
      continue;
    }
    // Neighbours are one run even where nothing is merged.
    const int reach = std::max(2, rule.merge_cadences);
    if (!blocks.empty() && i - blocks.back().stop < reach &&
        !has_gap(gaps, blocks.back().stop, i)) {
      blocks.back().stop = i;
    } else {
      blocks.push_back({i, i});
    }
  }
  std::erase_if(blocks, [&](const FlareBlock& block) {
    return block.stop - block.start + 1 < rule.min_cadences;
  });
  return blocks;
}

std::vector<std::uint8_t> flare_mask(std::span<const FlareBlock> blocks, std::size_t cadences) {
  std::vector<std::uint8_t> mask(cadences, 0);
  for (const FlareBlock& block : blocks) {
    std::fill(mask.begin() + block.start, mask.begin() + block.stop + 1, std::uint8_t{1});
  }
  return mask;
}

Flare measure_flare(const FlareInput& input, const FlareBlock& block) {
  const auto start = static_cast<std::size_t>(block.start);
  const auto stop = static_cast<std::size_t>(block.stop);
  const auto excess = [&](std::size_t i) {
    return (input.flux[i] - input.mu[i]) / input.median_flux;
  };
  Flare flare;
  flare.block = block;
  std::size_t peak = start;
  flare.probability_max = input.probability[start];
  for (std::size_t i = start; i <= stop; ++i) {
    peak = input.flux[i] - input.mu[i] > input.flux[peak] - input.mu[peak] ? i : peak;
    flare.probability_max = std::fmax(flare.probability_max, input.probability[i]);
  }
  flare.peak = static_cast<int>(peak);
  flare.t_start = input.time[start];
  flare.t_stop = input.time[stop];
  flare.t_peak = input.time[peak];
  flare.amplitude = excess(peak);
  const std::size_t first = start < kBefore ? 0 : start - kBefore;
  const std::size_t last = std::min(stop + kAfter, input.time.size() - 1);
  double area = 0.0;
  double variance = 0.0;
  double before = 0.0;  // half the step to the sample before
  for (std::size_t i = first; i <= last; ++i) {
    const double step = i < last ? input.time[i + 1] - input.time[i] : 0.0;
    const double after = step > kLongestStep * input.cadence_d ? 0.0 : 0.5 * step;
    area += (before + after) * excess(i);
    const double error = input.flux_err[i];
    if (std::isfinite(error) && error > 0.0) {
      variance += (before + after) * error * (before + after) * error;
    }
    before = after;
  }
  flare.equivalent_duration_s = kSecondsPerDay * area;
  flare.equivalent_duration_error_s = kSecondsPerDay * std::sqrt(variance) / input.median_flux;
  return flare;
}

std::optional<EnergyRelation> energy_relation(double teff_k) {
  if (teff_k < 3900.0) {
    return EnergyRelation{1.75999376, 36.05875657, 0.27824};
  }
  if (teff_k < 5300.0) {
    return EnergyRelation{1.18075204, 36.61235441, 0.21504};
  }
  if (teff_k <= 6000.0) {
    return EnergyRelation{1.18996884, 37.27283556, 0.17545};
  }
  return std::nullopt;
}

double log10_energy(const EnergyRelation& relation, double amplitude) {
  return amplitude > 0.0 ? relation.slope * std::log10(amplitude) + relation.intercept
                         : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace skyloom::flares
