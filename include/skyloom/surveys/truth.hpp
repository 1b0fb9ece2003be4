#pragma once
// The table of true values that a simulated survey writes beside its images.

#include <string>

#include "skyloom/core/table.hpp"

namespace skyloom::surveys {

/// Columns ID, RA, DEC, x, y, TYPE, FLUX_<band>, ...; ID as text. @throws ConfigError naming the
/// file
Table read_truth(const std::string& path);

}  // namespace skyloom::surveys
