#include "pipelines/flares/report.hpp"

#include <set>

#include "pipelines/flares/stored.hpp"

namespace skyloom::flares {

web::Report report(const Config& /*config*/, const engine::Products& products,
                   const engine::ReportOptions& /*options*/) {
  const std::vector<StoredSector> sectors = stored_sectors(products);
  std::set<std::int64_t> stars;
  std::size_t flares = 0;
  for (const StoredSector& sector : sectors) {
    stars.insert(sector.tic);
    flares += sector.flares;
  }
  web::Report out;
  out.title = "Flares";
  out.subtitle = "Flares of sector light curves";
  out.facts = {{"stars", std::to_string(stars.size())},
               {"sectors", std::to_string(sectors.size())},
               {"flares", std::to_string(flares)}};
  return out;
}

}  // namespace skyloom::flares
