#include <algorithm>

#include <fmt/format.h>

#include "pipelines/photometry/frames/kernel.hpp"
#include "pipelines/photometry/frames/stage.hpp"
#include "skyloom/surveys/gaia.hpp"
#include "skyloom/surveys/source_catalogue.hpp"

namespace skyloom::photometry {

std::vector<std::string> FramesStage::inputs(const Config& config) {
  std::vector<std::string> files{config.inputs.input_catalog};
  if (!config.inputs.image_list_file.empty()) {
    files.push_back(config.inputs.image_list_file);
  }
  for (const surveys::FrameSpec& spec : frame_specs(config)) {
    files.push_back(spec.file);
    if (!spec.invvar.empty()) {
      files.push_back(spec.invvar);
    }
  }
  if (config.calibrates()) {
    files.push_back(config.inputs.gaiaxp_synphot_csv);
  }
  return files;
}

Table base_catalogue(const Config& config, const std::vector<std::string>& bands) {
  const Table given = surveys::read_source_catalogue(config.inputs.input_catalog, bands);
  const std::vector<Column> added = added_source_columns();
  Table base(TableSchema{given.name(), {}});
  for (std::size_t i = 0; i < given.columns().size(); ++i) {
    const Column& column = given.columns()[i];
    const bool is_made_anew = std::any_of(
        added.begin(), added.end(), [&](const Column& other) { return other.name == column.name; });
    if (!is_made_anew) {
      base.add_column(column, given.data(i));
    }
  }
  for (const std::string& band : bands) {
    if (config.calibrates() && !base.has("FLUX_" + band)) {
      base.add_column({"FLUX_" + band, Type::float64, "", "starting scaled flux in " + band});
    }
  }
  return base;
}

engine::Plan FramesStage::plan(const Config& config, const engine::Products& /*before*/) {
  const Field field = field_from_inputs(config);
  const Table catalogue = base_catalogue(config, field.bands);
  if (config.calibrates()) {
    const std::string& gaia = config.inputs.gaiaxp_synphot_csv;
    surveys::require_zero_point_columns(surveys::read_gaia(gaia, field.bands), gaia);
  }
  engine::Plan plan;
  plan.schema = frames_schema(field, catalogue);
  const double pixels = static_cast<double>(field.width) * field.height;
  plan.add("sources",
           static_cast<double>(catalogue.rows()) * 1e4 * static_cast<double>(field.size()));
  for (std::size_t i = 0; i < field.size(); ++i) {
    plan.add("frame/" + field.infos[i].band, pixels);
  }
  const int rows = frames::white_chunk_rows(field.height);
  for (int y0 = 0; y0 < field.height; y0 += rows) {
    plan.add(fmt::format("white/{:06d}", y0),
             2.0 * static_cast<double>(field.width) * rows * static_cast<double>(field.size()));
  }
  return plan;
}

}  // namespace skyloom::photometry
