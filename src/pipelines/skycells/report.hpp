#pragma once
// The report of a skycells run, from its products.

#include "pipelines/skycells/config.hpp"
#include "skyloom/engine/pipeline.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/web/report.hpp"

namespace skyloom::skycells {

/// A figure that cannot be drawn is a line of the report and one of Report::problems.
/// @throws ConfigError for options that cannot be met
web::Report report(const Config& config, const engine::Products& products,
                   const engine::ReportOptions& options);

}  // namespace skyloom::skycells
