#include <cmath>

#include "pipelines/flares/rates/stage.hpp"

namespace skyloom::flares {
namespace {

void set_fraction(Table& table, std::size_t row, std::int64_t recovered, std::int64_t trials) {
  table.set(row, "n_injected", trials);
  table.set(row, "n_recovered", recovered);
  table.set(row, "completeness",
            trials > 0 ? static_cast<double>(recovered) / static_cast<double>(trials)
                       : std::numeric_limits<double>::quiet_NaN());
  table.set(row, "completeness_err", fraction_error(recovered, trials));
}

void set_curve(Table& table, std::size_t row, const std::string& prefix,
               const CompletenessCurve& curve) {
  table.set(row, prefix + "_kappa", curve.steepness);
  table.set(row, prefix + "_x0", curve.middle);
  table.set(row, prefix + "_ceiling", curve.ceiling);
  table.set(row, prefix + "_converged", curve.converged);
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

void append_sector(Table& table, const SectorRates& sector) {
  const std::size_t row = table.add_row();
  table.set(row, "tic", sector.tic);
  table.set(row, "sector", sector.sector);
  table.set(row, "duration", sector.days);
  table.set(row, "n_flares", sector.flares);
  table.set(row, "n_above", sector.above_limit);
  set_fraction(table, row, sector.recovered, sector.trials);
  set_curve(table, row, "linear", sector.linear);
  set_curve(table, row, "log", sector.logarithmic);
  table.set(row, "log10_ed50", sector.log10_ed50);
  table.set(row, "flare_luminosity_fraction", sector.luminosity_fraction);
  table.set(row, "beta", sector.law.intercept);
  table.set(row, "beta_err", sector.law.intercept_error);
}

}  // namespace

void RatesStage::append(const Config& /*config*/, const Result& result, engine::Rows& rows) {
  if (result.sample) {
    Table& table = rows.table("sample_rates");
    const std::size_t row = table.add_row();
    table.set(row, "n_stars", static_cast<std::int64_t>(result.sample->stars()));
    set_combined(table, row, result.rates, result.sample->sectors());
    append_points(rows.table("ffd"), 0, result.rates.points);
    append_completeness(rows, 0, result.sample->completeness());
    return;
  }
  const StarSearch& star = *result.star;
  const std::int64_t tic = star.sectors().front().tic;
  for (const SectorRates& sector : star.sectors()) {
    append_sector(rows.table("sector_rates"), sector);
  }
  Table& table = rows.table("star_rates");
  const std::size_t row = table.add_row();
  table.set(row, "tic", tic);
  set_combined(table, row, result.rates, star.sectors().size());
  append_points(rows.table("ffd"), tic, result.rates.points);
  append_completeness(rows, tic, star.completeness());
  const CompletenessSurface surface = star.surface();
  Table& surfaces = rows.table("completeness_surface");
  const std::size_t at = surfaces.add_row();
  surfaces.set(at, "tic", tic);
  surfaces.set(at, "amp_centre", surface.amplitude_centre);
  surfaces.set(at, "fwhm_centre", surface.duration_centre);
  surfaces.set(at, "coefficients", std::span<const double>(surface.coefficients));
  surfaces.set(at, "converged", surface.converged);
}

}  // namespace skyloom::flares
