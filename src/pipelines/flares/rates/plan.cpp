#include "pipelines/flares/joined_runs.hpp"
#include "pipelines/flares/rates/rows.hpp"
#include "pipelines/flares/rates/stage.hpp"

namespace skyloom::flares {
namespace {

std::vector<Column> curve_columns(const std::string& prefix, const char* x, const char* unit) {
  return {{prefix + "_kappa", Type::float64, unit,
           std::string("steepness of the logistic curve of completeness in ") + x},
          {prefix + "_x0", Type::float64, prefix == "log" ? "" : "s", "its middle"},
          {prefix + "_ceiling", Type::float64, "", "its ceiling"},
          {prefix + "_converged", Type::boolean, "", "it was fitted"}};
}

/// What stage `sample` goes on from, beside completeness and rates.
TableSchema parts_schema() {
  return {"parts",
          {kStar,
           {"ffd_rows", Type::int32, "", "rows of /ffd"},
           {"completeness_rows", Type::int32, "", "rows of /completeness"},
           {"map_rows", Type::int32, "", "rows of /completeness_map"},
           {"exposure",
            Type::float64,
            "d",
            "duration times completeness in bins of equivalent duration (0.05 dex from 0.001 s), "
            "above log10_ed50 of every sector",
            {static_cast<std::size_t>(kEquivalentDurationBins.count)}}}};
}

TableSchema events_schema() {
  return {"events",
          {kStar,
           {"equivalent_duration", Type::float64, "s", "of a flare, in order of sectors"},
           {"equivalent_duration_err", Type::float64, "s",
            "its error from length and signal-to-noise ratio (Vollmann & Eversberg 2006)"},
           {"above_limit", Type::boolean, "", "above log10_ed50 of its sector"}}};
}

TableSchema sector_schema() {
  std::vector<Column> columns{
      kStar,
      {"sector", Type::int32, "", "TESS sector"},
      {"duration", Type::float64, "d", "time that rates refer to (rates.duration)"},
      {"n_flares", Type::int32, "", "flares found"},
      {"n_above", Type::int32, "", "of these, above log10_ed50"}};
  columns = with(columns, completeness_columns());
  columns = with(columns, curve_columns("linear", "equivalent duration", "1/s"));
  columns = with(columns, curve_columns("log", "log10 of the equivalent duration in s", ""));
  return {"sector_rates",
          with(columns, {{"log10_ed50", Type::float64, "",
                          "log10 of the equivalent duration in s of completeness 0.5; NaN = none"},
                         {"flare_luminosity_fraction", Type::float64, "",
                          "sum of equivalent durations over the duration"},
                         {"beta", Type::float64, "", "intercept with the slope of the star"},
                         {"beta_err", Type::float64, "", "its error"}})};
}

}  // namespace

engine::Plan RatesStage::plan(const Config& config, const engine::Products& before) {
  require_same_search(config, before.table("detect", "networks").get<std::string>("sha256"));
  const RatedRuns runs(config, before);
  engine::Plan plan;
  plan.schema.tables = {
      sector_schema(),
      combined_schema("star_rates", kStar),
      ffd_schema(),
      completeness_schema(),
      completeness_map_schema(),
      {"completeness_surface",
       {kStar,
        {"amp_centre", Type::float64, "", "amplitude whose logarithm is subtracted"},
        {"fwhm_centre", Type::float64, "d", "duration whose logarithm is subtracted"},
        {"coefficients",
         Type::float64,
         "",
         "of 1, a, d, a^2, a d, d^2 in the logit of the completeness, a = ln(amp / amp_centre), d "
         "= "
         "ln(fwhm / fwhm_centre)",
         {6}},
        {"converged", Type::boolean, "", "it was fitted"}}},
      parts_schema(),
      events_schema()};
  for (const auto& [first, last] : runs.stars()) {
    plan.add("star/" + std::to_string(runs.sectors()[first].stored.tic),
             static_cast<double>(last - first));
  }
  return plan;
}

}  // namespace skyloom::flares
