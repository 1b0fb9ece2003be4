#pragma once
// A whole run: validate everything, lock and describe the run directory, run the stages that are
// not finished, publish. docs/run-directory.md tells the rules of restarting.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "skyloom/core/config.hpp"
#include "skyloom/core/log.hpp"
#include "skyloom/engine/job.hpp"
#include "skyloom/engine/pipeline.hpp"
#include "skyloom/parallel/comm.hpp"

namespace skyloom::engine {

/// Exit statuses of a run (docs/run-directory.md). A fatal error ends with 70 by way of main.
inline constexpr int kExitComplete = 0;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitManyFailed = 3;
inline constexpr int kExitFatal = 70;
inline constexpr int kExitStopped = 75;

/// The tables [run], [job] and [logging] of every configuration.
struct RunSettings {
  std::int64_t seed = 1;
  double time_limit_s = 0.0;
  double max_failed_fraction = 0.0;
  std::string shard;
  std::string log_level = "INFO";
  std::string log_file = "auto";
  std::string log_format = "%(asctime)s %(levelname)s %(message)s";
  JobSettings job;
};

/// Declares [run], [job] and [logging] for a pipeline.
void declare_run(ConfigSpec& spec, RunSettings& settings, Pipeline& pipeline);

/// Lets the pipeline keep the share that run.shard names, and clears the key where the
/// configuration now says by itself what is done. @throws ConfigError
void apply_shard(Pipeline& pipeline, RunSettings& settings);

LogLevel log_level_of(const RunSettings& settings);

/// Log file of a command; empty = none.
std::filesystem::path command_log_of(const RunSettings& settings,
                                     const std::filesystem::path& run_directory,
                                     const std::string& command);

struct RunOptions {
  std::filesystem::path config_file;
  std::filesystem::path run_directory;  ///< see run_directory_of
  std::string stage;                    ///< only this stage; empty = all
  std::string command;                  ///< what the user typed, for the manifest
  bool fresh = false;                   ///< forget what the run directory holds of these stages
  bool retry_failed = false;            ///< run failed units again
  bool accept_new_code = false;         ///< go on although another version computed a part
  bool dry_run = false;                 ///< validate and print, write nothing
  bool live_progress = false;           ///< standard error is a terminal
  std::size_t terminal_width = 80;
  RunSettings settings;
};

/// Where a run keeps everything: `out`, else what the configuration names, else NAME.run beside
/// NAME.toml. Absolute.
std::filesystem::path run_directory_of(const Pipeline& pipeline,
                                       const std::filesystem::path& config_file,
                                       const std::filesystem::path& out);

/// Collective. The configuration must have been applied on every rank.
/// @return an exit status: 0, 3 or 75
/// @throws ConfigError (on every rank) before anything was written, FatalError for broken promises
int run_pipeline(const parallel::Comm& comm, Pipeline& pipeline, const ConfigSpec& spec,
                 const RunOptions& options, Log& log);

}  // namespace skyloom::engine
