#include "pipelines/flares/gp/stage.hpp"

namespace skyloom::flares {

std::unique_ptr<GpStage::Context> GpStage::open(const Config& /*config*/,
                                                const engine::Products& before, Log& /*log*/) {
  auto context = std::make_unique<Context>();
  context->products = &before;
  context->sectors = stored_sectors(before);
  return context;
}

GpStage::Input GpStage::load(const Config& /*config*/, Context& context, const engine::Unit& unit) {
  Input input;
  input.sector = context.sectors.at(unit.index);
  input.curve = stored_light_curve(*context.products, input.sector);
  const auto read = [&](const char* column) {
    return context.products->range<std::int32_t>("detect", column, input.sector.first_flare,
                                                 input.sector.flares);
  };
  const std::vector<std::int32_t> start = read("flares/start");
  const std::vector<std::int32_t> stop = read("flares/stop");
  for (std::size_t i = 0; i < start.size(); ++i) {
    input.blocks.push_back({start[i], stop[i]});
  }
  return input;
}

}  // namespace skyloom::flares
