#pragma once
// The commands, one function each. They throw ConfigError for wrong usage and FatalError for broken
// promises; only `program` decides the exit status.

#include <span>

#include "skyloom/core/log.hpp"
#include "skyloom/parallel/comm.hpp"

#include "command_line.hpp"
#include "registry.hpp"

namespace skyloom::app {

/// Collective. Exit status of the run.
int run_command(const parallel::Comm& comm, const CommandLine& line, const PipelineEntry& entry,
                Log& log);

// One process.
void simulate_command(const CommandLine& line, const PipelineEntry& entry);
void config_command(const CommandLine& line, const PipelineEntry& entry);
void status_command(const CommandLine& line);
void report_command(const CommandLine& line, std::span<const PipelineEntry> pipelines);
void export_command(const CommandLine& line, std::span<const PipelineEntry> pipelines);
/// Exit status of the pipeline's tool.
int tool_command(const CommandLine& line, const PipelineEntry& entry);
void job_command(const CommandLine& line, std::span<const PipelineEntry> pipelines);

}  // namespace skyloom::app
