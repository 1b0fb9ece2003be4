#include <algorithm>
#include <cmath>
#include <cstddef>

#include "pipelines/photometry/epsf/stars.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/sky/background.hpp"

namespace skyloom::photometry::epsf {
namespace {

/// Pixels that the mesh must not see: bad ones and sources.
Image<std::uint8_t> source_mask(const Frame& frame, const Options& options) {
  std::vector<double> level;
  for (std::size_t k = 0; k < frame.mask.pixels().size(); ++k) {
    if (frame.mask.pixels()[k] == 0) {
      level.push_back(frame.data.pixels()[k]);
    }
  }
  const double limit =
      median_of(std::move(level)) + options.background_source_mask_sigma * frame.sigma_median;
  Image<std::uint8_t> sources(frame.data.width(), frame.data.height());
  for (std::size_t k = 0; k < frame.mask.pixels().size(); ++k) {
    sources.pixels()[k] = frame.mask.pixels()[k] == 0 && frame.data.pixels()[k] > limit ? 1 : 0;
  }
  Image<std::uint8_t> mask = sky::dilated(sources.view(), options.background_mask_dilate);
  for (std::size_t k = 0; k < frame.mask.pixels().size(); ++k) {
    mask.pixels()[k] = mask.pixels()[k] != 0 || frame.mask.pixels()[k] != 0 ? 1 : 0;
  }
  return mask;
}

BackgroundStats stats_of(const sky::BackgroundMap& map, const Image<std::uint8_t>& mask,
                         const Box& box) {
  BackgroundStats stats;
  stats.status = "ok";
  std::vector<double> level;
  std::vector<double> rms;
  double masked = 0.0;
  for (int y = box.y0; y < box.y1; ++y) {
    for (int x = box.x0; x < box.x1; ++x) {
      level.push_back(map.level(y, x));
      rms.push_back(map.rms(y, x));
      stats.map_mean += map.level(y, x);
      stats.rms_mean += map.rms(y, x);
      masked += mask(y, x) != 0 ? 1.0 : 0.0;
    }
  }
  const auto count = static_cast<double>(std::max<std::size_t>(level.size(), 1));
  stats.map_mean /= count;
  stats.rms_mean /= count;
  stats.masked_fraction = masked / count;
  stats.map_median = median_of(std::move(level));
  stats.rms_median = median_of(std::move(rms));
  return stats;
}

/// One mesh for the whole image: cells of their own would leave steps across stamps.
void subtract_background(const Input& input, const Options& options, Frame& frame,
                         std::vector<std::string>& warnings) {
  try {
    const Image<std::uint8_t> mask = source_mask(frame, options);
    const sky::BackgroundMap map = sky::mesh_background(frame.data.view(), mask.view(),
                                                        std::max(8, options.background_boxsize),
                                                        options.background_filtersize);
    for (std::size_t k = 0; k < frame.mask.pixels().size(); ++k) {
      if (frame.mask.pixels()[k] == 0) {
        frame.data.pixels()[k] -= map.level.pixels()[k];
      }
    }
    for (std::size_t i = 0; i < input.cells.size(); ++i) {
      frame.cell_background[i] =
          stats_of(map, mask, input.cells[i].box.intersect(frame.data.box()));
    }
  } catch (const UnitError& error) {
    warnings.push_back(std::string("background not subtracted: ") + error.what());
    for (BackgroundStats& stats : frame.cell_background) {
      stats.status = "error";
      stats.text = error.what();
    }
  }
}

}  // namespace

double median_of(std::vector<double> values) {
  if (values.empty()) {
    return 0.0;
  }
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) {
    return *middle;
  }
  return 0.5 * (*middle + *std::max_element(values.begin(), middle));
}

double robust_sigma(std::vector<double> values, double centre) {
  for (double& value : values) {
    value = std::abs(value - centre);
  }
  return 1.4826 * median_of(std::move(values));
}

int cell_of(const std::vector<Cell>& cells, double x, double y) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells[i].box.contains(x, y)) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

Frame prepare_frame(const Input& input, const Options& options,
                    std::vector<std::string>& warnings) {
  const int width = input.data.width();
  const int height = input.data.height();
  if (input.sigma_sky.box() != input.data.box() || input.bad.box() != input.data.box()) {
    throw UnitError(Reason::bad_input, "image, noise and mask differ in size");
  }
  Frame frame;
  frame.data = input.data;
  frame.sigma = input.sigma_sky;
  frame.bad = input.bad;
  frame.mask = Image<std::uint8_t>(width, height);
  frame.gain = input.gain_e_per_flux;
  frame.cell_background.resize(input.cells.size());
  std::vector<double> sigma;
  for (std::size_t k = 0; k < frame.data.pixels().size(); ++k) {
    const float noise = frame.sigma.pixels()[k];
    if (!std::isfinite(frame.data.pixels()[k])) {
      frame.bad.pixels()[k] |= kBadNotFinite;
    }
    const bool good = frame.bad.pixels()[k] == 0 && std::isfinite(noise) && noise > 0.0F;
    frame.mask.pixels()[k] = good ? 0 : 1;
    if (good) {
      sigma.push_back(noise);
    }
  }
  if (sigma.empty()) {
    throw UnitError(Reason::no_good_data, "all pixels masked");
  }
  frame.sigma_median = median_of(std::move(sigma));
  for (std::size_t k = 0; k < frame.data.pixels().size(); ++k) {
    if (frame.mask.pixels()[k] != 0) {
      frame.data.pixels()[k] = 0.0F;
      frame.sigma.pixels()[k] = static_cast<float>(frame.sigma_median);
    }
  }
  if (options.background_subtract_patch) {
    subtract_background(input, options, frame, warnings);
  }
  return frame;
}

}  // namespace skyloom::photometry::epsf
