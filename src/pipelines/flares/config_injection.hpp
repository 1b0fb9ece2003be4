#pragma once
// The keys of injection and recovery, and of the rates.

#include "pipelines/flares/config.hpp"

namespace skyloom::flares {

void declare_injection(ConfigSpec& spec, Config& config);

}  // namespace skyloom::flares
