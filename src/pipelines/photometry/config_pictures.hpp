#pragma once
// The keys that concern pictures of the report.

#include "pipelines/photometry/config.hpp"

namespace skyloom::photometry {

/// White images and saved files: the keys of [crop] that concern pictures, and [plotting].
void declare_pictures(ConfigSpec& spec, Config& config);

/// Cut-outs of sources: keys of [patch_run].
void declare_cutouts(ConfigSpec& spec, Config& config);

/// @throws ConfigError for percentiles in the wrong order
void check_pictures(const Config& config);

}  // namespace skyloom::photometry
