#include "pipelines/flares/rates/rows.hpp"
#include "pipelines/flares/rates/stage.hpp"

namespace skyloom::flares {
namespace {

void set_curve(Table& table, std::size_t row, const std::string& prefix,
               const CompletenessCurve& curve) {
  table.set(row, prefix + "_kappa", curve.steepness);
  table.set(row, prefix + "_x0", curve.middle);
  table.set(row, prefix + "_ceiling", curve.ceiling);
  table.set(row, prefix + "_converged", curve.converged);
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

/// After the other rows of the star, which it counts.
void append_part(std::int64_t tic, const StarPart& part, engine::Rows& rows) {
  Table& parts = rows.table("parts");
  const std::size_t row = parts.add_row();
  parts.set(row, "tic", tic);
  parts.set(row, "ffd_rows", static_cast<std::int64_t>(rows.table("ffd").rows()));
  parts.set(row, "completeness_rows", static_cast<std::int64_t>(rows.table("completeness").rows()));
  parts.set(row, "map_rows", static_cast<std::int64_t>(rows.table("completeness_map").rows()));
  parts.set(row, "exposure", std::span<const double>(part.exposure.days));
  Table& events = rows.table("events");
  for (const FlareEvent& flare : part.flares) {
    const std::size_t event = events.add_row();
    events.set(event, "tic", tic);
    events.set(event, "equivalent_duration", flare.equivalent_duration_s);
    events.set(event, "equivalent_duration_err", flare.equivalent_duration_error_s);
    events.set(event, "above_limit", flare.above_limit);
  }
}

}  // namespace

void RatesStage::append(const Config& /*config*/, const Result& result, engine::Rows& rows) {
  const StarSearch& star = result.star;
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
  append_part(tic, star.part(), rows);
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
