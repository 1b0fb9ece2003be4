#include <filesystem>
#include <set>

#include "pipelines/skycells/combine/stage.hpp"
#include "pipelines/skycells/combine/stars.hpp"
#include "pipelines/skycells/downsample/detector.hpp"
#include "pipelines/skycells/stored.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::skycells {
namespace {

TableSchema list_schema() {
  return {"list",
          {{"name", Type::text, "", "skycell"},
           {"projection", Type::int32, "", "its projection"},
           {"x", Type::int32, "", "its column in the projection, to the west"},
           {"y", Type::int32, "", "its row, to the north"},
           {"plane", Type::int32, "", "its place among the cells of its projection"},
           {"NAXIS1", Type::int32, "pix", "its width"},
           {"NAXIS2", Type::int32, "pix", "its height"},
           {"width", Type::int32, "pix", "width of the projection's largest cell"},
           {"height", Type::int32, "pix", "its height"},
           {"column", Type::int32, "pix", "first column in its row, the padding included"},
           {"ra", Type::float64, "deg", "its centre"},
           {"dec", Type::float64, "deg", "its centre"},
           {"CRVAL1", Type::float64, "deg", "tangent point"},
           {"CRVAL2", Type::float64, "deg", "tangent point"},
           {"CRPIX1", Type::float64, "pix", "its pixel, 1-based"},
           {"CRPIX2", Type::float64, "pix", "its pixel, 1-based"},
           {"CD1_1", Type::float64, "deg/pix", "gnomonic projection, FK5"},
           {"CD1_2", Type::float64, "deg/pix", ""},
           {"CD2_1", Type::float64, "deg/pix", ""},
           {"CD2_2", Type::float64, "deg/pix", ""}}};
}

TableSchema cell_schema(const Config& config) {
  std::vector<Column> columns{
      {"name", Type::text, "", "skycell"},
      {"bands", Type::text, "", "bands that have an image"},
      {"masks", Type::text, "", "bands that have a mask"},
      {"pads", Type::text, "", "cells of other projections that fill its sides"},
      {"failed_pads", Type::text, "", "of these, those that cannot be read"},
      {"bytes_read", Type::int64, "byte", "size of its files"},
      {"n_missing", Type::int64, "", "pixels without a value"},
      {"n_masked", Type::int64, "", "pixels with a bit of the mask"},
      {"minimum", Type::float64, "count/s", "of the combined pixels"},
      {"maximum", Type::float64, "count/s", "of the combined pixels"},
      {"mean", Type::float64, "count/s", "of the combined pixels"},
      {"patches", Type::int32, "", "its rows of /patches"},
      {"nodes", Type::int64, "", "its rows of /nodes"},
      {"missing_bytes", Type::int64, "", "its rows of /missing"},
      {"low_rim_bytes", Type::int64, "", "of these, what the row below needs; comes second"},
      {"high_rim_bytes", Type::int64, "", "of these, what the row above needs; comes last"},
      {"mask_bytes", Type::int64, "", "its rows of /mask"}};
  const SourceOptions sources = config.source_options();
  if (sources.needs_noise()) {
    columns.push_back({"n_segments", Type::int32, "", "detected segments"});
  }
  if (sources.saturation == SaturationMode::replace) {
    columns.push_back({"n_psf_stars", Type::int32, "", "stars that the PSF is made of"});
    columns.push_back({"n_mended", Type::int32, "", "stars whose cores were replaced"});
    columns.push_back({"n_replaced", Type::int64, "", "pixels of these cores"});
  }
  for (const std::string& band : config.bands.use) {
    columns.push_back({"exptime_" + band, Type::float64, "s", "exposure; nan = no image"});
  }
  return {"cells", columns};
}

std::vector<TableSchema> light_schemas(const Config& config) {
  const char* runs =
      "zlib stream of runs of pixels, row by row: length and value, 16-bit little-endian";
  std::vector<TableSchema> tables{
      {"patches",
       {{"row_zone", Type::int32, "", "which rows of the cell its light is of"},
        {"column_zone", Type::int32, "", "which columns"},
        {"first_row", Type::int32, "", "first node, over the projection"},
        {"rows", Type::int32, "", "nodes"},
        {"first_column", Type::int32, "", "first node, over the projection"},
        {"columns", Type::int32, "", "nodes"}}},
      {"nodes", {{"value", Type::float32, "count/s", "light on the coarse grid, patch by patch"}}},
      {"missing", {{"byte", Type::uint8, "", runs}}},
      {"mask", {{"byte", Type::uint8, "", runs}}}};
  if (config.missing_data() == numerics::MissingData::normalise) {
    tables.push_back(
        {"weights", {{"value", Type::float32, "", "the same of 1 where there is a value"}}});
  }
  return tables;
}

/// Without any image there is nothing to do; a root that is another folder is the usual cause.
void check_images(const Config& config, const Survey& survey) {
  const std::filesystem::path root = config.input_root();
  if (!std::filesystem::is_directory(root)) {
    throw ConfigError(root.string(), "is no folder",
                      "expected the folder of the images (inputs.input_root)");
  }
  for (const surveys::Skycell& cell : survey.list.cells) {
    for (const std::string& band : config.bands.use) {
      if (surveys::find_skycell_plane(root, config.input_format(), cell.id, band,
                                      surveys::SkycellPlane::image)) {
        return;
      }
    }
  }
  throw ConfigError(
      root.string(), "has no image of a listed skycell",
      "expected files such as " +
          surveys::expected_skycell_plane(root, config.input_format(), survey.list.cells.front().id,
                                          config.bands.use.front(), surveys::SkycellPlane::image)
              .string());
}

/// Of the images and masks; 0 for Zarr stores, whose chunks nobody counts.
double megabytes_of(const Config& config) {
  if (config.input_format() != surveys::SkycellFormat::fits) {
    return 0.0;
  }
  double bytes = 0.0;
  for (const std::string& file : image_files(config)) {
    std::error_code gone;
    const auto size = std::filesystem::file_size(file, gone);
    bytes += gone ? 0.0 : static_cast<double>(size);
  }
  return 1e-6 * bytes;
}

}  // namespace

