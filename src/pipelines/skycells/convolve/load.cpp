#include <algorithm>

#include "pipelines/skycells/convolve/stage.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/numerics/multirate.hpp"

namespace skyloom::skycells {
namespace {

using Context = ConvolveStage::Context;
using Input = ConvolveStage::Input;

/// The cells around in the order of (y, x), the cell itself among them.
std::vector<const StoredCell*> cells_around(const StoredCells& cells, const StoredCell& cell) {
  std::vector<const StoredCell*> out;
  for (int dy = -1; dy <= 1; ++dy) {
    for (int dx = -1; dx <= 1; ++dx) {
      const StoredCell* found = cells.present({cell.id.projection, cell.id.y + dy, cell.id.x + dx});
      if (found != nullptr) {
        out.push_back(found);
      }
    }
  }
  return out;
}

// Units come in the order of cells, so most of what one needs the one before had.
void load_combined(const Config& config, Context& context,
                   const std::vector<const StoredCell*>& cells, Input& input) {
  decltype(context.kept) used;
  const bool with_weight = config.missing_data() == numerics::MissingData::normalise;
  for (const StoredCell* cell : cells) {
    const MissingRows rows = cell->id.y < input.around.y   ? MissingRows::high_rim
                             : cell->id.y > input.around.y ? MissingRows::low_rim
                                                           : MissingRows::all;
    const std::pair key{cell->row, rows};
    const auto found = context.kept.find(key);
    const auto combined = found != context.kept.end()
                              ? found->second
                              : std::make_shared<const CombinedCell>(stored_cell(
                                    *context.products, *cell, input.geometry, rows, with_weight));
    used.emplace(key, combined);
    input.combined.push_back(combined);
    input.around.cells.push_back(combined.get());
  }
  context.kept = std::move(used);
}

void load_pixels(const Config& config, Context& context,
                 const std::vector<const StoredCell*>& cells, Input& input) {
  const int reach = std::min(context.convolution->plan().radius, input.geometry.pad);
  const int margin = config.kept_margin();
  for (const StoredCell* cell : cells) {
    const Box box = box_in_reach(input.geometry, cell->id.x - input.cell->id.x,
                                 cell->id.y - input.cell->id.y, reach, margin);
    const Box stored{box.x0 + margin, box.x1 + margin, box.y0 + margin, box.y1 + margin};
    input.pixels.cells.push_back(
        {cell->id.x, cell->id.y, box,
         context.products->plane<float>("combine", combined_slab(cell->id.projection), cell->plane,
                                        stored)});
  }
}

}  // namespace

std::unique_ptr<Context> ConvolveStage::open(const Config& config, const engine::Products& before,
                                             Log& /*log*/) {
  auto context = std::make_unique<Context>();
  context->products = &before;
  context->cells.emplace(before);
  if (config.streams()) {
    context->gaussian.emplace(config.gaussian());
  } else {
    context->convolution.emplace(config.gaussian());
  }
  return context;
}

Input ConvolveStage::load(const Config& config, Context& context, const engine::Unit& unit) {
  const std::vector<StoredCell>& all = context.cells->all();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const StoredCell& cell) { return cell.name == unit.key; });
  if (found == all.end() || !found->is_present) {
    throw FatalError(unit.key + ": the product of combine has no such cell");
  }
  const StoredCell& cell = *found;
  const int projection = cell.id.projection;
  Input input;
  input.cell = &cell;
  input.context = &context;
  input.geometry = config.cell_geometry(cell.width, cell.height);
  input.rules = config.rim_rules(context.cells->first_column(projection));
  const bool below = context.cells->has_row(projection, cell.id.y - 1);
  const bool above = context.cells->has_row(projection, cell.id.y + 1);
  input.around = {cell.id.x, cell.id.y, {}, below, above};
  input.pixels = {cell.id.x, cell.id.y, {}, below, above};
  const std::vector<const StoredCell*> around = cells_around(*context.cells, cell);
  for (const StoredCell* other : around) {
    input.neighbours.present[1 + other->id.y - cell.id.y][1 + other->id.x - cell.id.x] = true;
  }
  if (context.gaussian) {
    load_combined(config, context, around, input);
  } else {
    load_pixels(config, context, around, input);
  }
  input.mask = stored_mask(*context.products, cell);
  return input;
}

}  // namespace skyloom::skycells
