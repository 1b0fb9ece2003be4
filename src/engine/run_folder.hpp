#pragma once
// Private to the engine: what a run finds in its directory that is not its own, what it leaves
// there at its start, and what --fresh removes. Rank 0 only.

#include <filesystem>
#include <vector>

#include "skyloom/core/config.hpp"
#include "skyloom/engine/manifest.hpp"
#include "skyloom/engine/pipeline.hpp"
#include "skyloom/engine/pipeline_run.hpp"

#include "restart.hpp"

namespace skyloom::engine {

/// A directory without a manifest may be anybody's: nothing in it may be overwritten.
/// @throws ConfigError naming what a run would write over
void refuse_foreign_files(const Pipeline& pipeline, const Stages& stages,
                          const std::filesystem::path& run_directory);

/// Copies of the configuration carry a time in their names: what a killed attempt left of one is
/// not written over.
void remove_cut_off_copies(const std::filesystem::path& directory);

/// Removes a stage's journal, and its folder when nothing else is in it.
void remove_journal(const std::filesystem::path& folder);

/// Removes what skyloom wrote of these stages, and everything that was derived from them.
void remove_stages(const Pipeline& pipeline, const Stages& stages,
                   const std::vector<std::size_t>& selected,
                   const std::filesystem::path& run_directory);

/// The effective configuration and a copy of the file, and the folder of the logs.
/// @throws FatalError
void write_config_copies(const ConfigSpec& spec, const RunOptions& options);

/// What the manifest keeps of an attempt that begins now.
Attempt attempt_of(const RunOptions& options, int ranks);

/// Attributes of /provenance. @param description of a stage, whose inputs are listed, or null
NamedTexts provenance_of(const Pipeline& pipeline, const ConfigSpec& spec,
                         const RunOptions& options, int ranks, const StageDescription* description);

}  // namespace skyloom::engine
