#include <string>

#include "pipelines/flares/detect/stage.hpp"
#include "pipelines/flares/flare_table.hpp"
#include "pipelines/flares/joined_runs.hpp"
#include "pipelines/flares/sectors.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::flares {
namespace {

TableSchema network_schema() {
  return {"networks",
          {{"file", Type::text, "", "name of the weight file"},
           {"sha256", Type::text, "", "checksum of its bytes"},
           {"taps", Type::int32, "", "taps of its first kernel"},
           {"recipe", Type::text, "", "how the ensemble was trained, empty when not told"},
           {"threshold", Type::float64, "",
            "the only probability with a meaning of its own; NaN = any"}}};
}

TableSchema sector_schema() {
  return {"sectors",
          {{"tic", Type::int64, "", "TESS Input Catalog number"},
           {"sector", Type::int32, "", "TESS sector"},
           {"camera", Type::int32, "", "camera, 0 = not told"},
           {"ccd", Type::int32, "", "CCD of the camera, 0 = not told"},
           {"ra", Type::float64, "deg", "right ascension"},
           {"dec", Type::float64, "deg", "declination"},
           {"tmag", Type::float64, "mag", "TESS magnitude"},
           {"teff", Type::float64, "K", "effective temperature"},
           {"radius", Type::float64, "solRad", "radius of the star"},
           {"source", Type::text, "", "name of the light curve's file"},
           {"n_rows", Type::int32, "", "rows of the file"},
           {"n_cadences", Type::int32, "", "kept cadences: rows of /lc"},
           {"n_predicted", Type::int32, "", "cadences with a window of the networks"},
           {"n_gaps", Type::int32, "", "gaps that no window spans"},
           {"n_flares", Type::int32, "", "rows of /flares"},
           {"t_first", Type::float64, "d", "BTJD of the first kept cadence"},
           {"t_last", Type::float64, "d", "BTJD of the last kept cadence"},
           {"cadence", Type::float64, "d", "median step of time"},
           {"gap_threshold", Type::float64, "d", "steps at least as long are gaps"},
           {"median_flux", Type::float64, "electron/s", "median flux of the kept cadences"},
           {"median_flux_err", Type::float64, "electron/s", "median of its positive errors"}}};
}

TableSchema light_curve_schema(const surveys::NetworkEnsemble& ensemble) {
  std::string meaning = "combined flare probability of the networks; NaN = no window";
  if (ensemble.threshold == ensemble.threshold) {
    meaning += "; not comparable between stars: only its side of " + shortest(ensemble.threshold) +
               " has a meaning";
  }
  return {"lc",
          {{"time", Type::float64, "d", "BTJD = BJD (TDB) - 2457000"},
           {"flux", Type::float32, "electron/s", "PDCSAP flux"},
           {"flux_err", Type::float32, "electron/s", "its error, NaN = unknown"},
           {"cadenceno", Type::int32, "", "CADENCENO, -1 = not told"},
           {"flare_prob", Type::float32, "", meaning},
           {"predicted", Type::boolean, "", "the networks have a window here"},
           {"flare_mask", Type::boolean, "", "in a flare"}}};
}

}  // namespace

std::vector<std::string> DetectStage::inputs(const Config& config) {
  const surveys::NetworkEnsemble ensemble = surveys::find_ensemble(config.network.models);
  std::vector<std::string> files = ensemble.files;
  if (!ensemble.description.empty()) {
    files.push_back(ensemble.description);
  }
  for (const surveys::SectorFile& file : found_sectors(config).files) {
    files.push_back(file.path);
  }
  return files;
}

engine::Plan DetectStage::plan(const Config& config, const engine::Products& /*before*/) {
  const surveys::NetworkEnsemble ensemble = surveys::find_ensemble(config.network.models);
  std::vector<std::string> networks;
  for (const surveys::NetworkFile& file : surveys::read_ensemble(ensemble)) {
    networks.push_back(file.sha256);
  }
  require_same_search(config, networks);  // as a wrong network: found before any work
  engine::Plan plan;
  plan.schema.tables = {network_schema(), sector_schema(), light_curve_schema(ensemble),
                        flare_schema("the median")};
  plan.add("networks", 0.0);
  for (const surveys::SectorFile& file : found_sectors(config).files) {
    plan.add(file.key(), 1.0, file.path);
  }
  return plan;
}

}  // namespace skyloom::flares
