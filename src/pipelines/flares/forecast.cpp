#include "pipelines/flares/forecast.hpp"

#include <algorithm>
#include <set>

#include "pipelines/flares/inject/stage.hpp"
#include "pipelines/flares/sectors.hpp"

namespace skyloom::flares {
namespace {

// Core seconds, measured with ten networks and AVX-512; cadences that are kept of a sector.
constexpr double kDetectSeconds = 0.10;     // of a sector
constexpr double kGpSeconds = 1.2e-5;       // of a cadence
constexpr double kTrialSeconds = 7.5e-5;    // of an injection
constexpr double kRatesSeconds = 4e-3;      // of a sector
constexpr double kCadences = 18000.0;       // of a sector
constexpr double kDetectBytes = 26.0;       // of a cadence
constexpr double kGpBytes = 16.0;           // of a cadence
constexpr double kInjectionBytes = 60.0;    // of a flare
constexpr double kTrialBytes = 13.0;        // of an injection
constexpr double kRatesBytes = 2e4;         // of a sector
constexpr double kDetectMemory_mb = 150.0;  // of a rank
constexpr double kInjectMemory_mb = 260.0;  // of a rank
constexpr double kSectorFileBytes = 2e5;    // beside cadences and injections

}  // namespace

std::vector<engine::StageForecast> forecast(const Config& config) {
  const std::vector<surveys::SectorFile>& files = found_sectors(config).files;
  std::set<std::int64_t> stars;
  for (const surveys::SectorFile& file : files) {
    stars.insert(file.tic);
  }
  const auto sectors = static_cast<double>(files.size());
  const auto blocks = injection_blocks(config, files.size());
  double trials = 0.0;
  double largest = 0.0;
  for (const InjectionBlock& block : blocks) {
    const double of_block = static_cast<double>(block.count) * block.repeats;
    trials += of_block;
    largest = std::max(largest, of_block);
  }
  const double cadence_mb = sectors * kCadences / 1e6;
  const double injection_mb =
      sectors * (kTrialBytes * trials + kInjectionBytes * config.injection.n_inject) / 1e6;
  const engine::StageForecast detect{
      "detect", 0.0, 0.0, 0.0, kDetectSeconds, kDetectMemory_mb, kDetectBytes * cadence_mb};
  const engine::StageForecast gp{"gp",       sectors,          sectors * kCadences,  kCadences,
                                 kGpSeconds, kDetectMemory_mb, kGpBytes * cadence_mb};
  const engine::StageForecast inject{"inject",         sectors * static_cast<double>(blocks.size()),
                                     sectors * trials, largest,
                                     kTrialSeconds,    kInjectMemory_mb,
                                     injection_mb};
  engine::StageForecast rates{"rates",
                              static_cast<double>(stars.size()) + 1.0,
                              2.0 * sectors,
                              sectors,
                              kRatesSeconds,
                              kDetectMemory_mb,
                              kRatesBytes * sectors / 1e6};
  if (config.output.per_sector) {
    rates.output_mb +=
        (kDetectBytes + kGpBytes) * cadence_mb + injection_mb + kSectorFileBytes * sectors / 1e6;
  }
  return {detect, gp, inject, rates};
}

}  // namespace skyloom::flares
