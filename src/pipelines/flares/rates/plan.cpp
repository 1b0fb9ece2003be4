#include "pipelines/flares/rates/stage.hpp"

namespace skyloom::flares {
namespace {

using Columns = std::vector<Column>;

const Column kStar{"tic", Type::int64, "", "TESS Input Catalog number; 0 = the whole sample"};

Columns with(Columns columns, const Columns& more) {
  columns.insert(columns.end(), more.begin(), more.end());
  return columns;
}

Columns completeness_columns() {
  return {{"n_injected", Type::int64, "", "injections"},
          {"n_recovered", Type::int64, "", "of these, recovered"},
          {"completeness", Type::float64, "", "recovered fraction"},
          {"completeness_err", Type::float64, "", "its binomial error, not zero at 0 and 1"}};
}

Columns curve_columns(const std::string& prefix, const char* x, const char* unit) {
  return {{prefix + "_kappa", Type::float64, unit,
           std::string("steepness of the logistic curve of completeness in ") + x},
          {prefix + "_x0", Type::float64, prefix == "log" ? "" : "s", "its middle"},
          {prefix + "_ceiling", Type::float64, "", "its ceiling"},
          {prefix + "_converged", Type::boolean, "", "it was fitted"}};
}

Columns law_columns() {
  return {{"slope", Type::float64, "",
           "a of log10 rate = -a log10 ED + b through the corrected cumulative points"},
          {"slope_err", Type::float64, "", "its error, as if points were independent"},
          {"intercept", Type::float64, "", "b, log10 of the rate above 1 s per day"},
          {"intercept_err", Type::float64, "", "its error"},
          {"n_points", Type::int32, "", "points above log10_ed50"},
          {"ml_slope", Type::float64, "", "a by maximum likelihood, free of that correlation"},
          {"ml_slope_err", Type::float64, "", "its error"},
          {"ml_intercept", Type::float64, "", "log10 of the rate above 1 s per day and star"},
          {"ml_flares", Type::int32, "", "flares above the limits of their sectors"}};
}

Columns point_columns() {
  return {{"number", Type::int32, "", "flares at least as large"},
          {"log10_ed", Type::float64, "", "log10 of the equivalent duration in s"},
          {"log10_ed_err", Type::float64, "",
           "its error from length and signal-to-noise ratio (Vollmann & Eversberg 2006)"},
          {"log10_rate", Type::float64, "", "log10 of the flares at least as large per day"},
          {"log10_rate_err", Type::float64, "", "its Poisson error (Gehrels 1986)"},
          {"log10_corrected", Type::float64, "",
           "the same divided by completeness; NaN up to log10_ed50"}};
}

TableSchema sector_schema() {
  Columns columns{kStar,
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

TableSchema combined_schema(const std::string& name, const Columns& first) {
  Columns columns = with(
      first, {{"n_sectors", Type::int32, "", "sectors"},
              {"duration", Type::float64, "d", "time that rates refer to"},
              {"n_flares", Type::int32, "", "flares found"},
              {"kappa", Type::float64, "", "steepness of the completeness curve that corrects"},
              {"x0", Type::float64, "", "its middle"},
              {"ceiling", Type::float64, "", "its ceiling"},
              {"log10_ed50", Type::float64, "",
               "log10 of the equivalent duration in s of completeness 0.5; NaN = none"},
              {"flare_luminosity_fraction", Type::float64, "",
               "sum of equivalent durations over the duration"}});
  return {name, with(columns, law_columns())};
}

}  // namespace

engine::Plan RatesStage::plan(const Config& config, const engine::Products& before) {
  const RatedRuns runs(config, before);
  engine::Plan plan;
  plan.schema.tables = {
      sector_schema(),
      combined_schema("star_rates", {kStar}),
      combined_schema("sample_rates", {{"n_stars", Type::int32, "", "stars"}}),
      {"ffd", with({kStar}, point_columns())},
      {"completeness", with({kStar,
                             {"quantity", Type::text, "",
                              "amplitude, duration (d), equivalent_duration (s) or energy (erg)"},
                             {"low", Type::float64, "", "lower edge of the bin"},
                             {"high", Type::float64, "", "upper edge"}},
                            completeness_columns())},
      {"completeness_map", with({kStar,
                                 {"amp_low", Type::float64, "", "lower edge in amplitude"},
                                 {"amp_high", Type::float64, "", "upper edge"},
                                 {"fwhm_low", Type::float64, "d", "lower edge in duration"},
                                 {"fwhm_high", Type::float64, "d", "upper edge"}},
                                completeness_columns())},
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
        {"converged", Type::boolean, "", "it was fitted"}}}};
  for (const auto& [first, last] : runs.stars()) {
    plan.add("star/" + std::to_string(runs.sectors()[first].stored.tic),
             static_cast<double>(last - first));
  }
  if (!runs.stars().empty()) {
    plan.add("sample", static_cast<double>(runs.sectors().size()));
  }
  return plan;
}

}  // namespace skyloom::flares
