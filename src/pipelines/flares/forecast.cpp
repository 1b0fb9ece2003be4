#include "pipelines/flares/forecast.hpp"

#include <algorithm>
#include <map>

#include "pipelines/flares/inject/stage.hpp"
#include "pipelines/flares/sectors.hpp"
#include "pipelines/flares/stored.hpp"

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
constexpr double kSectorMemory_mb = 5e-4;   // of a rank, for every sector of the survey
constexpr double kRatedMemory_mb = 1.2e-3;  // the same, in `rates`
constexpr double kSampleSeconds = 1.5e-4;   // of a star
constexpr double kSampleMemory_mb = 1e-2;   // of a star
constexpr double kSectorFileBytes = 2e5;    // beside cadences and injections

/// With the sectors of other runs.
std::vector<engine::StageForecast> rates_and_sample(const Config& config) {
  std::map<std::int64_t, double> sectors_of_star;
  for (const surveys::SectorFile& file : found_sectors(config).files) {
    ++sectors_of_star[file.tic];
  }
  for (const std::string& run : config.inputs.runs) {
    for (const StoredSector& sector : stored_sectors(engine::Products(run))) {
      ++sectors_of_star[sector.tic];
    }
  }
  double sectors = 0.0;
  double largest = 0.0;
  for (const auto& [tic, count] : sectors_of_star) {
    sectors += count;
    largest = std::max(largest, count);
  }
  const auto stars = static_cast<double>(sectors_of_star.size());
  const engine::StageForecast rates{"rates",
                                    stars,
                                    sectors,
                                    largest,
                                    kRatesSeconds,
                                    kDetectMemory_mb + kRatedMemory_mb * sectors,
                                    kRatesBytes * sectors / 1e6};
  const engine::StageForecast sample{
      "sample", stars > 0.0 ? 1.0 : 0.0, stars,
      stars,    kSampleSeconds,          kDetectMemory_mb + kSampleMemory_mb * stars,
      1.0};
  return {rates, sample};
}

}  // namespace

std::vector<engine::StageForecast> forecast(const Config& config) {
  const std::vector<surveys::SectorFile>& files = found_sectors(config).files;
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
  const engine::StageForecast gp{"gp",
                                 sectors,
                                 sectors * kCadences,
                                 kCadences,
                                 kGpSeconds,
                                 kDetectMemory_mb + kSectorMemory_mb * sectors,
                                 kGpBytes * cadence_mb};
  const engine::StageForecast inject{
      "inject",      sectors * static_cast<double>(blocks.size()),  sectors * trials, largest,
      kTrialSeconds, kInjectMemory_mb + kSectorMemory_mb * sectors, injection_mb};
  std::vector<engine::StageForecast> out{detect, gp, inject};
  for (const engine::StageForecast& stage : rates_and_sample(config)) {
    out.push_back(stage);
  }
  if (config.output.per_sector) {
    out[3].output_mb +=
        (kDetectBytes + kGpBytes) * cadence_mb + injection_mb + kSectorFileBytes * sectors / 1e6;
  }
  return out;
}

}  // namespace skyloom::flares
