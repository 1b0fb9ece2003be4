#include "run_summary.hpp"

#include <algorithm>
#include <numeric>

#include "skyloom/engine/publish.hpp"

namespace skyloom::engine {
namespace {

double mean(const std::vector<double>& values) {
  return values.empty() ? 0.0
                        : std::accumulate(values.begin(), values.end(), 0.0) /
                              static_cast<double>(values.size());
}

double largest(const std::vector<double>& values) {
  return values.empty() ? 0.0 : *std::max_element(values.begin(), values.end());
}

}  // namespace

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

void take_outcome(const StageOutcome& outcome, StageRecord& record) {
  record.units = outcome.units;
  record.failed = outcome.failed;
  record.recovered = outcome.recovered;
  record.elapsed_s = outcome.elapsed_s;
  record.idle_mean = mean(outcome.idle_fraction);
  record.idle_max = largest(outcome.idle_fraction);
  record.idle_of_rank = outcome.idle_fraction;
}

}  // namespace skyloom::engine
