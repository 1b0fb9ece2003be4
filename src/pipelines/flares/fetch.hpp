#pragma once
// The commands fetch-list and fetch: light curves of the target list from a server into a folder.

#include <string_view>
#include <vector>

#include "pipelines/flares/config.hpp"
#include "skyloom/engine/pipeline.hpp"

namespace skyloom::flares {

/// Declares the table [fetch].
void declare_fetch(ConfigSpec& spec, Config& config);

std::vector<engine::Tool> fetch_tools();

/// Does "fetch-list" (a download script for options.out or standard output) or "fetch" (the
/// download into inputs.cache_dir). @return exit status: some files failed = kExitManyFailed, a
/// signal came =
///   kExitStopped @throws ConfigError without inputs.targets or inputs.cache_dir
int use_fetch_tool(const Config& config, std::string_view name, const engine::ToolOptions& options);

}  // namespace skyloom::flares
