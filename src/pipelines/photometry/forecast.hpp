#pragma once
// What a run of photometry will need, from headers and catalogues alone: for dry runs.

#include <vector>

#include "pipelines/photometry/config.hpp"
#include "skyloom/engine/pipeline.hpp"

namespace skyloom::photometry {

/// One entry per stage; times, memory and sizes come from the measurements in
/// docs/pipelines/photometry.md ("What a run costs"). Stars that the stage `frames` adds from Gaia
/// are not counted. @throws ConfigError for wrong inputs
std::vector<engine::StageForecast> forecast(const Config& config);

}  // namespace skyloom::photometry
