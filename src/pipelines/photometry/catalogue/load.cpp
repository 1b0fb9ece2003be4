#include <algorithm>
#include <cmath>
#include <tuple>

#include "pipelines/photometry/catalogue/kernel_sky.hpp"
#include "pipelines/photometry/catalogue/stage.hpp"

namespace skyloom::photometry {
namespace {

/// Counting sort of a table by its column `source`: rows of source i are row[first[i]] ...
/// row[first[i + 1] - 1].
void index_by_source(const Table& table, std::size_t sources, std::vector<std::size_t>& first,
                     std::vector<std::size_t>& row) {
  const auto& source = table.get<std::int64_t>("source");
  first.assign(sources + 1, 0);
  for (const std::int64_t i : source) {
    ++first[static_cast<std::size_t>(i) + 1];
  }
  for (std::size_t i = 1; i < first.size(); ++i) {
    first[i] += first[i - 1];
  }
  std::vector<std::size_t> next = first;
  row.resize(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    row[next[static_cast<std::size_t>(source[i])]++] = i;
  }
}

}  // namespace

SkyChanges combined_skies(const Survey& survey, const Table& skies, Log& log) {
  const auto& tag = skies.get<std::string>("patch_tag");
  const auto& frame = skies.get<std::int32_t>("frame");
  const auto number = [&](const char* name) -> const std::vector<double>& {
    return skies.get<double>(name);
  };
  const auto& npix = skies.get<std::int64_t>("npix");
  std::map<int, std::vector<std::size_t>> rows_of_frame;
  for (std::size_t i = 0; i < skies.rows(); ++i) {
    rows_of_frame[frame[i]].push_back(i);
  }
  SkyChanges changes;
  std::map<std::pair<std::string, std::string>, std::pair<double, double>> sums;
  for (const auto& [row, rows] : rows_of_frame) {
    std::vector<catalogue::PatchSky> patches;
    for (const std::size_t i : rows) {
      patches.push_back({number("x_pix")[i], number("y_pix")[i], number("sky_base")[i],
                         number("sky_base_err")[i]});
    }
    const catalogue::SkyModel model = catalogue::combine_skies(patches);
    const auto [of_field, of_frame] = survey.frame_at(static_cast<std::size_t>(row));
    const Field& field = survey.fields[of_field];
    const std::string& band = field.infos[of_frame].band;
    log.debug("sky of frame {}: order {}, scatter {:.3g}, {} of {} patches keep their own", row,
              model.order, model.scatter, model.n_outliers, rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const catalogue::CombinedSky& sky = model.patches[i];
      const std::string patch = survey.key(field, tag[rows[i]]);
      auto& [sum, pixels] = sums[{patch, band}];
      pixels += static_cast<double>(npix[rows[i]]);
      if (!sky.own) {
        const double before = number("sky_err")[rows[i]];
        const double after = std::min(sky.err, before);
        const double change = sky.sky - number("sky")[rows[i]];
        changes.of_frame[{patch, row}] = {change, after * after - before * before};
        sum += static_cast<double>(npix[rows[i]]) * change;
      }
    }
  }
  for (const auto& [key, sum] : sums) {
    if (sum.first != 0.0) {
      changes.of_band[key] = sum.first / sum.second;
    }
  }
  return changes;
}

std::unique_ptr<CatalogueStage::Context> CatalogueStage::open(const Config& config,
                                                              const engine::Products& before,
                                                              Log& log) {
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
    index_by_source(*context->forced, context->sources->rows(), context->forced_first,
                    context->forced_row);
  }
  if (config.patch_run.sky == "combined") {
    context->response = &before.table("fit", "fit_flux_per_sky");
    index_by_source(*context->response, context->sources->rows(), context->response_first,
                    context->response_row);
    context->skies = combined_skies(context->survey, before.table("fit", "fit_skies"), log);
  }
  return context;
}

namespace {

const sky::Wcs& wcs_of(const Config& config, CatalogueStage::Context& context, std::size_t field) {
  return context.wcs.get(field, [&] {
    return std::make_unique<sky::Wcs>(white_wcs(config, context.survey.fields[field]));
  });
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

/// What the combined skies do to the sources of a block.
std::vector<FluxChange> flux_changes(const CatalogueStage::Context& context,
                                     const CatalogueStage::Block& block) {
  std::vector<FluxChange> changes;
  if (context.response == nullptr || context.skies.of_frame.empty()) {
    return changes;
  }
  const Field& field = context.survey.fields[block.field];
  const auto& tag = context.fit->get<std::string>("patch_tag");
  const auto& frame = context.response->get<std::int32_t>("frame");
  const auto& band = context.response->get<std::string>("band");
  const auto& response = context.response->get<double>("flux_per_sky");
  for (std::size_t source = block.first; source < block.last; ++source) {
    if (context.fit_row[source] == Table::npos) {
      continue;
    }
    const std::string patch = context.survey.key(field, tag[context.fit_row[source]]);
    for (std::size_t k = context.response_first[source]; k < context.response_first[source + 1];
         ++k) {
      const std::size_t row = context.response_row[k];
      const auto change = context.skies.of_frame.find({patch, frame[row]});
      if (change == context.skies.of_frame.end()) {
        continue;
      }
      changes.push_back({source - block.first, frame[row], band[row],
                         response[row] * change->second.sky,
                         response[row] * response[row] * change->second.variance});
    }
  }
  return changes;
}

/// By how much sky_<band> of every row of a block changes.
std::map<std::string, std::vector<double>> sky_changes(const CatalogueStage::Context& context,
                                                       const CatalogueStage::Block& block) {
  std::map<std::string, std::vector<double>> changes;
  if (context.skies.of_band.empty()) {
    return changes;
  }
  const Field& field = context.survey.fields[block.field];
  const auto& tag = context.fit->get<std::string>("patch_tag");
  for (const std::string& band : field.bands) {
    std::vector<double>& of_rows = changes[band];
    of_rows.assign(block.last - block.first, 0.0);
    for (std::size_t source = block.first; source < block.last; ++source) {
      const std::size_t row = context.fit_row[source];
      if (row == Table::npos) {
        continue;
      }
      const auto change = context.skies.of_band.find({context.survey.key(field, tag[row]), band});
      if (change != context.skies.of_band.end()) {
        of_rows[source - block.first] = change->second;
      }
    }
  }
  return changes;
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
  input.first_source = first;
  input.changes = flux_changes(context, block);
  input.sky_changes = sky_changes(context, block);
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
