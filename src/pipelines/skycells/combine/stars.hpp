#pragma once
// Stars of Gaia that the treatment of saturated ones needs, and the table of those it removed.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/skycells/combine/kernel_saturation.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/surveys/gaia.hpp"
#include "skyloom/surveys/skycell.hpp"

namespace skyloom::skycells {

/// Stars whose place is in a cell or at most `margin_pix` outside of it, in their order.
std::vector<CatalogueStar> stars_near(std::span<const surveys::GaiaStar> stars,
                                      const surveys::Skycell& cell, int margin_pix);

/// /removed_stars: one row per star or segment without one.
TableSchema removed_schema();
void append_removed(std::span<const RemovedStar> removed, const std::string& cell, Table& table);

}  // namespace skyloom::skycells
