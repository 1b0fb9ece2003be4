#include <algorithm>
#include <cmath>
#include <tuple>

#include "pipelines/photometry/catalogue/kernel_sky.hpp"
#include "pipelines/photometry/catalogue/stage.hpp"

namespace skyloom::photometry {
namespace {

/// Counting sort of a field's rows of a table by their column `source`.
CatalogueStage::BySource by_source(FieldRows rows, const CatalogueStage::OpenField& open) {
  CatalogueStage::BySource out{std::move(rows.table), {}, {}};
  const auto& source = out.table.get<std::int64_t>("source");
  const auto number = [&](std::int64_t row) {
    return static_cast<std::size_t>(row) - open.first_row;
  };
  out.first.assign(open.n_rows + 1, 0);
  for (const std::int64_t i : source) {
    ++out.first[number(i) + 1];
  }
  for (std::size_t i = 1; i < out.first.size(); ++i) {
    out.first[i] += out.first[i - 1];
  }
  std::vector<std::size_t> next = out.first;
  out.row.resize(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    out.row[next[number(source[i])]++] = i;
  }
  return out;
}

/// The combined skies of one frame into the changes of its patches.
/// @param rows of `skies` that belong to the frame   @param patch of every row of `skies`
void combine_frame(const Table& skies, const std::vector<std::size_t>& rows,
                   const std::vector<std::size_t>& patch, std::size_t frame, Log& log,
                   SkyChanges& changes) {
  const auto& sky = skies.get<double>("sky");
  const auto& sky_err = skies.get<double>("sky_err");
  const auto& base = skies.get<double>("sky_base");
  const auto& base_err = skies.get<double>("sky_base_err");
  const auto& x = skies.get<double>("x_pix");
  const auto& y = skies.get<double>("y_pix");
  std::vector<catalogue::PatchSky> patches;
  for (const std::size_t i : rows) {
    patches.push_back({x[i], y[i], base[i], base_err[i]});
  }
  const catalogue::SkyModel model = catalogue::combine_skies(patches);
  log.debug("sky of frame {}: order {}, scatter {:.3g}, {} of {} patches keep their own",
            skies.get<std::int32_t>("frame")[rows.front()], model.order, model.scatter,
            model.n_outliers, rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const catalogue::CombinedSky& combined = model.patches[i];
    if (!combined.own) {
      const double before = sky_err[rows[i]];
      const double after = std::min(combined.err, before);
      changes.of_frame[patch[rows[i]] * changes.n_frames + frame] = {
          false, combined.sky - sky[rows[i]], after * after - before * before};
    }
  }
}

}  // namespace

SkyChanges combined_skies(const Field& field, const Table& skies, Log& log) {
  const auto& tag = skies.get<std::string>("patch_tag");
  const auto& frame = skies.get<std::int32_t>("frame");
  const auto& npix = skies.get<std::int64_t>("npix");
  SkyChanges changes;
  changes.n_frames = field.size();
  changes.n_bands = field.bands.size();
  std::vector<std::size_t> patch;
  std::vector<std::vector<std::size_t>> rows_of_frame(field.size());
  for (std::size_t i = 0; i < skies.rows(); ++i) {
    patch.push_back(changes.patch_of.emplace(tag[i], changes.patch_of.size()).first->second);
    rows_of_frame[static_cast<std::size_t>(frame[i]) - field.first_frame].push_back(i);
  }
  changes.of_frame.resize(changes.patch_of.size() * field.size());
  changes.of_band.assign(changes.patch_of.size() * field.bands.size(), 0.0);
  std::vector<double> pixels(changes.of_band.size(), 0.0);
  for (std::size_t f = 0; f < field.size(); ++f) {
    if (rows_of_frame[f].empty()) {
      continue;
    }
    combine_frame(skies, rows_of_frame[f], patch, f, log, changes);
    for (const std::size_t i : rows_of_frame[f]) {
      const std::size_t at =
          patch[i] * changes.n_bands + static_cast<std::size_t>(field.band_of_frame[f]);
      const SkyChange& change = changes.of_frame[patch[i] * changes.n_frames + f];
      pixels[at] += static_cast<double>(npix[i]);
      changes.of_band[at] += change.own ? 0.0 : static_cast<double>(npix[i]) * change.sky;
    }
  }
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    if (changes.of_band[i] != 0.0) {
      changes.of_band[i] /= pixels[i];
    }
  }
  return changes;
}

