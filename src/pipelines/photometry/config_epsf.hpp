#pragma once
// The keys of [epsf].

#include "pipelines/photometry/config.hpp"

namespace skyloom::photometry {

void declare_epsf(ConfigSpec& spec, Config& config);

}  // namespace skyloom::photometry
