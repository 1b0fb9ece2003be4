#include "pipelines/photometry/background/stage.hpp"

namespace skyloom::photometry {

Schema background_schema() {
  Schema schema;
  schema.tables = {
      {"background",
       {{"frame", Type::int32, "", "row of /frames"},
        {"row", Type::int32, "", "row of the box in the mesh of the frame's used pixels"},
        {"column", Type::int32, "", "column of the box"},
        {"level", Type::float32, "", "scaled flux per pixel; NaN where most pixels are masked"},
        {"rms", Type::float32, "", "noise of one pixel as measured, scaled flux"},
        {"sigma_sky", Type::float32, "", "median of the given noise of its tile, scaled flux"},
        {"masked", Type::float32, "", "part of the box that is bad or belongs to sources"}}}};
  return schema;
}

BackgroundStage::Result BackgroundStage::compute(const Config& /*config*/, const Input& input,
                                                 const Rng& /*rng*/) {
  return {input.frame, background::measure(input.pixels, input.tile, input.reach, input.options)};
}

void BackgroundStage::append(const Config& /*config*/, const Result& result, engine::Rows& rows) {
  Table& table = rows.table("background");
  table.add_rows(result.nodes.size());
  for (std::size_t i = 0; i < result.nodes.size(); ++i) {
    const background::Node& node = result.nodes[i];
    table.get<std::int32_t>("frame")[i] = result.frame;
    table.get<std::int32_t>("row")[i] = node.row;
    table.get<std::int32_t>("column")[i] = node.column;
    table.get<float>("level")[i] = node.level;
    table.get<float>("rms")[i] = node.rms;
    table.get<float>("sigma_sky")[i] = node.sigma;
    table.get<float>("masked")[i] = node.masked;
  }
}

}  // namespace skyloom::photometry
