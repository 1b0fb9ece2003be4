#pragma once
// The light curves of a run.

#include <cstddef>

#include "pipelines/flares/config.hpp"
#include "skyloom/surveys/light_curve_list.hpp"

namespace skyloom::flares {

/// Those that the configuration selects, looked for once. @throws ConfigError as find_sectors()
const surveys::FoundSectors& found_sectors(const Config& config);

/// Leaves of the configured light curves the ones numbered index, index + count, ...
/// @throws ConfigError when that is none
void take_share_of_sectors(Config& config, std::size_t index, std::size_t count);

}  // namespace skyloom::flares
