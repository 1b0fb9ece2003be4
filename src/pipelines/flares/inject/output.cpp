#include <algorithm>

#include "pipelines/flares/inject/stage.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/numerics/robust.hpp"

namespace skyloom::flares {
namespace {

constexpr double kSecondsPerDay = 86400.0;

double quiet_median(const StoredLightCurve& curve) {
  std::vector<double> quiet;
  for (std::size_t i = 0; i < curve.flux.size(); ++i) {
    if (curve.flare[i] == 0) {
      quiet.push_back(curve.flux[i]);
    }
  }
  if (quiet.empty()) {
    throw UnitError(Reason::no_good_data, "all cadences are in flares");
  }
  return numerics::median(quiet);
}

/// The columns that both tables have.
void name_rows(const InjectStage::Result& result, Table& table) {
  const auto count = result.outcome.flares.size();
  table.add_rows(count);
  std::fill_n(table.get<std::int64_t>("tic").begin(), count, result.sector.tic);
  std::fill_n(table.get<std::int32_t>("sector").begin(), count, result.sector.sector);
  for (std::size_t k = 0; k < count; ++k) {
    table.get<std::int32_t>("flare")[k] = result.block.first + static_cast<int>(k);
  }
}

}  // namespace

InjectStage::Result InjectStage::compute(const Config& config, const Input& input, const Rng& rng) {
  QuietSector& quiet = *input.quiet;
  const StoredLightCurve& curve = quiet.curve;
  const StoredSector& sector = quiet.sector;
  if (!quiet.trials) {
    quiet.windows = find_windows(curve.time, curve.flux, config.gap_rule());
    const QuietCurve seen{curve.time, curve.flux, &quiet.windows, quiet_median(curve)};
    quiet.trials = std::make_unique<Trials<float>>(input.networks, seen, config.trial_rule());
  }
  const StarScale star{sector.median_flux_err / sector.median_flux, sector.teff_k,
                       band_luminosity(sector.teff_k, sector.radius)};
  Result result;
  result.sector = sector;
  result.block = input.block;
  result.time = curve.time;
  result.outcome = inject(*quiet.trials, curve.flare, config.flare_sample(), star, input.block,
                          config.injection.simultaneous, rng);
  return result;
}

void InjectStage::append(const Config& config, const Result& result, engine::Rows& rows) {
  const BlockOutcome& outcome = result.outcome;
  Table& injections = rows.table("injections");
  name_rows(result, injections);
  for (std::size_t k = 0; k < outcome.flares.size(); ++k) {
    const InjectedFlare& flare = outcome.flares[k];
    injections.get<double>("amp")[k] = flare.amplitude;
    injections.get<double>("fwhm")[k] = flare.duration_d;
    injections.get<double>("equivalent_duration")[k] =
        kSecondsPerDay * flare_area(config.flare_template()) * flare.amplitude * flare.duration_d;
  }
  injections.get<std::int32_t>("index") = outcome.cadence;
  std::transform(
      outcome.cadence.begin(), outcome.cadence.end(), injections.get<double>("time").begin(),
      [&](std::int32_t cadence) { return result.time[static_cast<std::size_t>(cadence)]; });
  Table& recoveries = rows.table("recoveries");
  name_rows(result, recoveries);
  recoveries.get<std::uint8_t>("recovered") = outcome.recovered;
  const auto repeats = static_cast<std::size_t>(result.block.repeats);
  for (std::size_t k = 0; k < outcome.flares.size(); ++k) {
    const auto first = outcome.recovered.begin() + static_cast<std::ptrdiff_t>(k * repeats);
    recoveries.get<double>("completeness")[k] =
        static_cast<double>(std::count(first, first + static_cast<std::ptrdiff_t>(repeats), 1)) /
        static_cast<double>(repeats);
  }
  Table& blocks = rows.table("blocks");
  const std::size_t row = blocks.add_row();
  blocks.set(row, "tic", result.sector.tic);
  blocks.set(row, "sector", result.sector.sector);
  blocks.set(row, "first", result.block.first);
  blocks.set(row, "flares", result.block.count);
  blocks.set(row, "repeats", result.block.repeats);
  blocks.set(row, "n_inject", config.injection.n_inject);
}

}  // namespace skyloom::flares
