#pragma once
// The report of a photometry run, from its products: what was measured, how well, and the pictures
// a person checks first.

#include "pipelines/photometry/config.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/web/report.hpp"

namespace skyloom::photometry {

web::Report report(const Config& config, const engine::Products& products);

/// Section about the effective PSFs: how good, growth curves, stamps and residuals.
web::Section epsf_section(const engine::Products& products);

/// Section that compares the catalogue with a simulation's truth; no blocks when there is none.
web::Section truth_section(const Config& config, const engine::Products& products);

/// Section with the zero points of all bands and the stars behind them.
web::Section zero_point_section(const Config& config, const engine::Products& products);

}  // namespace skyloom::photometry
