#pragma once
// The report of a photometry run, from its products: what was measured, how well, and the pictures
// a person checks first.

#include "pipelines/photometry/config.hpp"
#include "skyloom/engine/pipeline.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/web/report.hpp"

namespace skyloom::photometry {

/// A figure that cannot be drawn is a line of the report and one of Report::problems.
/// @throws ConfigError for a source of `options` that the catalogue does not have
web::Report report(const Config& config, const engine::Products& products,
                   const engine::ReportOptions& options);

}  // namespace skyloom::photometry
