#include "pipelines/skycells/forecast.hpp"

#include "pipelines/skycells/survey.hpp"

namespace skyloom::skycells {
namespace {

// Core seconds per megapixel, measured with AVX-512 and files in memory.
constexpr double kBandSeconds = 4.5e-3;      // an image and its mask
constexpr double kLightSeconds = 2.0e-3;     // sum of bands, decimation, mask
constexpr double kConvolveSeconds = 8.0e-3;  // interpolation and writing
constexpr double kPlainSeconds = 2.5e-2;     // without a coarse grid
constexpr double kMemory_mb = 110.0;         // of a rank
constexpr double kRecordBytes = 0.05;        // per pixel, of light and masks
constexpr double kPixelBytes = 6.0;          // of a convolved image and its mask
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
  const double kept = (streams ? 0.0 : sizeof(float)) + kRecordBytes;
  const double written = config.io.sampling == "coarse" ? kCoarseBytes : kPixelBytes;
  return {{"combine", cells + 1.0, cells, 1.0, (bands * kBandSeconds + kLightSeconds) * mpx,
           kMemory_mb + plain_mb, 1e-6 * kept * pixels},
          {"convolve", cells, cells, 1.0, (streams ? kConvolveSeconds : kPlainSeconds) * mpx,
           kMemory_mb + 4.0 * plain_mb, 1e-6 * written * pixels}};
}

}  // namespace skyloom::skycells
