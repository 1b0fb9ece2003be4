#include "pipelines/flares/gp/stage.hpp"

namespace skyloom::flares {

std::unique_ptr<GpStage::Context> GpStage::open(const Config& /*config*/,
                                                const engine::Products& before, Log& /*log*/) {
  auto context = std::make_unique<Context>();
  context->products = &before;
  context->sectors = stored_sectors(before);
  const Table& flares = before.table("detect", "flares");
  context->start = flares.get<std::int32_t>("start");
  context->stop = flares.get<std::int32_t>("stop");
  return context;
}

GpStage::Input GpStage::load(const Config& /*config*/, Context& context, const engine::Unit& unit) {
  Input input;
  input.sector = context.sectors.at(unit.index);
  input.curve = stored_light_curve(*context.products, input.sector);
  for (std::size_t i = 0; i < input.sector.flares; ++i) {
    const std::size_t row = input.sector.first_flare + i;
    input.blocks.push_back({context.start[row], context.stop[row]});
  }
  return input;
}

}  // namespace skyloom::flares
