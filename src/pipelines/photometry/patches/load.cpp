#include "pipelines/photometry/patches/stage.hpp"

namespace skyloom::photometry {

std::unique_ptr<PatchesStage::Context> PatchesStage::open(const Config& config,
                                                          const engine::Products& before,
                                                          Log& /*log*/) {
  auto context = std::make_unique<Context>();
  context->field = field_from_product(config, before);
  const Table& sources = before.table("frames", "sources");
  context->cells = active_cells(config, context->field, sources);
  const std::vector<std::uint8_t> active = active_sources(sources, context->field.box());
  for (std::size_t i = 0; i < active.size(); ++i) {
    if (active[i] != 0) {
      context->x.push_back(sources.get<double>("x_pix_white")[i]);
      context->y.push_back(sources.get<double>("y_pix_white")[i]);
    }
  }
  return context;
}

PatchesStage::Input PatchesStage::load(const Config& config, Context& context,
                                       const engine::Unit& unit) {
  Input input;
  input.cell = context.cells.at(unit.index);
  input.image = context.field.box();
  const int n = config.epsf.epsf_ngrid;
  input.cell_column = input.cell.box.x0 / std::max(1, context.field.width / n);
  input.cell_row = input.cell.box.y0 / std::max(1, context.field.height / n);
  for (std::size_t i = 0; i < context.x.size(); ++i) {
    if (input.cell.box.contains(context.x[i], context.y[i])) {
      input.x.push_back(context.x[i]);
      input.y.push_back(context.y[i]);
    }
  }
  return input;
}

}  // namespace skyloom::photometry