std::unique_ptr<CatalogueStage::Context> CatalogueStage::open(const Config& config,
                                                              const engine::Products& before,
                                                              Log& log) {
  auto context = std::make_unique<Context>();
  context->survey = survey_from_product(config, before);
  context->before = &before;
  context->log = &log;
  context->schema =
      catalogue_schema(config, before.rows("frames", "sources", 0, 0), context->survey.bands);
  return context;
}

namespace {

std::unique_ptr<CatalogueStage::OpenField> open_field(const Config& config,
                                                      const CatalogueStage::Context& context,
                                                      const Field& field) {
  const auto rows_of = [&](const char* table) {
    return field_rows(context.survey, *context.before, "fit", table, field);
  };
  auto open = std::make_unique<CatalogueStage::OpenField>();
  open->field = &field;
  const auto [first, last] = context.survey.rows(*context.before, "frames", "sources", field);
  open->first_row = first;
  open->n_rows = last - first;
  open->fit = rows_of("fit").table;
  open->fit_row.assign(open->n_rows, Table::npos);
  const auto& source = open->fit.get<std::int64_t>("source");
  for (std::size_t row = 0; row < source.size(); ++row) {
    open->fit_row.at(static_cast<std::size_t>(source[row]) - first) = row;
  }
  if (config.patch_run.forced) {
    open->forced = by_source(rows_of("fit_forced"), *open);
  }
  if (config.patch_run.sky == "combined") {
    open->response = by_source(rows_of("fit_flux_per_sky"), *open);
    open->skies = combined_skies(field, rows_of("fit_skies").table, *context.log);
  }
  for (const std::string& tag : open->fit.get<std::string>("patch_tag")) {
    const auto patch = open->skies.patch_of.find(tag);
    open->patch_of_fit.push_back(patch == open->skies.patch_of.end() ? Table::npos : patch->second);
  }
  open->wcs = std::make_unique<sky::Wcs>(white_wcs(config, field));
  return open;
}

/// Forced fluxes of a block in the order of sources, bands and times.
/// @param id of every source of the block
Table forced_rows(const Survey& survey, const CatalogueStage::OpenField& open, std::size_t begin,
                  const std::vector<std::string>& id) {
  const Field& field = *open.field;
  const Table& from = open.forced.table;
  const auto& frame = from.get<std::int32_t>("frame");
  const auto info = [&](std::size_t row) -> const surveys::FrameInfo& {
    return field.infos[static_cast<std::size_t>(frame[row]) - field.first_frame];
  };
  const auto band_number = [&](std::size_t row) {
    return std::find(survey.bands.begin(), survey.bands.end(), info(row).band) -
           survey.bands.begin();
  };
  Table out(forced_schema(survey));
  for (std::size_t i = 0; i < id.size(); ++i) {
    const auto first = open.forced.row.begin();
    std::vector<std::size_t> rows(
        first + static_cast<std::ptrdiff_t>(open.forced.first[begin + i]),
        first + static_cast<std::ptrdiff_t>(open.forced.first[begin + i + 1]));
    std::stable_sort(rows.begin(), rows.end(), [&](std::size_t a, std::size_t b) {
      // An image without a time comes after those that have one.
      const double ta = std::isnan(info(a).mjd) ? 1e99 : info(a).mjd;
      const double tb = std::isnan(info(b).mjd) ? 1e99 : info(b).mjd;
      return std::tuple(band_number(a), ta, frame[a]) < std::tuple(band_number(b), tb, frame[b]);
    });
    for (const std::size_t row : rows) {
      const std::size_t at = out.add_row();
      out.set(at, "ID", id[i]);
      out.set(at, "band", info(row).band);
      out.set(at, "frame", frame[row]);
      out.set(at, "mjd", info(row).mjd);
      for (const char* name : {"FLUX_fit", "FLUXERR_fit", "chi2"}) {
        out.set(at, name, from.get<double>(name)[row]);
      }
      out.set(at, "npix", from.get<std::int32_t>("npix")[row]);
      out.set(at, "flags", from.get<std::int32_t>("flags")[row]);
      out.set(at, "source", static_cast<std::int64_t>(open.first_row + begin + i));
    }
  }
  return out;
}

/// What the combined skies do to the sources [first, last) of a field.
std::vector<FluxChange> flux_changes(const CatalogueStage::OpenField& open, std::size_t first,
                                     std::size_t last) {
  std::vector<FluxChange> changes;
  if (open.skies.of_frame.empty()) {
    return changes;
  }
  const Table& table = open.response.table;
  const auto& frame = table.get<std::int32_t>("frame");
  const auto& band = table.get<std::string>("band");
  const auto& response = table.get<double>("flux_per_sky");
  for (std::size_t source = first; source < last; ++source) {
    const std::size_t fit = open.fit_row[source];
    if (fit == Table::npos || open.patch_of_fit[fit] == Table::npos) {
      continue;
    }
    const std::size_t patch = open.patch_of_fit[fit] * open.skies.n_frames;
    for (std::size_t k = open.response.first[source]; k < open.response.first[source + 1]; ++k) {
      const std::size_t row = open.response.row[k];
      const std::size_t of_field = static_cast<std::size_t>(frame[row]) - open.field->first_frame;
      const SkyChange& change = open.skies.of_frame[patch + of_field];
      if (!change.own) {
        changes.push_back({source - first, frame[row], band[row], response[row] * change.sky,
                           response[row] * response[row] * change.variance});
      }
    }
  }
  return changes;
}

/// By how much sky_<band> of the sources [first, last) of a field changes.
std::map<std::string, std::vector<double>> sky_changes(const CatalogueStage::OpenField& open,
                                                       std::size_t first, std::size_t last) {
  std::map<std::string, std::vector<double>> changes;
  if (open.skies.of_band.empty()) {
    return changes;
  }
  for (std::size_t band = 0; band < open.skies.n_bands; ++band) {
    std::vector<double>& of_rows = changes[open.field->bands[band]];
    for (std::size_t source = first; source < last; ++source) {
      const std::size_t fit = open.fit_row[source];
      const std::size_t patch = fit == Table::npos ? Table::npos : open.patch_of_fit[fit];
      of_rows.push_back(
          patch == Table::npos ? 0.0 : open.skies.of_band[patch * open.skies.n_bands + band]);
    }
  }
  return changes;
}

}  // namespace

