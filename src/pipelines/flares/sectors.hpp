#pragma once
// The light curves of a run.

#include <cstddef>

#include "pipelines/flares/config.hpp"
#include "skyloom/surveys/light_curve_list.hpp"

namespace skyloom::flares {

/// Those that the configuration selects and that are in its share, looked for once. There may be
/// none in a share, and in a run that only joins others. @throws ConfigError as find_sectors()
const surveys::FoundSectors& found_sectors(const Config& config);

/// Whether a share has a light curve: by a hash of star and sector, so that no other file matters.
bool is_in_share(const surveys::SectorFile& file, const Config::Share& share);

}  // namespace skyloom::flares
