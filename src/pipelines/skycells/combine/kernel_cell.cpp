#include "pipelines/skycells/combine/kernel_cell.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "skyloom/core/errors.hpp"

namespace skyloom::skycells {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Row `i` of a block to one image row.
void sum_row(const RowBlock& block, int i, const CellTask& task, std::span<float> out) {
  const bool all_stored = std::all_of(block.bands.begin(), block.bands.end(),
                                      [](const BandRows& band) { return !band.table.empty(); });
  if (all_stored) {
    std::vector<StoredBand> bands;
    for (const BandRows& band : block.bands) {
      bands.push_back({band.table, band.stored.view().row(i)});
    }
    sum_bands(std::span<const StoredBand>(bands), task.weights, task.missing_pixel, out);
    return;
  }
  std::vector<std::vector<float>> looked_up(block.bands.size());
  std::vector<std::span<const float>> rows;
  for (std::size_t b = 0; b < block.bands.size(); ++b) {
    const BandRows& band = block.bands[b];
    if (band.table.empty()) {
      rows.emplace_back(band.flux.view().row(i));
      continue;
    }
    for (const std::int16_t stored : band.stored.view().row(i)) {
      looked_up[b].push_back(band.table[static_cast<std::size_t>(stored + kTableSize / 2)]);
    }
    rows.emplace_back(looked_up[b]);
  }
  sum_bands(std::span<const std::span<const float>>(rows), task.weights, task.missing_pixel, out);
}

/// What becomes of the rows of a cell.
class CellRows {
 public:
  explicit CellRows(const CellTask& task) : task_(task) {
    const CellGeometry& g = task.geometry;
    if (task.gaussian != nullptr) {
      decimation_.emplace(*task.gaussian, g, task.x, task.y, PaddedSides{}, task.with_weight);
    } else {
      result_.pixels = Image<float>(g.width, g.height);
    }
    row_.resize(static_cast<std::size_t>(g.width));
    mask_.resize(static_cast<std::size_t>(g.width));
  }

  void add(int row, const RowBlock& block, int i) {
    const auto own = static_cast<std::ptrdiff_t>(task_.width);
    sum_row(block, i, task_, std::span(row_).first(static_cast<std::size_t>(own)));
    std::fill(row_.begin() + own, row_.end(), kNan);
    std::copy_n(block.mask.view().row(i).begin(), own, mask_.begin());
    std::fill(mask_.begin() + own, mask_.end(), std::uint16_t{0});
    take(row);
  }
  /// A row that the cell lacks.
  void add_missing(int row) {
    std::fill(row_.begin(), row_.end(), kNan);
    std::fill(mask_.begin(), mask_.end(), std::uint16_t{0});
    take(row);
  }
  CellResult finish() {
    if (decimation_) {
      result_.cell = decimation_->finish();
    }
    result_.statistics = statistics_.result();
    if (std::isnan(result_.statistics.mean)) {
      throw UnitError(Reason::no_good_data, "no pixel has a value in all bands");
    }
    return std::move(result_);
  }

 private:
  void take(int row) {
    statistics_.add(row_);
    add_runs(mask_, result_.mask);
    result_.masked_pixels +=
        std::count_if(mask_.begin(), mask_.end(), [](std::uint16_t bits) { return bits != 0; });
    if (decimation_) {
      decimation_->add_row(row, row_);
    } else {
      std::copy(row_.begin(), row_.end(), result_.pixels.view().row(row).begin());
    }
  }

  const CellTask& task_;
  std::optional<CellDecimation> decimation_;
  StatisticsSum statistics_;
  CellResult result_;
  std::vector<float> row_;
  std::vector<std::uint16_t> mask_;
};

}  // namespace

CellResult combine_cell(const CellTask& task, RowSource& source) {
  CellRows rows(task);
  const int step = source.rows_per_read();
  for (int first = 0; first < task.height; first += step) {
    const int count = std::min(step, task.height - first);
    const RowBlock& block = source.read(first, count);
    for (int i = 0; i < count; ++i) {
      rows.add(first + i, block, i);
    }
  }
  for (int row = task.height; row < task.geometry.height; ++row) {
    rows.add_missing(row);
  }
  return rows.finish();
}

}  // namespace skyloom::skycells
