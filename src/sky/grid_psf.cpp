#include "skyloom/sky/grid_psf.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>

#include "skyloom/core/errors.hpp"

namespace skyloom::sky {
namespace {

std::vector<double> sorted_unique(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

/// Interval of ascending `centres` that holds t, and how far t lies in it; held beyond the ends.
struct Place {
  std::size_t low = 0;
  std::size_t high = 0;
  double share = 0.0;  ///< of the high end
};

Place place_in(const std::vector<double>& centres, double t) {
  const auto above = std::upper_bound(centres.begin(), centres.end(), t);
  const auto high = static_cast<std::size_t>(above - centres.begin());
  if (high == 0) {
    return {};
  }
  if (high == centres.size()) {
    return {high - 1, high - 1, 0.0};
  }
  return {high - 1, high, (t - centres[high - 1]) / (centres[high] - centres[high - 1])};
}

}  // namespace

GridPsf::GridPsf(std::vector<GridPsfCell> cells, int oversampling, bool interpolate)
    : cells_(std::move(cells)), oversampling_(oversampling), interpolate_(interpolate) {
  if (cells_.empty()) {
    throw ConfigError("PSF of cells", "no cell", "at least one");
  }
  std::vector<double> x;
  std::vector<double> y;
  for (const GridPsfCell& cell : cells_) {
    const Image<float>& samples = cell.samples;
    if (samples.box() != cells_.front().samples.box() || samples.width() % 2 == 0 ||
        samples.width() != samples.height()) {
      throw ConfigError("PSF of cells",
                        "an array of " + std::to_string(samples.width()) + " x " +
                            std::to_string(samples.height()) + " samples",
                        "squares of one odd side");
    }
    x.push_back(cell.x);
    y.push_back(cell.y);
  }
  columns_ = sorted_unique(std::move(x));
  rows_ = sorted_unique(std::move(y));
  cell_at_.assign(columns_.size() * rows_.size(), -1);
  for (std::size_t k = 0; k < cells_.size(); ++k) {
    const Place column = place_in(columns_, cells_[k].x);
    const Place row = place_in(rows_, cells_[k].y);
    cell_at_[row.low * columns_.size() + column.low] = static_cast<int>(k);
  }
}

std::size_t GridPsf::nearest(double x, double y) const {
  std::size_t best = 0;
  double distance = std::numeric_limits<double>::infinity();
  for (std::size_t k = 0; k < cells_.size(); ++k) {
    const double d = std::hypot(cells_[k].x - x, cells_[k].y - y);
    if (d < distance) {
      distance = d;
      best = k;
    }
  }
  return best;
}

PsfStamp GridPsf::at(double x, double y) const {
  if (!interpolate_ || cells_.size() == 1) {
    return {cells_[nearest(x, y)].samples, oversampling_};
  }
  const Place column = place_in(columns_, x);
  const Place row = place_in(rows_, y);
  const std::size_t width = columns_.size();
  const std::pair<std::size_t, double> corners[4] = {
      {row.low * width + column.low, (1.0 - row.share) * (1.0 - column.share)},
      {row.low * width + column.high, (1.0 - row.share) * column.share},
      {row.high * width + column.low, row.share * (1.0 - column.share)},
      {row.high * width + column.high, row.share * column.share}};
  double total = 0.0;
  for (const auto& [index, weight] : corners) {
    total += cell_at_[index] >= 0 ? weight : 0.0;
  }
  if (!(total > 0.0)) {
    return {cells_[nearest(x, y)].samples, oversampling_};
  }
  const Image<float>& shape = cells_.front().samples;
  std::vector<double> sum(shape.pixels().size(), 0.0);
  for (const auto& [index, weight] : corners) {
    if (cell_at_[index] >= 0 && weight > 0.0) {
      const auto values = cells_[static_cast<std::size_t>(cell_at_[index])].samples.pixels();
      for (std::size_t k = 0; k < sum.size(); ++k) {
        sum[k] += weight / total * static_cast<double>(values[k]);
      }
    }
  }
  PsfStamp stamp{Image<float>(shape.width(), shape.height()), oversampling_};
  std::transform(sum.begin(), sum.end(), stamp.values.pixels().begin(),
                 [](double value) { return static_cast<float>(value); });
  return stamp;
}

double GridPsf::fwhm_pix() const {
  const std::size_t k =
      nearest(0.5 * (columns_.front() + columns_.back()), 0.5 * (rows_.front() + rows_.back()));
  return measured_fwhm_pix({cells_[k].samples, oversampling_});
}

}  // namespace skyloom::sky
