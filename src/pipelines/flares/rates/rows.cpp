#include "pipelines/flares/rates/rows.hpp"

#include <cmath>

namespace skyloom::flares {
namespace {

using Columns = std::vector<Column>;

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

void append_counts(Table& table, std::int64_t tic, const char* quantity, const Counts& counts) {
  for (int bin = 0; bin < counts.bins.count; ++bin) {
    const auto b = static_cast<std::size_t>(bin);
    if (counts.trials[b] == 0) {
      continue;
    }
    const std::size_t row = table.add_row();
    table.set(row, "tic", tic);
    table.set(row, "quantity", quantity);
    table.set(row, "low", std::pow(10.0, counts.bins.edge(bin)));
    table.set(row, "high", std::pow(10.0, counts.bins.edge(bin + 1)));
    set_fraction(table, row, counts.recovered[b], counts.trials[b]);
  }
}

}  // namespace

std::vector<Column> with(std::vector<Column> columns, const std::vector<Column>& more) {
  columns.insert(columns.end(), more.begin(), more.end());
  return columns;
}

std::vector<Column> completeness_columns() {
  return {{"n_injected", Type::int64, "", "injections"},
          {"n_recovered", Type::int64, "", "of these, recovered"},
          {"completeness", Type::float64, "", "recovered fraction"},
          {"completeness_err", Type::float64, "", "its binomial error, not zero at 0 and 1"}};
}

TableSchema combined_schema(const std::string& name, const Column& first) {
  Columns columns = with(
      {first}, {{"n_sectors", Type::int32, "", "sectors"},
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

TableSchema ffd_schema() {
  return {"ffd", with({kStar}, point_columns())};
}

TableSchema completeness_schema() {
  return {"completeness",
          with({kStar,
                {"quantity", Type::text, "",
                 "amplitude, duration (d), equivalent_duration (s) or energy (erg)"},
                {"low", Type::float64, "", "lower edge of the bin"},
                {"high", Type::float64, "", "upper edge"}},
               completeness_columns())};
}

TableSchema completeness_map_schema() {
  return {"completeness_map", with({kStar,
                                    {"amp_low", Type::float64, "", "lower edge in amplitude"},
                                    {"amp_high", Type::float64, "", "upper edge"},
                                    {"fwhm_low", Type::float64, "d", "lower edge in duration"},
                                    {"fwhm_high", Type::float64, "d", "upper edge"}},
                                   completeness_columns())};
}

void set_fraction(Table& table, std::size_t row, std::int64_t recovered, std::int64_t trials) {
  table.set(row, "n_injected", trials);
  table.set(row, "n_recovered", recovered);
  table.set(row, "completeness",
            trials > 0 ? static_cast<double>(recovered) / static_cast<double>(trials)
                       : std::numeric_limits<double>::quiet_NaN());
  table.set(row, "completeness_err", fraction_error(recovered, trials));
}

void append_completeness(engine::Rows& rows, std::int64_t tic, const Completeness& completeness) {
  Table& table = rows.table("completeness");
  append_counts(table, tic, "amplitude", completeness.amplitude);
  append_counts(table, tic, "duration", completeness.duration);
  append_counts(table, tic, "equivalent_duration", completeness.equivalent_duration);
  append_counts(table, tic, "energy", completeness.energy);
  Table& map = rows.table("completeness_map");
  const CountMap& counts = completeness.map;
  for (int a = 0; a < counts.amplitude.count; ++a) {
    for (int d = 0; d < counts.duration.count; ++d) {
      const auto at = static_cast<std::size_t>(a * counts.duration.count + d);
      if (counts.trials[at] == 0) {
        continue;
      }
      const std::size_t row = map.add_row();
      map.set(row, "tic", tic);
      map.set(row, "amp_low", std::pow(10.0, counts.amplitude.edge(a)));
      map.set(row, "amp_high", std::pow(10.0, counts.amplitude.edge(a + 1)));
      map.set(row, "fwhm_low", std::pow(10.0, counts.duration.edge(d)));
      map.set(row, "fwhm_high", std::pow(10.0, counts.duration.edge(d + 1)));
      set_fraction(map, row, counts.recovered[at], counts.trials[at]);
    }
  }
}

void append_points(Table& table, std::int64_t tic, std::span<const FrequencyPoint> points) {
  for (std::size_t k = 0; k < points.size(); ++k) {
    const FrequencyPoint& point = points[k];
    const std::size_t row = table.add_row();
    table.set(row, "tic", tic);
    table.set(row, "number", static_cast<std::int64_t>(k + 1));
    table.set(row, "log10_ed", point.log10_ed);
    table.set(row, "log10_ed_err", point.log10_ed_error);
    table.set(row, "log10_rate", point.log10_rate);
    table.set(row, "log10_rate_err", point.log10_rate_error);
    table.set(row, "log10_corrected", point.log10_corrected);
  }
}

void set_combined(Table& table, std::size_t row, const CombinedRates& rates, std::size_t sectors) {
  table.set(row, "n_sectors", static_cast<std::int64_t>(sectors));
  table.set(row, "duration", rates.days);
  table.set(row, "n_flares", rates.flares);
  table.set(row, "kappa", rates.curve.steepness);
  table.set(row, "x0", rates.curve.middle);
  table.set(row, "ceiling", rates.curve.ceiling);
  table.set(row, "log10_ed50", rates.log10_ed50);
  table.set(row, "flare_luminosity_fraction", rates.luminosity_fraction);
  table.set(row, "slope", rates.law.slope);
  table.set(row, "slope_err", rates.law.slope_error);
  table.set(row, "intercept", rates.law.intercept);
  table.set(row, "intercept_err", rates.law.intercept_error);
  table.set(row, "n_points", rates.law.points);
  table.set(row, "ml_slope", rates.likelihood.slope);
  table.set(row, "ml_slope_err", rates.likelihood.slope_error);
  table.set(row, "ml_intercept", rates.likelihood.log10_rate);
  table.set(row, "ml_flares", rates.likelihood.flares);
}

}  // namespace skyloom::flares