CatalogueStage::Input CatalogueStage::load(const Config& config, Context& context,
                                           const engine::Unit& unit) {
  const auto [field, key] = context.survey.field_of(unit);
  OpenField& open =
      context.open.get(field.index, [&, &of = field] { return open_field(config, context, of); });
  const std::size_t first = std::stoull(key.substr(key.find('/') + 1));
  const std::size_t last = std::min(first + kBlockRows, open.n_rows);
  const Table sources =
      context.before->rows("frames", "sources", open.first_row + first, open.first_row + last);
  Input input;
  input.field = context.survey.label(field);
  input.wcs = open.wcs.get();
  input.first_source = open.first_row + first;
  input.changes = flux_changes(open, first, last);
  input.sky_changes = sky_changes(open, first, last);
  if (config.patch_run.forced) {
    input.forced = forced_rows(context.survey, open, first, sources.get<std::string>("ID"));
  }
  input.rows = Table(context.schema);
  input.rows.add_rows(last - first);
  for (std::size_t c = 0; c < context.schema.columns.size(); ++c) {
    const std::string& name = context.schema.columns[c].name;
    if (sources.has(name)) {
      input.rows.data(c) = sources.data(name);
      continue;
    }
    if (!open.fit.has(name)) {
      continue;
    }
    std::visit(
        [&](auto& target) {
          const auto& values = std::get<std::decay_t<decltype(target)>>(open.fit.data(name));
          for (std::size_t i = 0; i < target.size(); ++i) {
            if (const std::size_t at = open.fit_row[first + i]; at != Table::npos) {
              target[i] = values[at];
            }
          }
        },
        input.rows.data(c));
  }
  return input;
}

}  // namespace skyloom::photometry
