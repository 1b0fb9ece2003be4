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
  const StoredSector& sector = context.sectors.at(unit.index / blocks.size());
  if (!context.quiet || context.quiet->sector.row != sector.row) {
    context.quiet = std::make_unique<QuietSector>();
    context.quiet->sector = sector;
    context.quiet->curve = stored_light_curve(*context.products, sector);
  }
  input.quiet = context.quiet.get();
  input.block = blocks[unit.index % blocks.size()];
  input.networks = context.networks;
  return input;
}

}  // namespace skyloom::flares
