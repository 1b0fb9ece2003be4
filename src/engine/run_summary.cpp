#include "run_summary.hpp"

#include <algorithm>

#include "skyloom/engine/publish.hpp"

namespace skyloom::engine {

void print_dry_run(const Stages& stages, const std::vector<std::size_t>& selected,
                   const std::optional<Plan>& first, const RunOptions& options, Log& log) {
  log.info("run directory: {}", options.run_directory.string());
  for (const std::size_t i : selected) {
    const std::string name(stages[i]->name());
    if (i != 0) {
      log.info("stage {}: planned when its predecessors are finished", name);
      continue;
    }
    double cost = 0.0;
    double highest = 0.0;
    for (const Unit& unit : first->units) {
      cost += unit.cost;
      highest = std::max(highest, unit.cost);
    }
    std::size_t columns = 0;
    for (const TableSchema& table : first->schema.tables) {
      columns += table.columns.size();
    }
    double slab_bytes = 0.0;
    for (const SlabArray& slab : first->schema.slabs) {
      double bytes = static_cast<double>(size_of(slab.type));
      for (const std::size_t extent : slab.shape) {
        bytes *= static_cast<double>(extent);
      }
      slab_bytes += bytes;
    }
    log.info(
        "stage {}: {} units, the largest {:.1f}% of the work; {} tables with {} columns, "
        "arrays of {:.1f} MB",
        name, first->units.size(), cost > 0 ? 100 * highest / cost : 0.0,
        first->schema.tables.size(), columns, slab_bytes / 1e6);
  }
  log.info("dry run: everything was checked, nothing was written");
}

int report_failures(const Products& products, const std::vector<std::string>& names,
                    double max_failed_fraction, Log& log) {
  constexpr std::size_t kShown = 10;
  bool too_many = false;
  std::size_t failed = 0;
  std::vector<std::string> shown;
  for (const std::string& name : names) {
    const UnitCounts counts = unit_counts(products, name);
    failed += counts.failed;
    shown.insert(shown.end(), counts.failures.begin(), counts.failures.end());
    too_many = too_many || static_cast<double>(counts.failed) >
                               max_failed_fraction * static_cast<double>(counts.units);
  }
  if (failed == 0) {
    return kExitComplete;
  }
  shown.resize(std::min(shown.size(), kShown));
  log.warning("{} unit{} failed{}", failed, failed == 1 ? "" : "s",
              failed > shown.size() ? "; the first of them:" : ":");
  for (const std::string& line : shown) {
    log.info("  {}", line);
  }
  if (too_many) {
    log.warning("more than run.max_failed_fraction = {} allows; --retry-failed runs them again",
                max_failed_fraction);
  }
  return too_many ? kExitManyFailed : kExitComplete;
}

}  // namespace skyloom::engine
