#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "skyloom/core/config.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/engine/pipeline_run.hpp"
#include "skyloom/io/files.hpp"

#include "commands.hpp"

namespace skyloom::app {
namespace {

namespace fs = std::filesystem;

/// A configuration as one pipeline reads it.
struct Reading {
  std::unique_ptr<engine::Pipeline> pipeline;
  engine::RunSettings settings;

  Reading(const PipelineEntry& entry, const ConfigValue& document, const fs::path& file)
      : pipeline(entry.make()) {
    ConfigSpec spec;
    pipeline->declare(spec);
    engine::declare_run(spec, settings, *pipeline);
    spec.apply(document, file.string(), file.parent_path().string());
    pipeline->check();
  }
};

/// The file does not name its pipeline: it is the one whose keys it has. That of its name is tried
/// first, and its complaint is passed on when no other takes the file.
std::unique_ptr<Reading> read_as_its_pipeline(const ConfigValue& document, const fs::path& file,
                                              std::span<const PipelineEntry> pipelines) {
  std::vector<const PipelineEntry*> order;
  for (const PipelineEntry& entry : pipelines) {
    order.insert(entry.name == file.stem() ? order.begin() : order.end(), &entry);
  }
  std::string complaint;
  for (const PipelineEntry* entry : order) {
    try {
      return std::make_unique<Reading>(*entry, document, file);
    } catch (const ConfigError& error) {
      complaint = complaint.empty() ? error.what() : complaint;
    }
  }
  throw ConfigError({}, complaint);
}

std::string this_program() {
  std::error_code problem;
  const fs::path path = fs::read_symlink("/proc/self/exe", problem);
  return problem ? "skyloom" : path.string();
}

}  // namespace

void job_command(const CommandLine& line, std::span<const PipelineEntry> pipelines) {
  const fs::path file = fs::absolute(line.target).lexically_normal();
  ConfigValue document = io::read_toml(file);
  for (const std::string& assignment : line.assignments) {
    io::set_toml(document, assignment);
  }
  const std::unique_ptr<Reading> reading = read_as_its_pipeline(document, file, pipelines);
  const engine::RunSettings& settings = reading->settings;
  const auto shares = static_cast<std::size_t>(settings.job.shares);
  if (shares > 1 && !settings.shard.empty()) {
    throw ConfigError("run.shard", "is set, and job.shares too", "expected one of them");
  }
  engine::JobTask task;
  task.pipeline = reading->pipeline->name();
  task.program = this_program();
  task.config_file = file;
  task.run_directory = engine::run_directory_of(*reading->pipeline, file, {});
  task.assignments = line.assignments;
  task.script = line.out.empty() ? fs::path() : fs::absolute(line.out).lexically_normal();
  if (shares > 1) {
    reading->pipeline->take_share(shares - 1, shares);  // refuses more shares than there are fields
  }
  const auto batch = line.batch == "pbs" ? engine::Batch::pbs : engine::Batch::slurm;
  const std::string script = engine::render_job(batch, settings.job, task);
  if (task.script.empty()) {
    std::fwrite(script.data(), 1, script.size(), stdout);
    return;
  }
  io::write_atomically(task.script, script);
  std::printf("%s\n", engine::submit_command(batch, settings.job, task).c_str());
}

}  // namespace skyloom::app
