#include <algorithm>
#include <utility>

#include "pipelines/skycells/combine/kernel_cell.hpp"
#include "pipelines/skycells/convolve/kernel_preview.hpp"
#include "pipelines/skycells/convolve/stage.hpp"
#include "skyloom/surveys/run_stream.hpp"

namespace skyloom::skycells {
namespace {

/// Rows that are written at once.
constexpr int kRows = 128;

/// Rows first .. first + out.height() - 1 as they are stored.
void fill_rows(const ConvolveStage::Result& result, int first, ImageView<float> out) {
  if (result.streamed) {
    result.streamed->rows(first, out);
  } else {
    for (int i = 0; i < out.height(); ++i) {
      const auto row = result.pixels.view().row(first + i);
      std::copy(row.begin(), row.end(), out.row(i).begin());
    }
  }
  for (int i = 0; result.owned && i < out.height(); ++i) {
    result.owned->clear_others(first + i, out.row(i));
  }
}

/// Pixels go to the slab when there is one. @param preview takes all rows
/// @return statistics of the pixels
PixelStatistics append_pixels(const ConvolveStage::Result& result, bool is_coarse, Preview& preview,
                              engine::Rows& rows) {
  const CellGeometry& g = result.geometry;
  const std::string group = projection_group(result.cell->id.projection);
  RunReader mask(result.mask);
  StatisticsSum statistics;
  Image<float> values(g.width, kRows);
  Image<std::uint16_t> bits(g.width, kRows);
  for (int first = 0; first < g.height; first += kRows) {
    const int count = std::min(kRows, g.height - first);
    const Box part{0, g.width, 0, count};
    fill_rows(result, first, values.view().sub(part));
    statistics.add(std::as_const(values).view().sub(part));
    for (int i = 0; i < count; ++i) {
      preview.add(first + i, values.view().row(i));
    }
    if (is_coarse) {
      continue;
    }
    for (int i = 0; i < count; ++i) {
      mask.next(bits.view().row(i));
    }
    const ImageView<const float> pixels = values.view().sub(part);
    const ImageView<const std::uint16_t> masks = bits.view().sub(part);
    rows.add_slab(group + "/data", result.cell->plane, first, 0, pixels);
    rows.add_slab(group + "/mask", result.cell->plane, first, 0, masks);
  }
  return statistics.result();
}

void append_preview(const ConvolveStage::Result& result, const Preview& preview, Table& table) {
  const std::size_t row = table.add_row();
  table.set(row, "name", result.cell->name);
  table.set(row, "projection", result.cell->id.projection);
  table.set(row, "x", result.cell->id.x);
  table.set(row, "y", result.cell->id.y);
  table.set(row, "first_x", preview.first_x());
  table.set(row, "first_y", preview.first_y());
  table.set(row, "points", preview.points().pixels());
}

std::int64_t append_stream(const RunBytes& runs, Table& table) {
  const std::vector<std::uint8_t> stream = surveys::run_stream(runs);
  table.add_rows(stream.size());
  table.get<std::uint8_t>("byte") = stream;
  return static_cast<std::int64_t>(stream.size());
}

void append_coarse(const ConvolveStage::Result& result, std::size_t row, engine::Rows& rows) {
  const CellGeometry& g = result.geometry;
  rows.add_slab(projection_group(result.cell->id.projection) + "/coarse", result.cell->plane, 0, 0,
                result.streamed->nodes().view());
  MissingBits missing = result.streamed->missing();
  RunBytes runs;
  for (int y = 0; y < g.height; ++y) {
    if (result.owned) {
      result.owned->mark_others(y, missing.row(y));
    }
    add_bit_runs(missing.row(y), g.width, runs);
  }
  Table& cells = rows.table("cells");
  cells.set(row, "missing_bytes", append_stream(runs, rows.table("missing")));
  cells.set(row, "mask_bytes", append_stream(result.mask, rows.table("mask")));
}

}  // namespace

ConvolveStage::Result ConvolveStage::compute(const Config& config, const Input& input,
                                             const Rng& /*rng*/) {
  Result result;
  result.cell = input.cell;
  result.geometry = input.geometry;
  if (input.context->gaussian) {
    result.streamed.emplace(*input.context->gaussian, input.geometry, input.rules, input.around);
  } else {
    result.pixels =
        convolved_pixels(*input.context->convolution, input.geometry, input.rules, input.pixels);
  }
  if (config.io.extract == "unique") {
    result.owned.emplace(input.geometry, input.neighbours);
  }
  result.mask = input.mask;
  return result;
}

void ConvolveStage::append(const Config& config, const Result& result, engine::Rows& rows) {
  const bool is_coarse = config.io.sampling == "coarse";
  Preview preview(result.geometry, result.cell->id.x, result.cell->id.y);
  const PixelStatistics statistics = append_pixels(result, is_coarse, preview, rows);
  append_preview(result, preview, rows.table("previews"));
  Table& cells = rows.table("cells");
  const std::size_t row = cells.add_row();
  cells.set(row, "name", result.cell->name);
  cells.set(row, "projection", result.cell->id.projection);
  cells.set(row, "plane", static_cast<std::int64_t>(result.cell->plane));
  cells.set(row, "n_nan", statistics.missing);
  cells.set(row, "minimum", statistics.minimum);
  cells.set(row, "maximum", statistics.maximum);
  cells.set(row, "mean", statistics.mean);
  if (is_coarse) {
    append_coarse(result, row, rows);
  }
}

}  // namespace skyloom::skycells
