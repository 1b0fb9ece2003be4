#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipelines/skycells/combine/stage.hpp"
#include "pipelines/skycells/combine/stars.hpp"
#include "pipelines/skycells/stored.hpp"
#include "skyloom/surveys/run_stream.hpp"

namespace skyloom::skycells {
namespace {

void append_list(const Survey& survey, Table& table) {
  for (const surveys::ProjectionRows& projection : survey.projections) {
    std::int32_t plane = 0;
    for (const surveys::SkycellRow& row_of_cells : projection.rows) {
      for (const surveys::RowCell& placed : row_of_cells.cells) {
        const surveys::Skycell& cell = survey.list.cells[placed.index];
        const std::size_t row = table.add_row();
        table.set(row, "name", cell.id.name());
        table.set(row, "projection", cell.id.projection);
        table.set(row, "x", cell.id.x);
        table.set(row, "y", cell.id.y);
        table.set(row, "plane", plane++);
        table.set(row, "NAXIS1", cell.width);
        table.set(row, "NAXIS2", cell.height);
        table.set(row, "width", projection.cell_width);
        table.set(row, "height", projection.cell_height);
        table.set(row, "column", placed.placed.x0);
        table.set(row, "ra", cell.ra_deg);
        table.set(row, "dec", cell.dec_deg);
        table.set(row, "CRVAL1", cell.crval_deg[0]);
        table.set(row, "CRVAL2", cell.crval_deg[1]);
        table.set(row, "CRPIX1", cell.crpix[0]);
        table.set(row, "CRPIX2", cell.crpix[1]);
        table.set(row, "CD1_1", cell.cd[0]);
        table.set(row, "CD1_2", cell.cd[1]);
        table.set(row, "CD2_1", cell.cd[2]);
        table.set(row, "CD2_2", cell.cd[3]);
      }
    }
  }
}

void append_patches(const CombinedCell& cell, engine::Rows& rows) {
  Table& patches = rows.table("patches");
  for (const Patch& patch : cell.light) {
    const std::size_t row = patches.add_row();
    patches.set(row, "row_zone", static_cast<int>(patch.row_zone));
    patches.set(row, "column_zone", static_cast<int>(patch.column_zone));
    patches.set(row, "first_row", patch.rows.first);
    patches.set(row, "rows", patch.rows.count);
    patches.set(row, "first_column", patch.columns.first);
    patches.set(row, "columns", patch.columns.count);
  }
}

/// @return how many there are
std::int64_t append_nodes(const std::vector<Patch>& patches, Table& table) {
  std::int64_t count = 0;
  for (const Patch& patch : patches) {
    count += static_cast<std::int64_t>(patch.nodes.pixels().size());
  }
  table.add_rows(static_cast<std::size_t>(count));
  auto to = table.get<float>("value").begin();
  for (const Patch& patch : patches) {
    to = std::copy(patch.nodes.pixels().begin(), patch.nodes.pixels().end(), to);
  }
  return count;
}

/// @return its bytes
std::int64_t append_runs(const RunBytes& runs, Table& table) {
  const std::vector<std::uint8_t> stream = surveys::run_stream(runs);
  const std::size_t first = table.rows();
  table.add_rows(stream.size());
  std::copy(stream.begin(), stream.end(),
            table.get<std::uint8_t>("byte").begin() + static_cast<std::ptrdiff_t>(first));
  return static_cast<std::int64_t>(stream.size());
}

std::int64_t append_missing(const MissingBits& missing, const CellGeometry& geometry,
                            PixelRange rows, Table& table) {
  RunBytes runs;
  for (int row = rows.first; row < rows.last; ++row) {
    add_bit_runs(missing.row(row), geometry.width, runs);
  }
  return append_runs(runs, table);
}

void append_pixels(const CombineStage::Result& result, engine::Rows& rows) {
  const Image<float>& pixels = result.combined.pixels;
  if (!pixels.empty()) {
    rows.add_slab(combined_slab(result.cell->id.projection), result.plane, 0, 0, pixels.view());
  }
}

/// What happened to the cell as a whole. @param row of /cells
void append_sources(const Config& config, const CombineStage::Result& result, std::size_t row,
                    engine::Rows& rows) {
  const SourceOptions options = config.source_options();
  const TreatedSources& sources = result.combined.sources;
  Table& cells = rows.table("cells");
  if (options.needs_noise()) {
    cells.set(row, "n_segments", sources.segments);
  }
  if (options.saturation == SaturationMode::remove) {
    append_removed(sources.removed, result.cell->id.name(), rows.table("removed_stars"));
  }
  if (options.saturation == SaturationMode::replace) {
    cells.set(row, "n_psf_stars", sources.cores.psf_stars);
    cells.set(row, "n_mended", static_cast<std::int64_t>(sources.cores.stars.size()));
    cells.set(row, "n_replaced", sources.cores.pixels);
  }
}

}  // namespace

CombineStage::Result CombineStage::compute(const Config& /*config*/, const Input& input,
                                           const Rng& /*rng*/) {
  Result result;
  result.survey = input.survey;
  result.cell = input.cell;
  if (input.cell == nullptr) {
    return result;
  }
  result.plane = input.plane;
  result.geometry = input.task.geometry;
  result.files = input.files;
  result.combined = combine_cell(input.task, *input.source);
  result.padding_sources = input.paddings->sources();
  result.failed_sources = input.paddings->failed();
  return result;
}

void CombineStage::append(const Config& config, const Result& result, engine::Rows& rows) {
  if (result.cell == nullptr) {
    append_list(*result.survey, rows.table("list"));
    return;
  }
  const CellResult& combined = result.combined;
  Table& cells = rows.table("cells");
  const std::size_t row = cells.add_row();
  cells.set(row, "name", result.cell->id.name());
  cells.set(row, "bands", fmt::format("{}", fmt::join(result.files.bands, ",")));
  cells.set(row, "masks", fmt::format("{}", fmt::join(result.files.masks, ",")));
  cells.set(row, "pads", fmt::format("{}", fmt::join(result.padding_sources, ",")));
  cells.set(row, "failed_pads", fmt::format("{}", fmt::join(result.failed_sources, ",")));
  for (std::size_t b = 0; b < config.bands.use.size(); ++b) {
    cells.set(row, "exptime_" + config.bands.use[b], result.files.exptime_s[b]);
  }
  append_sources(config, result, row, rows);
  cells.set(row, "bytes_read", result.files.bytes);
  cells.set(row, "n_missing", combined.statistics.missing);
  cells.set(row, "n_masked", combined.masked_pixels);
  cells.set(row, "minimum", combined.statistics.minimum);
  cells.set(row, "maximum", combined.statistics.maximum);
  cells.set(row, "mean", combined.statistics.mean);
  if (!combined.cell.light.empty()) {
    append_patches(combined.cell, rows);
    cells.set(row, "patches", static_cast<std::int64_t>(combined.cell.light.size()));
    cells.set(row, "nodes", append_nodes(combined.cell.light, rows.table("nodes")));
    if (!combined.cell.weight.empty()) {
      append_nodes(combined.cell.weight, rows.table("weights"));
    }
    const CellGeometry& g = result.geometry;
    Table& missing = rows.table("missing");
    const std::int64_t all = append_missing(combined.cell.missing, g, {0, g.height}, missing);
    const std::int64_t low = append_missing(combined.cell.missing, g, low_rim(g), missing);
    const std::int64_t high = append_missing(combined.cell.missing, g, high_rim(g), missing);
    cells.set(row, "missing_bytes", all + low + high);
    cells.set(row, "low_rim_bytes", low);
    cells.set(row, "high_rim_bytes", high);
  }
  cells.set(row, "mask_bytes", append_runs(combined.mask, rows.table("mask")));
  append_pixels(result, rows);
}

}  // namespace skyloom::skycells
