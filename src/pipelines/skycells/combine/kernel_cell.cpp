#include "pipelines/skycells/combine/kernel_cell.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "skyloom/core/errors.hpp"

namespace skyloom::skycells {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// What becomes of the rows of a cell.
class CellRows {
 public:
  explicit CellRows(const CellTask& task)
      : task_(task),
        columns_{task.padded.left ? -task.geometry.pad : 0,
                 task.geometry.width + (task.padded.right ? task.geometry.pad : 0)},
        rows_{task.padded.bottom ? -task.geometry.pad : 0,
              task.geometry.height + (task.padded.top ? task.geometry.pad : 0)} {
    const CellGeometry& g = task.geometry;
    if (task.gaussian != nullptr) {
      decimation_.emplace(*task.gaussian, g, task.x, task.y, task.padded, task.with_weight);
    } else {
      result_.pixels =
          Image<float>(g.width + 2 * task.kept_margin, g.height + 2 * task.kept_margin, kNan);
    }
    row_.resize(static_cast<std::size_t>(columns_.last - columns_.first));
    mask_.resize(static_cast<std::size_t>(g.width));
  }

  /// Rows to add, ascending: with what lies beyond padded sides.
  [[nodiscard]] PixelRange rows() const { return rows_; }

  void add(int row, const RowBlock& block, int i) {
    sum_row(block, i, 0, task_.weights, task_.missing_pixel, begin(block.mask.view().row(i)));
    take(row);
  }
  void add(int row, std::span<const float> values, std::span<const std::uint16_t> mask) {
    const std::span<float> own = begin(mask);
    std::copy(values.begin(), values.end(), own.begin());
    take(row);
  }
  /// A row that the cell lacks.
  void add_missing(int row) {
    std::fill(row_.begin(), row_.end(), kNan);
    std::fill(mask_.begin(), mask_.end(), std::uint16_t{0});
    take(row);
  }
  CellResult finish(TreatedSources sources) {
    result_.sources = std::move(sources);
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
  /// A row of the cell with its mask. @return where its pixels belong
  std::span<float> begin(std::span<const std::uint16_t> mask) {
    const auto own = static_cast<std::size_t>(task_.width);
    std::fill(row_.begin(), row_.end(), kNan);
    std::copy_n(mask.begin(), own, mask_.begin());
    std::fill(mask_.begin() + static_cast<std::ptrdiff_t>(own), mask_.end(), std::uint16_t{0});
    return of_cell().first(own);
  }
  /// The part of the row that lies in the grid's cell.
  std::span<float> of_cell() {
    return std::span(row_).subspan(static_cast<std::size_t>(-columns_.first),
                                   static_cast<std::size_t>(task_.geometry.width));
  }

  void keep(int row) {
    const int margin = task_.kept_margin;
    const int first = std::max(columns_.first, -margin);
    const int last = std::min(columns_.last, task_.geometry.width + margin);
    if (row >= -margin && row < task_.geometry.height + margin) {
      std::copy(row_.begin() + (first - columns_.first), row_.begin() + (last - columns_.first),
                result_.pixels.view().row(row + margin).begin() + (first + margin));
    }
  }

  void take(int row) {
    if (task_.pads != nullptr) {
      task_.pads->extend(row, row_);
    }
    if (row >= 0 && row < task_.geometry.height) {
      statistics_.add(of_cell());
      add_runs(mask_, result_.mask);
      result_.masked_pixels +=
          std::count_if(mask_.begin(), mask_.end(), [](std::uint16_t bits) { return bits != 0; });
    }
    if (decimation_) {
      decimation_->add_row(row, row_);
    } else {
      keep(row);
    }
  }

  const CellTask& task_;
  PixelRange columns_;  ///< of row_
  PixelRange rows_;
  std::optional<CellDecimation> decimation_;
  StatisticsSum statistics_;
  CellResult result_;
  std::vector<float> row_;
  std::vector<std::uint16_t> mask_;
};

}  // namespace

void sum_row(const RowBlock& block, int i, int first, std::span<const double> weights,
             MissingPixel missing, std::span<float> out) {
  const auto part = [&](auto row) {
    return row.subspan(static_cast<std::size_t>(first), out.size());
  };
  const bool all_stored = std::all_of(block.bands.begin(), block.bands.end(),
                                      [](const BandRows& band) { return !band.table.empty(); });
  if (all_stored) {
    std::vector<StoredBand> bands;
    for (const BandRows& band : block.bands) {
      bands.push_back({band.table, part(band.stored.view().row(i))});
    }
    sum_bands(std::span<const StoredBand>(bands), weights, missing, out);
    return;
  }
  std::vector<std::vector<float>> looked_up(block.bands.size());
  std::vector<std::span<const float>> rows;
  for (std::size_t b = 0; b < block.bands.size(); ++b) {
    const BandRows& band = block.bands[b];
    if (band.table.empty()) {
      rows.emplace_back(part(band.flux.view().row(i)));
      continue;
    }
    for (const std::int16_t stored : part(band.stored.view().row(i))) {
      looked_up[b].push_back(band.table[static_cast<std::size_t>(stored + kTableSize / 2)]);
    }
    rows.emplace_back(looked_up[b]);
  }
  sum_bands(std::span<const std::span<const float>>(rows), weights, missing, out);
}

namespace {

/// @param take gets every row of the cell, in order: number, block, row in the block
template <class Take>
void for_rows(const CellTask& task, RowSource& source, const Take& take) {
  const int step = source.rows_per_read();
  for (int first = 0; first < task.height; first += step) {
    const int count = std::min(step, task.height - first);
    const RowBlock& block = source.read(first, count);
    for (int i = 0; i < count; ++i) {
      take(first + i, block, i);
    }
  }
}

}  // namespace

WholeCell whole_cell(const CellTask& task, RowSource& source) {
  WholeCell cell{
      Image<float>(task.width, task.height), Image<std::uint16_t>(task.width, task.height), {}};
  Image<float> sigma;
  if (task.sources.needs_noise()) {
    sigma = Image<float>(task.width, task.height);
  }
  for_rows(task, source, [&](int row, const RowBlock& block, int i) {
    sum_row(block, i, 0, task.weights, task.missing_pixel, cell.pixels.view().row(row));
    const auto mask = block.mask.view().row(i);
    std::copy(mask.begin(), mask.end(), cell.mask.view().row(row).begin());
    if (!sigma.empty()) {
      const auto noise = block.sigma.view().row(i);
      std::copy(noise.begin(), noise.end(), sigma.view().row(row).begin());
    }
  });
  cell.sources =
      treat_sources(task.sources, task.stars, sigma.view(), cell.pixels.view(), cell.mask.view());
  return cell;
}

CellResult combine_cell(const CellTask& task, RowSource& source) {
  CellRows rows(task);
  for (int row = rows.rows().first; row < 0; ++row) {
    rows.add_missing(row);
  }
  TreatedSources sources;
  if (task.sources.any()) {
    WholeCell whole = whole_cell(task, source);
    for (int row = 0; row < task.height; ++row) {
      rows.add(row, whole.pixels.view().row(row), whole.mask.view().row(row));
    }
    sources = std::move(whole.sources);
  } else {
    for_rows(task, source, [&](int row, const RowBlock& block, int i) { rows.add(row, block, i); });
  }
  for (int row = task.height; row < rows.rows().last; ++row) {
    rows.add_missing(row);
  }
  return rows.finish(std::move(sources));
}

}  // namespace skyloom::skycells
