#include <algorithm>

#include "pipelines/photometry/catalogue/stage.hpp"

namespace skyloom::photometry {

std::unique_ptr<CatalogueStage::Context> CatalogueStage::open(const Config& config,
                                                              const engine::Products& before,
                                                              Log& /*log*/) {
  auto context = std::make_unique<Context>();
  const Field field = field_from_product(config, before);
  context->sources = &before.table("frames", "sources");
  context->fit = &before.table("fit", "fit");
  context->wcs = std::make_unique<sky::Wcs>(white_wcs(config, field));
  context->schema = catalogue_schema(*context->sources, field.bands);
  context->fit_row.assign(context->sources->rows(), Table::npos);
  const auto& source = context->fit->get<std::int64_t>("source");
  for (std::size_t row = 0; row < source.size(); ++row) {
    context->fit_row.at(static_cast<std::size_t>(source[row])) = row;
  }
  return context;
}

CatalogueStage::Input CatalogueStage::load(const Config& /*config*/, Context& context,
                                           const engine::Unit& unit) {
  const std::size_t first = unit.index * kBlockRows;
  const std::size_t last = std::min(first + kBlockRows, context.sources->rows());
  Input input;
  input.wcs = context.wcs.get();
  input.rows = Table(context.schema);
  input.rows.add_rows(last - first);
  for (std::size_t c = 0; c < context.schema.columns.size(); ++c) {
    const std::string& name = context.schema.columns[c].name;
    const bool base = context.sources->has(name);
    if (!base && !context.fit->has(name)) {
      continue;
    }
    const ColumnData& from = base ? context.sources->data(name) : context.fit->data(name);
    std::visit(
        [&](auto& target) {
          const auto& values = std::get<std::decay_t<decltype(target)>>(from);
          for (std::size_t row = first; row < last; ++row) {
            const std::size_t at = base ? row : context.fit_row[row];
            if (at != Table::npos) {
              target[row - first] = values[at];
            }
          }
        },
        input.rows.data(c));
  }
  return input;
}

}  // namespace skyloom::photometry
