#include "pipelines/photometry/epsf/classic_cell.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "pipelines/photometry/epsf/stars.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/sky/background.hpp"

namespace skyloom::photometry::epsf {
namespace {

double median_of_good(const Image<float>& image, const Image<std::uint8_t>& mask) {
  std::vector<double> values;
  for (std::size_t k = 0; k < image.pixels().size(); ++k) {
    if (mask.pixels()[k] == 0) {
      values.push_back(image.pixels()[k]);
    }
  }
  return median_of(std::move(values));
}

void subtract_background(const Options& options, double sigma, ClassicCell& cell) {
  const double limit =
      median_of_good(cell.raw, cell.mask) + options.background_source_mask_sigma * sigma;
  Image<std::uint8_t> sources(cell.raw.width(), cell.raw.height());
  for (std::size_t k = 0; k < sources.pixels().size(); ++k) {
    sources.pixels()[k] = cell.mask.pixels()[k] == 0 && cell.raw.pixels()[k] > limit ? 1 : 0;
  }
  Image<std::uint8_t> mask = sky::dilated(sources.view(), options.background_mask_dilate);
  for (std::size_t k = 0; k < mask.pixels().size(); ++k) {
    mask.pixels()[k] = mask.pixels()[k] != 0 || cell.mask.pixels()[k] != 0 ? 1 : 0;
  }
  sky::BackgroundMap map =
      sky::mesh_background(cell.raw.view(), mask.view(), std::max(8, options.background_boxsize),
                           options.background_filtersize);
  BackgroundStats& stats = cell.stats;
  const auto n = static_cast<double>(mask.pixels().size());
  for (std::size_t k = 0; k < mask.pixels().size(); ++k) {
    stats.map_mean += map.level.pixels()[k] / n;
    stats.rms_mean += map.rms.pixels()[k] / n;
    stats.masked_fraction += mask.pixels()[k] / n;
    if (cell.mask.pixels()[k] == 0) {
      cell.data.pixels()[k] -= map.level.pixels()[k];
    }
  }
  stats.map_median = median_of({map.level.pixels().begin(), map.level.pixels().end()});
  stats.rms_median = median_of({map.rms.pixels().begin(), map.rms.pixels().end()});
  stats.status = "ok";
  cell.background = std::move(map.level);
}

/// Fills raw, sigma and mask; bad pixels keep what the input holds.
void copy_pixels(const Input& input, ClassicCell& cell) {
  const Box& box = cell.box;
  cell.raw = Image<float>(box.width(), box.height());
  cell.sigma = Image<float>(box.width(), box.height());
  cell.mask = Image<std::uint8_t>(box.width(), box.height());
  for (int y = 0; y < box.height(); ++y) {
    for (int x = 0; x < box.width(); ++x) {
      const float value = input.data(y + box.y0, x + box.x0);
      const float sigma = input.sigma_sky(y + box.y0, x + box.x0);
      const bool good = input.bad(y + box.y0, x + box.x0) == 0 && std::isfinite(value) &&
                        std::isfinite(sigma) && sigma > 0.0F;
      cell.raw(y, x) = good ? value : 0.0F;
      cell.sigma(y, x) = sigma;
      cell.mask(y, x) = good ? 0 : 1;
    }
  }
}

}  // namespace

ClassicCell read_cell(const Input& input, const Options& options, const Box& box) {
  ClassicCell cell;
  cell.box = box.intersect(input.data.box());
  copy_pixels(input, cell);
  const bool any_good = std::any_of(cell.mask.pixels().begin(), cell.mask.pixels().end(),
                                    [](std::uint8_t bad) { return bad == 0; });
  if (!any_good) {
    throw UnitError(Reason::no_good_data, "all pixels masked");
  }
  const double sigma = median_of_good(cell.sigma, cell.mask);
  for (std::size_t k = 0; k < cell.sigma.pixels().size(); ++k) {
    if (cell.mask.pixels()[k] != 0) {
      cell.sigma.pixels()[k] = static_cast<float>(sigma);
    }
  }
  cell.data = cell.raw;
  cell.background = Image<float>(cell.box.width(), cell.box.height());
  if (options.background_subtract_patch) {
    try {
      subtract_background(options, sigma, cell);
    } catch (const UnitError& error) {
      cell.stats.status = "error";
      cell.stats.text = error.what();
    }
  }
  return cell;
}

}  // namespace skyloom::photometry::epsf
