#include "pipelines/flares/flare_table.hpp"
#include "pipelines/flares/gp/stage.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::flares {
namespace {

TableSchema model_schema(const Config& config) {
  TableSchema schema{
      "models",
      {{"tic", Type::int64, "", "TESS Input Catalog number"},
       {"sector", Type::int32, "", "TESS sector"},
       {"neg_log_like", Type::float64, "", "-ln L at the optimum"},
       {"objective", Type::float64, "",
        "the same with half the squared deviations from the priors"},
       {"constant", Type::float64, "", "constant mean of flux / median - 1"},
       {"iterations", Type::int32, "", "of the last search on all cadences"},
       {"evaluations", Type::int32, "", "of the likelihood with its gradient, all searches"},
       {"converged", Type::boolean, "", "the last search met its tolerance"},
       {"n_used", Type::int32, "", "cadences that the model is conditioned on"},
       {"n_clipped", Type::int32, "", "quiet cadences left out as outliers"},
       {"period_ls", Type::float64, "d", "highest peak of the periodogram"},
       {"power_ls", Type::float64, "", "its power, 1 = all of the variance"},
       {"false_alarm", Type::float64, "", "probability that white noise has such a peak"}}};
  for (const std::string& name : parameter_columns(config)) {
    const bool time = name.find("period") != std::string::npos ||
                      name.find("rho") != std::string::npos ||
                      name.find("tau") != std::string::npos;
    schema.columns.push_back({name, Type::float64, "",
                              std::string("parameter of the covariance") +
                                  (time ? ", time in days" : "") + "; of flux / median - 1"});
  }
  return schema;
}

}  // namespace

std::vector<std::string> parameter_columns(const Config& config) {
  const auto names = numerics::parameter_names(config.gp_options().family);
  return {names.begin(), names.end()};
}

engine::Plan GpStage::plan(const Config& config, const engine::Products& before) {
  const std::vector<StoredSector> sectors = stored_sectors(before);
  engine::Plan plan;
  plan.schema.tables = {model_schema(config), flare_schema("the Gaussian process")};
  if (!sectors.empty()) {
    const std::vector<std::size_t> shape{stored_cadences(sectors)};
    plan.schema.slabs = {
        {"lc/gp_mu", Type::float64, shape, "electron/s",
         "mean of the Gaussian process, aligned with /lc of detect"},
        {"lc/gp_var", Type::float64, shape, "electron**2/s**2",
         "its variance without the noise of the data, aligned with /lc of detect"}};
  }
  for (const StoredSector& sector : sectors) {
    plan.add(sector.key, static_cast<double>(sector.cadences));
  }
  return plan;
}

}  // namespace skyloom::flares
