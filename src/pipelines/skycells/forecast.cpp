#include "pipelines/skycells/forecast.hpp"

#include "pipelines/skycells/downsample/detector.hpp"
#include "pipelines/skycells/survey.hpp"

namespace skyloom::skycells {
namespace {

// Core seconds per megapixel, measured with AVX-512 and files in memory.
constexpr double kBandSeconds = 4.5e-3;      // an image and its mask
constexpr double kLightSeconds = 2.0e-3;     // sum of bands, decimation, mask
constexpr double kConvolveSeconds = 9.0e-3;  // interpolation and writing
constexpr double kPlainSeconds = 2.5e-2;     // without a coarse grid
constexpr double kMapSeconds = 5.6e-3;       // a registration map
constexpr double kOffsetSeconds = 6.8e-4;    // an offset by whole pixels
constexpr double kFieldSeconds = 2.2e-3;     // one between pixels
constexpr double kSkySeconds = 2.0e-2;       // detection of sources
constexpr double kStarSeconds = 2.0e-2;      // segments around stars, their removal
constexpr double kMemory_mb = 110.0;         // of a rank
constexpr double kWholeBytes = 34.0;         // per pixel, of a treated cell and paddings
constexpr double kRecordBytes = 0.05;        // per pixel, of light and masks
constexpr double kPixelBytes = 6.0;          // of a convolved image and its mask
constexpr double kSumBytes = 0.002;          // of the sums of an offset
constexpr double kCoarseBytes = 0.06;        // the same of the coarse grid

}  // namespace

std::vector<engine::StageForecast> forecast(const Config& config) {
  const Survey& survey = found_survey(config);
  double pixels = 0.0;
  double largest = 0.0;
  for (const surveys::Skycell& cell : survey.list.cells) {
    const double of_cell = static_cast<double>(cell.width) * cell.height;
    pixels += of_cell;
    largest = std::max(largest, of_cell);
  }
  const auto cells = static_cast<double>(survey.list.cells.size());
  const double mpx = 1e-6 * pixels / cells;
  const bool streams = config.streams();
  const auto bands = static_cast<double>(config.bands.use.size());
  const double plain_mb = streams ? 0.0 : 4e-6 * largest;
  const SourceOptions sources = config.source_options();
  const double sources_mb = sources.any() ? 1e-6 * kWholeBytes * largest : 0.0;
  const double source_seconds = (sources.needs_noise() ? kSkySeconds + bands * kBandSeconds : 0.0) +
                                (sources.saturation == SaturationMode::remove ? kStarSeconds : 0.0);
  const double kept = (streams ? 0.0 : sizeof(float)) + kRecordBytes;
  const double written = config.io.sampling == "coarse" ? kCoarseBytes : kPixelBytes;
  std::vector<engine::StageForecast> out{
      {"combine", cells + 1.0, cells, 1.0,
       (bands * kBandSeconds + kLightSeconds + source_seconds) * mpx,
       kMemory_mb + plain_mb + sources_mb, 1e-6 * kept * pixels},
      {"convolve", cells, cells, 1.0, (streams ? kConvolveSeconds : kPlainSeconds) * mpx,
       kMemory_mb + 4.0 * plain_mb, 1e-6 * written * pixels}};
  if (config.downsample.enabled) {
    const auto offsets = static_cast<double>(read_detector(config).offsets.size());
    const double per_offset = config.io.sampling == "coarse" ? kFieldSeconds : kOffsetSeconds;
    out.push_back({"downsample", cells, cells, 1.0, (kMapSeconds + offsets * per_offset) * mpx,
                   kMemory_mb, 1e-6 * kSumBytes * (1.0 + offsets) * pixels});
  }
  return out;
}

}  // namespace skyloom::skycells
