#include <algorithm>

#include <fmt/format.h>

#include "pipelines/skycells/downsample/stage.hpp"
#include "pipelines/skycells/survey.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::skycells {
namespace {

/// Columns per offset, so that a template reads only its own.
TableSchema sum_schema(const Detector& detector) {
  TableSchema schema{"sums",
                     {{"x", Type::int32, "pix", "detector pixel in the region of interest"},
                      {"y", Type::int32, "pix", "detector pixel in the region of interest"},
                      {"count", Type::int32, "", "pixels of the cell on it"}}};
  for (std::size_t k = 0; k < detector.offsets.size(); ++k) {
    const DetectorOffset& offset = detector.offsets[k];
    const std::string of = fmt::format("dx {:.3f}, dy {:.3f}", offset.dx, offset.dy);
    schema.columns.push_back(
        {fmt::format("flux_{}", k), Type::float64, "count/s", "sum of its values, " + of});
    schema.columns.push_back(
        {fmt::format("masked_{}", k), Type::int32, "", "of count, masked ones, " + of});
  }
  return schema;
}

TableSchema cell_schema(const Detector& detector) {
  const std::vector<std::size_t> offsets{detector.offsets.size()};
  return {"cells",
          {{"name", Type::text, "", "skycell"},
           {"pixels", Type::int64, "", "its rows of /sums"},
           {"shift_x", Type::float64, "pix", "of the cell for each offset", offsets},
           {"shift_y", Type::float64, "pix", "of the cell for each offset", offsets}}};
}

/// Lines of cells that need a map; without a CSV lines have no meaning.
std::vector<int> needed_lines(const Config& config, const Detector& detector) {
  return config.csv_file().empty() ? std::vector<int>{} : cells_in_window(config, detector);
}

}  // namespace

std::vector<std::string> DownsampleStage::inputs(const Config& config) {
  std::vector<std::string> files{config.downsample.jobs, master_map_file(config).string()};
  for (const surveys::Skycell& cell : found_survey(config).list.cells) {
    if (const auto map = cell_map_file(config, cell.id)) {
      files.push_back(map->string());
    }
  }
  return files;
}

engine::Plan DownsampleStage::plan(const Config& config, const engine::Products& before) {
  const Detector detector = read_detector(config);
  engine::Plan plan;
  plan.schema.tables = {cell_schema(detector), sum_schema(detector)};
  const std::vector<int> needed = needed_lines(config, detector);
  const auto& convolved = before.table("convolve", "cells").get<std::string>("name");
  const surveys::Skycell* without = nullptr;
  for (const surveys::Skycell& cell : found_survey(config).list.cells) {
    if (std::find(convolved.begin(), convolved.end(), cell.id.name()) == convolved.end()) {
      continue;
    }
    const auto map = cell_map_file(config, cell.id);
    if (map || std::binary_search(needed.begin(), needed.end(), cell.line)) {
      // One that lacks its map fails as a unit.
      plan.add(cell.id.name(), 1.0, map ? map->string() : std::string());
    } else {
      without = &cell;
    }
  }
  if (plan.units.empty() && without != nullptr) {
    throw ConfigError(expected_cell_map(config, without->id).string(),
                      "does not exist, and no other cell has a map",
                      "expected registration maps (downsample.registration_root)");
  }
  return plan;
}

}  // namespace skyloom::skycells
