#include "pipelines/flares/stored.hpp"

namespace skyloom::flares {

std::vector<StoredSector> stored_sectors(const engine::Products& products) {
  // Read for itself: what every rank keeps of every sector should be little.
  const engine::Products reading(products.directory());
  const Table& table = reading.table("detect", "sectors");
  const auto& tic = table.get<std::int64_t>("tic");
  const auto& number = table.get<std::int32_t>("sector");
  const auto count = [&](const char* name, std::size_t row) {
    return static_cast<std::size_t>(table.get<std::int32_t>(name)[row]);
  };
  const auto value = [&](const char* name, std::size_t row) {
    return table.get<double>(name)[row];
  };
  std::vector<StoredSector> out;
  std::size_t first_cadence = 0;
  std::size_t first_flare = 0;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    StoredSector sector;
    sector.row = row;
    sector.tic = tic[row];
    sector.sector = number[row];
    sector.key = std::to_string(sector.tic) + "/" + std::to_string(sector.sector);
    sector.first_cadence = first_cadence;
    sector.cadences = count("n_cadences", row);
    sector.predicted = count("n_predicted", row);
    sector.first_flare = first_flare;
    sector.flares = count("n_flares", row);
    sector.teff_k = value("teff", row);
    sector.radius = value("radius", row);
    sector.cadence_d = value("cadence", row);
    sector.gap_threshold_d = value("gap_threshold", row);
    sector.span_d = value("t_last", row) - value("t_first", row);
    sector.median_flux = value("median_flux", row);
    sector.median_flux_err = value("median_flux_err", row);
    first_cadence += sector.cadences;
    first_flare += sector.flares;
    out.push_back(std::move(sector));
  }
  return out;
}

std::size_t stored_cadences(const std::vector<StoredSector>& sectors) {
  return sectors.empty() ? 0 : sectors.back().first_cadence + sectors.back().cadences;
}

StoredLightCurve stored_light_curve(const engine::Products& products, const StoredSector& sector) {
  const auto read = [&]<class T>(const char* column, T /*type*/) {
    return products.range<T>("detect", std::string("lc/") + column, sector.first_cadence,
                             sector.cadences);
  };
  const auto numbers = [&](const char* column) {
    const std::vector<float> values = read(column, float{});
    return std::vector<double>(values.begin(), values.end());
  };
  StoredLightCurve out;
  out.time = read("time", double{});
  out.flux = numbers("flux");
  out.flux_err = numbers("flux_err");
  out.probability = numbers("flare_prob");
  out.predicted = read("predicted", std::uint8_t{});
  out.flare = read("flare_mask", std::uint8_t{});
  for (std::size_t j = 0; j + 1 < out.time.size(); ++j) {
    if (out.time[j + 1] - out.time[j] >= sector.gap_threshold_d) {
      out.gaps.push_back(static_cast<int>(j));
    }
  }
  return out;
}

}  // namespace skyloom::flares
