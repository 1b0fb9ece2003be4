#include "pipelines/flares/inject/stage.hpp"

namespace skyloom::flares {

std::unique_ptr<InjectStage::Context> InjectStage::open(const Config& config,
                                                        const engine::Products& before,
                                                        Log& /*log*/) {
  auto context = std::make_unique<Context>();
  context->products = &before;
  context->sectors = stored_sectors(before);
  context->ensemble = load_ensemble(config);
  for (const Network<float>& network : context->ensemble.networks) {
    context->networks.emplace_back(network);
  }
  return context;
}

InjectStage::Input InjectStage::load(const Config& config, Context& context,
                                     const engine::Unit& unit) {
  const std::vector<InjectionBlock> blocks = injection_blocks(config, context.sectors.size());
  Input input;
  input.sector = context.sectors.at(unit.index / blocks.size());
  input.block = blocks[unit.index % blocks.size()];
  input.curve = stored_light_curve(*context.products, input.sector);
  input.context = &context;
  return input;
}

}  // namespace skyloom::flares
