#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "pipelines/photometry/catalogue/stage.hpp"

namespace skyloom::photometry {
std::vector<std::string> CatalogueStage::inputs(const Config& config) {
  return config.merge_wcs_fits.empty() ? std::vector<std::string>{}
                                       : std::vector<std::string>{config.merge_wcs_fits};
}

TableSchema catalogue_schema(const Config& config, const Table& sources,
                             const std::vector<std::string>& bands) {
  TableSchema schema{"catalogue", sources.columns()};
  const FitNames names{config.fits_bands_apart()};
  const std::vector<std::string> sets = names.sets(bands);
  for (const Column& column : fit_columns(names, bands)) {
    schema.columns.push_back(column);
    for (const std::string& set : sets) {
      if (column.name == names.fitted("y_pix_err", set)) {
        schema.columns.push_back(
            {names.fitted("RA", set), Type::float64, "deg", "fitted right ascension"});
        schema.columns.push_back(
            {names.fitted("DEC", set), Type::float64, "deg", "fitted declination"});
      }
    }
  }
  return schema;
}

TableSchema forced_schema(const Survey& survey) {
  Schema schema;
  schema.tables.push_back(
      {"forced",
       {{"ID", Type::text, "", "name of the source, as given"},
        {"band", Type::text, "", "filter"},
        {"frame", Type::int32, "", "row of /frames"},
        {"mjd", Type::float64, "d", "middle of the exposure"},
        {"FLUX_fit", Type::float64, "", "scaled flux (image_scaling.zp_ref)"},
        {"FLUXERR_fit", Type::float64, "", "marginal error with the source's own noise"},
        {"MAG_fit", Type::float64, "mag", "AB magnitude"},
        {"MAGERR_fit", Type::float64, "mag", "its error"},
        {"chi2", Type::float64, "", "mean squared residual under the source, in noise units"},
        {"npix", Type::int32, "", "good pixels in its box"},
        {"flags", Type::int32, "", "as in /catalogue"},
        {"source", Type::int64, "", "row of /catalogue"}}});
  add_field_column(schema, survey);
  return schema.tables.front();
}

std::vector<std::uint8_t> converged_rows(const Config& config, const Table& catalogue,
                                         const std::vector<std::string>& bands) {
  const FitNames names{config.fits_bands_apart()};
  const auto& type = catalogue.get<std::string>("stype_fit");
  std::vector<std::uint8_t> out(type.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = type[i].empty() ? 0 : 1;
  }
  for (const std::string& set : names.sets(bands)) {
    const auto& converged = catalogue.get<std::uint8_t>(names.plain("opt_converged", set));
    const auto& x = catalogue.get<double>(names.fitted("x_pix_white", set));
    for (std::size_t i = 0; i < out.size(); ++i) {
      // A band without data in the patch, or of other fields, has no fit that could converge.
      out[i] = out[i] != 0 && (converged[i] != 0 || std::isnan(x[i])) ? 1 : 0;
    }
  }
  return out;
}

Table with_empty_cells(const Config& config, const Table& catalogue,
                       const std::vector<std::string>& bands) {
  const FitNames names{config.fits_bands_apart()};
  // Of every column of the fit, the set it belongs to: one for all, or a band fitted apart.
  std::map<std::string, std::string> set_of;
  for (const Column& column : fit_columns(names, bands)) {
    set_of[column.name] = names.sets(bands).size() == 1 ? names.sets(bands).front() : "";
  }
  if (names.apart) {
    for (const std::string& band : bands) {
      set_of["npix_" + band] = band;
      for (const std::string stem : {"opt_converged", "opt_hit_max_iters", "opt_niters", "flags"}) {
        set_of[names.plain(stem, band)] = band;
      }
    }
  }
  const auto& type = catalogue.get<std::string>("stype_fit");
  Table out(TableSchema{catalogue.name(), {}});
  for (std::size_t c = 0; c < catalogue.columns().size(); ++c) {
    Column column = catalogue.columns()[c];
    const bool has_missing =
        column.type == Type::float64 || column.type == Type::float32 || column.type == Type::text;
    const auto set = set_of.find(column.name);
    if (has_missing || set == set_of.end()) {
      out.add_column(column, catalogue.data(c));
      continue;
    }
    const std::vector<double>* x =
        names.apart && !set->second.empty()
            ? &catalogue.get<double>(names.fitted("x_pix_white", set->second))
            : nullptr;
    std::vector<std::string> texts;
    for (std::size_t row = 0; row < type.size(); ++row) {
      const bool fitted = !type[row].empty() && (x == nullptr || !std::isnan((*x)[row]));
      texts.push_back(fitted ? catalogue.cell_text(row, c) : "");
    }
    column.type = Type::text;
    out.add_column(std::move(column), std::move(texts));
  }
  return out;
}

engine::Plan CatalogueStage::plan(const Config& config, const engine::Products& before) {
  const Survey survey = survey_from_product(config, before);
  if (!config.merge_wcs_fits.empty()) {
    (void)white_wcs(config, survey.fields.front());  // a wrong file is found before any work
  }
  engine::Plan plan;
  plan.schema.tables.push_back(
      catalogue_schema(config, before.rows("frames", "sources", 0, 0), survey.bands));
  if (config.patch_run.forced) {
    plan.schema.tables.push_back(forced_schema(survey));
  }
  for (const Field& field : survey.fields) {
    const auto [begin, end] = survey.rows(before, "frames", "sources", field);
    for (std::size_t first = 0; first < end - begin; first += kBlockRows) {
      plan.add(survey.key(field, fmt::format("rows/{:09d}", first)),
               static_cast<double>(std::min(kBlockRows, end - begin - first)));
    }
  }
  return plan;
}

}  // namespace skyloom::photometry
