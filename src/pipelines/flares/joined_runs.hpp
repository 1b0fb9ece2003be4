#pragma once
// The runs that inputs.runs names: rates may only be made from sectors that were searched alike.

#include <string>
#include <vector>

#include "pipelines/flares/config.hpp"

namespace skyloom::flares {

/// Refuses runs that are not finished, parts of which were redone without the others, or that were
/// made with other networks or other keys of the stages up to `inject` than this one.
/// @param networks SHA-256 of the networks of this run, in order
/// @throws ConfigError naming the run and the key, file or stage
void require_same_search(const Config& config, const std::vector<std::string>& networks);

}  // namespace skyloom::flares
