#include "pipelines/skycells/combine/stage.hpp"
#include "pipelines/skycells/combine/stars.hpp"
#include "pipelines/skycells/row_source.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::skycells {

std::unique_ptr<CombineStage::Context> CombineStage::open(const Config& config,
                                                          const engine::Products& /*before*/,
                                                          Log& log) {
  auto context = std::make_unique<Context>();
  context->survey = &found_survey(config);
  for (const std::string& warning : context->survey->list.warnings) {
    log.warning("{}", warning);
  }
  if (config.streams()) {
    context->gaussian.emplace(config.gaussian());
  }
  if (config.source_options().needs_stars()) {
    context->stars = surveys::read_gaia_stars(config.star_catalogue());
  }
  return context;
}

CombineStage::Input CombineStage::load(const Config& config, Context& context,
                                       const engine::Unit& unit) {
  Input input;
  input.survey = context.survey;
  if (unit.key == kListUnit) {
    return input;
  }
  const std::vector<surveys::Skycell>& cells = context.survey->list.cells;
  const surveys::Skycell& cell = cells.at(unit.index - 1);
  input.cell = &cell;
  OpenedCell opened = open_cell(config, cell, {true, config.needs_variance()});
  const surveys::ProjectionRows& projection = context.survey->projection(cell.id.projection);
  input.task = {config.cell_geometry(projection.cell_width, projection.cell_height),
                cell.id.x,
                cell.id.y,
                cell.width,
                cell.height,
                std::move(opened.weights),
                config.missing_pixel(),
                config.missing_data() == numerics::MissingData::normalise,
                context.gaussian ? &*context.gaussian : nullptr,
                {},
                nullptr,
                config.kept_margin(),
                config.source_options(),
                {}};
  input.task.stars = stars_near(context.stars, cell, input.task.sources.star_margin());
  input.paddings.emplace(config, *context.survey, cell, context.stars);
  input.task.padded = input.paddings->sides();
  input.task.pads = input.paddings->rows();
  for (const surveys::Skycell* other = &cell; other != cells.data(); ++input.plane) {
    --other;
    if (other->id.projection != cell.id.projection) {
      break;
    }
  }
  input.files = std::move(opened.files);
  input.source = std::move(opened.source);
  return input;
}

}  // namespace skyloom::skycells
