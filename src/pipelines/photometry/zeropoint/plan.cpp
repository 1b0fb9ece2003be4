#include <algorithm>

#include <fmt/format.h>

#include "pipelines/photometry/zeropoint/stage.hpp"
#include "skyloom/surveys/gaia.hpp"

namespace skyloom::photometry {

std::vector<std::string> ZeropointStage::inputs(const Config& config) {
  return config.calibrates() ? std::vector<std::string>{config.inputs.gaiaxp_synphot_csv}
                             : std::vector<std::string>{};
}

std::vector<std::string> calibrated_bands(const engine::Products& before, const Table& gaia) {
  std::vector<std::string> bands;
  for (const std::string& band : before.table("frames", "frames").get<std::string>("band")) {
    if (gaia.has("mag_" + band)) {
      bands.push_back(band);
    }
  }
  std::sort(bands.begin(), bands.end());
  bands.erase(std::unique(bands.begin(), bands.end()), bands.end());
  return bands;
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
  const Table& catalogue = before.table("catalogue", "catalogue");
  plan.schema.tables.push_back(
      final_catalogue_schema(catalogue, before.table("frames", "frames").get<std::string>("band")));
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
  if (!config.calibrates()) {
    return plan;
  }
  const Field field = field_from_product(config, before);
  const Table gaia = surveys::read_gaia(config.inputs.gaiaxp_synphot_csv, field.bands);
  surveys::require_zero_point_columns(gaia, config.inputs.gaiaxp_synphot_csv);
  for (const std::string& band : calibrated_bands(before, gaia)) {
    plan.add("band/" + band, 1.0);
  }
  for (std::size_t first = 0; first < catalogue.rows(); first += kBlockRows) {
    plan.add(fmt::format("rows/{:09d}", first),
             static_cast<double>(std::min(kBlockRows, catalogue.rows() - first)));
  }
  return plan;
}

}  // namespace skyloom::photometry
