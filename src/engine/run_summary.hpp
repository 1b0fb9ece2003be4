#pragma once
// What a run tells its user before it begins (a dry run) and after its end. Rank 0 only.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "restart.hpp"

namespace skyloom::engine {

/// Units, work and arrays of the first stage, and what else would run.
/// @param first plan of the first stage; absent when that is not selected
void print_dry_run(const Stages& stages, const std::vector<std::size_t>& selected,
                   const std::optional<Plan>& first, const RunOptions& options, Log& log);

/// Logs the failed units of finished stages.
/// @return kExitManyFailed when a larger fraction of a stage failed than is allowed, else
///   kExitComplete
int report_failures(const Products& products, const std::vector<std::string>& names,
                    double max_failed_fraction, Log& log);

}  // namespace skyloom::engine
