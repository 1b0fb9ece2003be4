#include <fmt/format.h>

#include "pipelines/photometry/frames/kernel.hpp"
#include "pipelines/photometry/frames/stage.hpp"
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
  return files;
}

engine::Plan FramesStage::plan(const Config& config, const engine::Products& /*before*/) {
  const Field field = field_from_inputs(config);
  const Table catalogue = surveys::read_source_catalogue(config.inputs.input_catalog, field.bands);
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
