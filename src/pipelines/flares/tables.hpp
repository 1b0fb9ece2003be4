#pragma once
// Tables of flares.h5 and of the exports that are made from several products.

#include <string>
#include <vector>

#include "skyloom/core/table.hpp"
#include "skyloom/engine/products.hpp"

namespace skyloom::flares {

/// /sectors with the place of every sector in /lc.
Table sectors_with_places(const engine::Products& products);

/// The flares of all sectors: above the Gaussian process, or, where it failed, above the median.
Table all_flares(const engine::Products& products);

/// The units that failed, of all stages: star and sector ("" where a unit has none), phase (stage),
/// code (reason) and message.
Table failed_units(const std::vector<std::string>& stages, const engine::Products& products);

}  // namespace skyloom::flares
