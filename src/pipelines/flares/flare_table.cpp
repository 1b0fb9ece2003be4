#include "pipelines/flares/flare_table.hpp"

#include <limits>
#include <string>

namespace skyloom::flares {

TableSchema flare_schema(const char* level) {
  const std::string excess = std::string("flux above ") + level + " over the median flux";
  return {"flares",
          {{"tic", Type::int64, "", "TESS Input Catalog number"},
           {"sector", Type::int32, "", "TESS sector"},
           {"flare", Type::int32, "", "number of the flare in its sector, from 0"},
           {"start", Type::int32, "", "first cadence, from 0 among the kept ones"},
           {"stop", Type::int32, "", "last cadence, inside the flare"},
           {"peak", Type::int32, "", "cadence of the largest excess"},
           {"t_start", Type::float64, "d", "BTJD of the first cadence"},
           {"t_stop", Type::float64, "d", "BTJD of the last cadence"},
           {"t_peak", Type::float64, "d", "BTJD of the peak"},
           {"amplitude", Type::float64, "", "at the peak: " + excess},
           {"equivalent_duration", Type::float64, "s",
            "integral from 3 cadences before to 9 after the flare: " + excess},
           {"equivalent_duration_err", Type::float64, "s", "its error from the flux errors"},
           {"prob_max", Type::float64, "", "largest flare_prob in the flare"},
           {"log10_energy", Type::float64, "",
            "log10 of the energy in erg that stars of its class have at this amplitude; NaN "
            "without a temperature or above 6000 K"},
           {"log10_energy_scatter", Type::float64, "", "scatter of that relation"}}};
}

void append_flares(const FlareStar& star, std::span<const Flare> flares, Table& table) {
  const auto relation = energy_relation(star.teff_k);
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t i = 0; i < flares.size(); ++i) {
    const Flare& flare = flares[i];
    const std::size_t row = table.add_row();
    table.set(row, "tic", star.tic);
    table.set(row, "sector", star.sector);
    table.set(row, "flare", static_cast<std::int64_t>(i));
    table.set(row, "start", flare.block.start);
    table.set(row, "stop", flare.block.stop);
    table.set(row, "peak", flare.peak);
    table.set(row, "t_start", flare.t_start);
    table.set(row, "t_stop", flare.t_stop);
    table.set(row, "t_peak", flare.t_peak);
    table.set(row, "amplitude", flare.amplitude);
    table.set(row, "equivalent_duration", flare.equivalent_duration_s);
    table.set(row, "equivalent_duration_err", flare.equivalent_duration_error_s);
    table.set(row, "prob_max", flare.probability_max);
    table.set(row, "log10_energy", relation ? log10_energy(*relation, flare.amplitude) : kNone);
    table.set(row, "log10_energy_scatter", relation ? relation->scatter : kNone);
  }
}

}  // namespace skyloom::flares
