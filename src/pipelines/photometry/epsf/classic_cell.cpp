#include "pipelines/photometry/epsf/classic_cell.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "pipelines/photometry/epsf/frame.hpp"
#include "pipelines/photometry/epsf/stars.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/sky/background.hpp"

namespace skyloom::photometry::epsf {
namespace {

void subtract_background(const Options& options, double sigma, ClassicCell& cell) {
  const Image<std::uint8_t> mask = background::source_mask(cell.raw, cell.mask, sigma, options);
  const int box = std::max(8, options.background_boxsize);
  const sky::MeshBackground mesh(sky::mesh_nodes(cell.raw.view(), mask.view(), box), box,
                                 options.background_filtersize);
  Image<float> level = mesh.level(cell.raw.box());
  const Image<float> rms = mesh.rms(cell.raw.box());
  BackgroundStats& stats = cell.stats;
  const auto n = static_cast<double>(mask.pixels().size());
  for (std::size_t k = 0; k < mask.pixels().size(); ++k) {
    stats.map_mean += level.pixels()[k] / n;
    stats.rms_mean += rms.pixels()[k] / n;
    stats.masked_fraction += mask.pixels()[k] / n;
    if (cell.mask.pixels()[k] == 0) {
      cell.data.pixels()[k] -= level.pixels()[k];
    }
  }
  stats.map_median = median_of({level.pixels().begin(), level.pixels().end()});
  stats.rms_median = median_of({rms.pixels().begin(), rms.pixels().end()});
  stats.status = "ok";
  cell.background = std::move(level);
}

/// Fills raw, sigma and mask; bad pixels keep the noise that the input holds.
void take_pixels(Pixels pixels, ClassicCell& cell) {
  cell.raw = std::move(pixels.data);
  cell.sigma = std::move(pixels.sigma_sky);
  cell.mask = Image<std::uint8_t>(cell.raw.width(), cell.raw.height());
  for (std::size_t k = 0; k < cell.raw.pixels().size(); ++k) {
    float& value = cell.raw.pixels()[k];
    const float sigma = cell.sigma.pixels()[k];
    const bool good =
        pixels.bad.pixels()[k] == 0 && std::isfinite(value) && std::isfinite(sigma) && sigma > 0.0F;
    cell.mask.pixels()[k] = good ? 0 : 1;
    value = good ? value : 0.0F;
  }
}

}  // namespace

ClassicCell read_cell(const Input& input, const Options& options, const Box& box) {
  ClassicCell cell;
  cell.box = box.intersect({0, input.width, 0, input.height});
  take_pixels(input.read(cell.box), cell);
  const double sigma = median_of_good(cell.sigma, cell.mask);
  if (std::isnan(sigma)) {
    throw UnitError(Reason::no_good_data, "all pixels masked");
  }
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
