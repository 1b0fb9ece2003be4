#include <cstdio>
#include <filesystem>
#include <string>

#include "skyloom/core/config.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/engine/pipeline_run.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/parallel/comm.hpp"

#include "commands.hpp"

namespace skyloom::app {

int tool_command(const CommandLine& line, const PipelineEntry& entry) {
  const std::filesystem::path file = std::filesystem::absolute(line.target).lexically_normal();
  ConfigValue document = io::read_toml(file);
  for (const std::string& assignment : line.assignments) {
    io::set_toml(document, assignment);
  }
  const auto pipeline = entry.make();
  ConfigSpec spec;
  engine::RunSettings settings;
  pipeline->declare(spec);
  engine::declare_run(spec, settings, *pipeline);
  spec.apply(document, file.string(), file.parent_path().string());
  pipeline->check();
  parallel::catch_stop_signals();
  engine::ToolOptions options;
  options.out = line.out;
  options.run_directory = engine::run_directory_of(*pipeline, file, {});
  options.stop = &parallel::stop_signalled;
  options.print = [](const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  };
  return pipeline->use_tool(line.tool, options);
}

}  // namespace skyloom::app
