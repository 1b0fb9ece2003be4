#pragma once
// The keys of the patch fit and its PSFs: [patch_run], [moffat_psf] and [merge].

#include "pipelines/photometry/config.hpp"

namespace skyloom::photometry {

void declare_fit(ConfigSpec& spec, Config& config);

}  // namespace skyloom::photometry
