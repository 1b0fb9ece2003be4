#include <algorithm>

#include <fmt/format.h>

#include "pipelines/photometry/zeropoint/stage.hpp"
#include "skyloom/surveys/gaia.hpp"

namespace skyloom::photometry {

std::vector<std::string> ZeropointStage::inputs(const Config& config) {
  std::vector<std::string> files;
  for (const FieldEntry& entry : config.field_entries()) {
    if (config.calibrates(entry)) {
      files.push_back(entry.gaiaxp_synphot_csv);
    }
  }
  return files;
}

Calibration calibration_of(const Field& field) {
  const std::string& path = field.entry.gaiaxp_synphot_csv;
  Calibration out{surveys::read_gaia(path, field.bands), field.bands};
  surveys::require_zero_point_columns(out.gaia, path);
  std::sort(out.bands.begin(), out.bands.end());
  std::erase_if(out.bands, [&](const std::string& band) { return !out.gaia.has("mag_" + band); });
  return out;
}

TableSchema final_catalogue_schema(const Table& catalogue, const std::vector<std::string>& bands) {
  TableSchema schema{"catalogue", {}};
  const auto is_magnitude = [&](const std::string& name) {
    return std::any_of(bands.begin(), bands.end(), [&](const std::string& band) {
      return name == "MAG_" + band + "_fit" || name == "MAGERR_" + band + "_fit";
    });
  };
  for (const Column& column : catalogue.columns()) {
    if (is_magnitude(column.name)) {
      continue;
    }
    schema.columns.push_back(column);
    for (const std::string& band : bands) {
      if (column.name == "FLUXERR_" + band + "_fit") {
        schema.columns.push_back(
            {"MAG_" + band + "_fit", Type::float64, "mag", "AB magnitude with the zero point"});
        schema.columns.push_back({"MAGERR_" + band + "_fit", Type::float64, "mag",
                                  "its error with the scatter of the zero point"});
      }
    }
  }
  return schema;
}

engine::Plan ZeropointStage::plan(const Config& config, const engine::Products& before) {
  engine::Plan plan;
  const Survey survey = survey_from_product(config, before);
  plan.schema.tables.push_back(
      {"zeropoints",
       {{"band", Type::text, "", "filter"},
        {"n_raw", Type::int64, "", "stars with a converged fit"},
        {"n_kept", Type::int64, "", "of these, stars that count"},
        {"n_clipped", Type::int64, "", "of these, stars clipped"},
        {"n_nonconverged", Type::int64, "", "stars left out because their fit did not converge"},
        {"clip_sigma", Type::float64, "", "limit of clipping in robust sigma"},
        {"zp_median", Type::float64, "mag", "weighted median zero point of the scaled fluxes"},
        {"zp_err_mad", Type::float64, "mag",
         "robust scatter of the kept stars around it, with the same weights"}}});
  plan.schema.tables.push_back(
      {"zp_stars",
       {{"band", Type::text, "", "filter"},
        {"gaia_source_id", Type::text, "", "Gaia source identifier"},
        {"gaiaxp_mag", Type::float64, "mag", "synthetic AB magnitude"},
        {"flux", Type::float64, "", "fitted scaled flux"},
        {"fluxerr", Type::float64, "", "its marginal error"},
        {"zp", Type::float64, "mag", "zero point from this star"},
        {"zp_err", Type::float64, "mag", "its error from the flux error"},
        {"is_kept", Type::boolean, "", "counts for the zero point"},
        {"is_clipped", Type::boolean, "", "too far from the median"},
        {"converged", Type::boolean, "", "its fit converged; others do not count"}}});
  add_field_column(plan.schema, survey);
  // The catalogue has its own column `field` already.
  plan.schema.tables.push_back(
      final_catalogue_schema(before.rows("catalogue", "catalogue", 0, 0), survey.bands));
  if (config.patch_run.forced) {
    plan.schema.tables.push_back(before.rows("catalogue", "forced", 0, 0).schema());
  }
  if (!config.calibrates()) {
    return plan;
  }
  for (const Field& field : survey.fields) {
    if (field.calibrates(config)) {
      for (const std::string& band : calibration_of(field).bands) {
        plan.add(survey.key(field, "band/" + band), 1.0);
      }
    }
  }
  const auto add_blocks = [&](const char* kind, const char* table) {
    for (const Field& field : survey.fields) {
      const auto [begin, end] = survey.rows(before, "catalogue", table, field);
      for (std::size_t first = 0; first < end - begin; first += kBlockRows) {
        plan.add(survey.key(field, fmt::format("{}/{:09d}", kind, first)),
                 static_cast<double>(std::min(kBlockRows, end - begin - first)));
      }
    }
  };
  add_blocks("rows", "catalogue");
  if (config.patch_run.forced) {
    add_blocks("forced", "forced");
  }
  return plan;
}

}  // namespace skyloom::photometry
