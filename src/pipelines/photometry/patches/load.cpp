#include "pipelines/photometry/patches/stage.hpp"

namespace skyloom::photometry {

std::unique_ptr<PatchesStage::Context> PatchesStage::open(const Config& config,
                                                          const engine::Products& before,
                                                          Log& /*log*/) {
  auto context = std::make_unique<Context>();
  context->survey = survey_from_product(config, before);
  const Table& sources = before.table("frames", "sources");
  for (const Field& field : context->survey.fields) {
    context->active.push_back(active_positions(context->survey, field, sources));
  }
  context->cells = cells_of_survey(config, context->survey, context->active);
  return context;
}

PatchesStage::Input PatchesStage::load(const Config& config, Context& context,
                                       const engine::Unit& unit) {
  const auto& [index, cell] = context.cells.at(unit.index);
  const Field& field = context.survey.fields[index];
  const ActivePositions& active = context.active[index];
  Input input;
  input.field = context.survey.label(field);
  input.cell = cell;
  input.image = field.box();
  const int n = config.epsf.epsf_ngrid;
  input.cell_column = cell.box.x0 / std::max(1, field.width / n);
  input.cell_row = cell.box.y0 / std::max(1, field.height / n);
  for (std::size_t i = 0; i < active.x.size(); ++i) {
    if (cell.box.contains(active.x[i], active.y[i])) {
      input.x.push_back(active.x[i]);
      input.y.push_back(active.y[i]);
    }
  }
  return input;
}

}  // namespace skyloom::photometry
