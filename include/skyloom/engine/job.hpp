#pragma once
// Batch jobs: the [job] table of every configuration, and the script for Slurm or PBS rendered from
// it. The templates, jobs/slurm/job.sh and jobs/pbs/job.sh, are part of the program.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skyloom/core/config.hpp"

namespace skyloom::engine {

/// The [job] table of every configuration. No result depends on it.
struct JobSettings {
  std::string name;
  std::string account;
  std::string partition;
  std::string qos;
  int nodes = 1;
  int ranks_per_node = 0;
  double memory_per_rank_gb = 0.0;
  double walltime_h = 4.0;
  double signal_lead_s = 180.0;
  int max_restarts = 50;
  int shares = 1;
  int shares_at_once = 0;
  std::string after;
  std::vector<std::string> modules;
  std::vector<std::string> setup;
  std::string container;
  std::vector<std::string> container_options;
  std::string program;
  std::string launcher;
  std::vector<std::string> directives;
};

/// Declares [job].
void declare_job(ConfigSpec& spec, JobSettings& settings);

/// Seconds of work in one job; nullopt when job.walltime_h leaves too little beside
/// job.signal_lead_s.
std::optional<double> seconds_per_job(const JobSettings& settings);

enum class Batch { slurm, pbs };

/// What the job does, besides what [job] says. Paths are absolute.
struct JobTask {
  std::string pipeline;
  std::string program;  ///< path of skyloom, used unless [job] names another or a container
  std::filesystem::path config_file;
  std::filesystem::path run_directory;   ///< with several shares every share has its own
  std::vector<std::string> assignments;  ///< of --set, handed on to the run
  std::filesystem::path script;          ///< where the script will stand; "" = not known
};

/// The script, ready to submit.
/// @throws ConfigError for a missing or contradictory key of [job], for a path that a batch
///   directive cannot hold, and for a PBS script without a known place: it submits itself again
std::string render_job(Batch batch, const JobSettings& settings, const JobTask& task);

/// The command that submits it. PBS arrays and dependencies stand there and not in the script,
/// because its successors have neither.
std::string submit_command(Batch batch, const JobSettings& settings, const JobTask& task);

/// `text` as one word for a POSIX shell, quoted where that is needed.
std::string shell_word(std::string_view text);

/// A template filled in: `{{name}}` becomes its value. A line with a name whose value is empty is
/// left out. @throws FatalError for a name without value
std::string fill_template(std::string_view text,
                          const std::vector<std::pair<std::string, std::string>>& values);

}  // namespace skyloom::engine
