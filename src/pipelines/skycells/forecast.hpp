#pragma once
// What a run will need, for a dry run.

#include <vector>

#include "pipelines/skycells/config.hpp"
#include "skyloom/engine/pipeline.hpp"

namespace skyloom::skycells {

/// @throws ConfigError as found_survey()
std::vector<engine::StageForecast> forecast(const Config& config);

}  // namespace skyloom::skycells
