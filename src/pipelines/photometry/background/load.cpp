#include "pipelines/photometry/background/stage.hpp"
#include "pipelines/photometry/epsf/stage.hpp"

namespace skyloom::photometry {

std::unique_ptr<BackgroundStage::Context> BackgroundStage::open(const Config& config,
                                                                const engine::Products& before,
                                                                Log& /*log*/) {
  auto context = std::make_unique<Context>();
  context->survey = survey_from_product(config, before);
  return context;
}

BackgroundStage::Input BackgroundStage::load(const Config& config, Context& context,
                                             const engine::Unit& unit) {
  const auto [row, number] = frame_and_part(unit);
  OpenFrame& open = context.open.get(
      row, [&, &of = row] { return std::make_unique<OpenFrame>(context.survey, of); });
  const int width = open.used.width();
  const int height = open.used.height();
  Input input;
  input.frame = static_cast<int>(row);
  input.options = effective_options(config);
  input.tile = background::tiles(width, height, input.options).at(number);
  input.reach = background::reach(input.tile, width, height, input.options);
  input.pixels = open.read(input.reach);
  return input;
}

std::vector<background::Node> background_of_frame(const engine::Products& before, int frame) {
  const auto [first, last] = rows_of_frame(before, "background", "background", frame);
  const Table rows = before.rows("background", "background", first, last);
  const auto& row = rows.get<std::int32_t>("row");
  const auto& column = rows.get<std::int32_t>("column");
  const auto& level = rows.get<float>("level");
  const auto& rms = rows.get<float>("rms");
  const auto& sigma = rows.get<float>("sigma_sky");
  const auto& masked = rows.get<float>("masked");
  std::vector<background::Node> nodes;
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    nodes.push_back({row[i], column[i], level[i], rms[i], sigma[i], masked[i]});
  }
  return nodes;
}

}  // namespace skyloom::photometry
