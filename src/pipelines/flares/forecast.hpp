#pragma once
// What the stages will need, before they can be planned.

#include <vector>

#include "pipelines/flares/config.hpp"
#include "skyloom/engine/pipeline.hpp"

namespace skyloom::flares {

/// @throws ConfigError as find_sectors()
std::vector<engine::StageForecast> forecast(const Config& config);

}  // namespace skyloom::flares
