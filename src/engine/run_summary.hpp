#pragma once
// What a run tells its user after its end. Rank 0 only.

#include <string>
#include <vector>

#include "skyloom/core/log.hpp"
#include "skyloom/engine/manifest.hpp"
#include "skyloom/engine/pipeline_run.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/engine/run.hpp"

namespace skyloom::engine {

/// Logs the failed units of finished stages.
/// @return kExitManyFailed when a larger fraction of a stage failed than is allowed, else
///   kExitComplete
int report_failures(const Products& products, const std::vector<std::string>& names,
                    double max_failed_fraction, Log& log);

/// Counts and times of the last attempt.
void take_outcome(const StageOutcome& outcome, StageRecord& record);

}  // namespace skyloom::engine
