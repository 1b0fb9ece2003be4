#include <algorithm>
#include <cmath>
#include <tuple>

#include "pipelines/photometry/catalogue/stage.hpp"

namespace skyloom::photometry {
namespace {

/// Counting sort of the forced fluxes by source.
void index_forced(CatalogueStage::Context& context) {
  const auto& source = context.forced->get<std::int64_t>("source");
  context.forced_first.assign(context.sources->rows() + 1, 0);
  for (const std::int64_t row : source) {
    ++context.forced_first[static_cast<std::size_t>(row) + 1];
  }
  for (std::size_t i = 1; i < context.forced_first.size(); ++i) {
    context.forced_first[i] += context.forced_first[i - 1];
  }
  std::vector<std::size_t> next = context.forced_first;
  context.forced_row.resize(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    context.forced_row[next[static_cast<std::size_t>(source[i])]++] = i;
  }
}

}  // namespace

std::unique_ptr<CatalogueStage::Context> CatalogueStage::open(const Config& config,
                                                              const engine::Products& before,
                                                              Log& /*log*/) {
  auto context = std::make_unique<Context>();
  context->survey = survey_from_product(config, before);
  context->sources = &before.table("frames", "sources");
  context->fit = &before.table("fit", "fit");
  context->schema = catalogue_schema(config, *context->sources, context->survey.bands);
  context->blocks = catalogue_blocks(context->survey, *context->sources);
  context->fit_row.assign(context->sources->rows(), Table::npos);
  const auto& source = context->fit->get<std::int64_t>("source");
  for (std::size_t row = 0; row < source.size(); ++row) {
    context->fit_row.at(static_cast<std::size_t>(source[row])) = row;
  }
  if (config.patch_run.forced) {
    context->forced = &before.table("fit", "fit_forced");
    index_forced(*context);
  }
  return context;
}

namespace {

const sky::Wcs& wcs_of(const Config& config, CatalogueStage::Context& context, std::size_t field) {
  constexpr std::size_t kMostOpen = 16;
  if (context.wcs.size() >= kMostOpen && !context.wcs.contains(field)) {
    context.wcs.erase(context.wcs.begin());
  }
  auto& wcs = context.wcs[field];
  if (wcs == nullptr) {
    wcs = std::make_unique<sky::Wcs>(white_wcs(config, context.survey.fields[field]));
  }
  return *wcs;
}

/// Forced fluxes of a block in the order of sources, bands and times.
Table forced_rows(const CatalogueStage::Context& context, const CatalogueStage::Block& block) {
  const Survey& survey = context.survey;
  const Field& field = survey.fields[block.field];
  const Table& from = *context.forced;
  const auto& frame = from.get<std::int32_t>("frame");
  const auto& id = context.sources->get<std::string>("ID");
  const auto info = [&](std::size_t row) -> const surveys::FrameInfo& {
    return field.infos[static_cast<std::size_t>(frame[row]) - field.first_frame];
  };
  const auto band_number = [&](std::size_t row) {
    return std::find(survey.bands.begin(), survey.bands.end(), info(row).band) -
           survey.bands.begin();
  };
  Table out(forced_schema(survey));
  for (std::size_t source = block.first; source < block.last; ++source) {
    std::vector<std::size_t> rows(
        context.forced_row.begin() + static_cast<std::ptrdiff_t>(context.forced_first[source]),
        context.forced_row.begin() + static_cast<std::ptrdiff_t>(context.forced_first[source + 1]));
    std::stable_sort(rows.begin(), rows.end(), [&](std::size_t a, std::size_t b) {
      // An image without a time comes after those that have one.
      const double ta = std::isnan(info(a).mjd) ? 1e99 : info(a).mjd;
      const double tb = std::isnan(info(b).mjd) ? 1e99 : info(b).mjd;
      return std::tuple(band_number(a), ta, frame[a]) < std::tuple(band_number(b), tb, frame[b]);
    });
    for (const std::size_t row : rows) {
      const std::size_t at = out.add_row();
      out.set(at, "ID", id[source]);
      out.set(at, "band", info(row).band);
      out.set(at, "frame", frame[row]);
      out.set(at, "mjd", info(row).mjd);
      for (const char* name : {"FLUX_fit", "FLUXERR_fit", "chi2"}) {
        out.set(at, name, from.get<double>(name)[row]);
      }
      out.set(at, "npix", from.get<std::int32_t>("npix")[row]);
      out.set(at, "flags", from.get<std::int32_t>("flags")[row]);
      out.set(at, "source", static_cast<std::int64_t>(source));
    }
  }
  return out;
}

}  // namespace

CatalogueStage::Input CatalogueStage::load(const Config& config, Context& context,
                                           const engine::Unit& unit) {
  const Block& block = context.blocks.at(unit.index);
  const std::size_t first = block.first;
  const std::size_t last = block.last;
  Input input;
  input.field = context.survey.label(context.survey.fields[block.field]);
  input.wcs = &wcs_of(config, context, block.field);
  if (context.forced != nullptr) {
    input.forced = forced_rows(context, block);
  }
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
