#pragma once
// What the user typed, as a value. Parsing has no effects.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "registry.hpp"

namespace skyloom::app {

enum class Action { run, simulate, config, status, report, export_table, job, tool };

struct CommandLine {
  Action action = Action::run;
  std::string pipeline;
  std::string stage;   ///< of a stage command; empty = all stages
  std::string tool;    ///< command of a pipeline that is no stage
  std::string target;  ///< configuration, run directory or file
  std::string out;
  std::vector<std::string> assignments;  ///< of --set
  bool dry_run = false;
  bool fresh = false;
  bool retry_failed = false;
  bool accept_new_code = false;
  std::string size = "small";
  std::uint64_t seed = 1;
  bool markdown = false;
  bool json = false;
  bool watch = false;
  bool units = false;         ///< of status
  std::string pattern = "*";  ///< of its units
  std::string format;
  std::string table;
  std::vector<std::string> cutouts;  ///< of report
  std::string batch;                 ///< slurm | pbs
};

struct Parsed {
  std::optional<CommandLine> command;  ///< absent when a text was asked for
  std::string text;                    ///< help or version, for standard output
};

/// @param arguments without the program's name
/// @throws ConfigError for wrong usage, naming what is nearest to an unknown word
Parsed parse_command_line(const std::vector<std::string>& arguments,
                          std::span<const PipelineEntry> pipelines);

/// The command that a user would type again for this run: absolute paths, quoted for the shell.
std::string spelled(const CommandLine& command, const std::string& config, const std::string& out);

}  // namespace skyloom::app