std::vector<std::string> CombineStage::inputs(const Config& config) {
  std::vector<std::string> files = image_files(config);
  if (!config.csv_file().empty()) {
    files.insert(files.begin(), config.csv_file());
  }
  if (config.source_options().needs_stars()) {
    files.push_back(config.star_catalogue());
  }
  return files;
}

std::vector<std::string> CombineStage::reads(const Config& config, const engine::Unit& unit) {
  if (unit.key == kListUnit) {
    return {};
  }
  const surveys::Skycell& cell = found_survey(config).list.cells.at(unit.index - 1);
  std::set<surveys::SkycellId> ids{cell.id};
  if (config.geometry.cross_projection) {
    for (const surveys::SkycellPad& pad : cell.pads) {
      ids.insert(pad.sources.begin(), pad.sources.end());
    }
  }
  std::vector<std::string> files;
  for (const surveys::SkycellId& id : ids) {
    const std::vector<std::string> of_cell = image_files(config, id);
    files.insert(files.end(), of_cell.begin(), of_cell.end());
  }
  return files;
}

engine::Plan CombineStage::plan(const Config& config, const engine::Products& /*before*/) {
  const Survey& survey = found_survey(config);
  check_images(config, survey);
  if (config.downsample.enabled) {
    (void)read_detector(config);  // complains now, not when all cells are done
  }
  if (config.source_options().needs_stars()) {
    (void)surveys::read_gaia_stars(config.star_catalogue());
  }
  engine::Plan plan;
  plan.schema.tables = {list_schema(), cell_schema(config)};
  for (TableSchema& table : light_schemas(config)) {
    plan.schema.tables.push_back(std::move(table));
  }
  if (config.source_options().saturation == SaturationMode::remove) {
    plan.schema.tables.push_back(removed_schema());
  }
  if (!config.streams()) {
    const auto rims = static_cast<std::size_t>(2 * config.kept_margin());
    for (const surveys::ProjectionRows& projection : survey.projections) {
      const std::size_t planes = cells_of(projection);
      plan.schema.slabs.push_back({combined_slab(projection.projection),
                                   Type::float32,
                                   {planes, static_cast<std::size_t>(projection.cell_height) + rims,
                                    static_cast<std::size_t>(projection.cell_width) + rims},
                                   "count/s",
                                   "combined cells in the order of /list, with what other "
                                   "projections give beyond their sides"});
    }
  }
  plan.volume_mb = megabytes_of(config);
  plan.add(kListUnit, 0.0);
  for (const surveys::Skycell& cell : survey.list.cells) {
    plan.add(cell.id.name(), 1.0);
  }
  return plan;
}

}  // namespace skyloom::skycells
