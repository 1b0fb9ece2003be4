#include "pipelines/skycells/report.hpp"

#include <algorithm>

#include "pipelines/skycells/tables.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::skycells {

web::Report report(const Config& config, const engine::Products& products,
                   const engine::ReportOptions& options) {
  if (!options.cutouts.empty()) {
    throw ConfigError("--cutouts", "skycells has no cut-outs", "no such option");
  }
  const Table cells = cell_table(config, products);
  const auto& status = cells.get<std::string>("status");
  web::Report out;
  out.title = "Skycells";
  out.subtitle = "Combined, padded and convolved";
  out.facts = {{"cells", std::to_string(cells.rows())},
               {"failed", std::to_string(std::count(status.begin(), status.end(), "failed"))}};
  return out;
}

}  // namespace skyloom::skycells
