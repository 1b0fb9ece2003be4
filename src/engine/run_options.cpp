#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/log.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/engine/pipeline_run.hpp"

namespace skyloom::engine {

namespace fs = std::filesystem;

void declare_run(ConfigSpec& spec, RunSettings& settings, Pipeline& pipeline) {
  std::vector<std::string> stages;
  for (const auto& stage : pipeline.stages()) {
    stages.emplace_back(stage->name());
  }
  settings.max_failed_fraction = pipeline.max_failed_fraction();
  spec.table("run", "How the run goes, for every pipeline.");
  spec.add("run.seed", &settings.seed,
           {.help = "seed of all random numbers", .min = 0, .stages = stages});
  spec.add(
      "run.time_limit_s", &settings.time_limit_s,
      {.help = "stop when the units in work are done after this time with exit status 75, to be "
               "continued by the same command; 0 = job.signal_lead_s before the batch job "
               "ends, outside jobs no limit",
       .unit = "s",
       .min = 0});
  spec.add("run.max_failed_fraction", &settings.max_failed_fraction,
           {.help = "largest fraction of the units of a stage that may fail before the run ends "
                    "with exit status 3",
            .min = 0,
            .max = 1});
  spec.add(
      "run.shard", &settings.shard,
      {.help = "\"i/N\", i from 1 to N: only this share of the fields, sectors or targets, for "
               "job arrays; every share needs a run directory of its own"});
  declare_job(spec, settings.job);
  spec.table("logging", "What is logged, for every pipeline.");
  spec.add("logging.level", &settings.log_level,
           {.help = "least level printed and written",
            .choices = {"DEBUG", "INFO", "WARNING", "ERROR"}});
  spec.add("logging.file", &settings.log_file,
           {.help = "log of the command, relative to the run directory; auto = "
                    "logs/<command>.log; empty = terminal only"});
  spec.add("logging.format", &settings.log_format,
           {.help = "lines of that file: any of %(asctime)s, %(name)s, %(levelname)s and "
                    "%(message)s"});
  spec.ignore("logging.ignore_warnings", "there are no warnings of Python libraries to hide");
}

int Pipeline::use_tool(std::string_view name, const ToolOptions& /*options*/) const {
  throw ConfigError(std::string(this->name()) + " " + std::string(name), "no such command",
                    "see --help");
}

bool Pipeline::take_share(std::size_t /*index*/, std::size_t /*count*/) {
  throw ConfigError("run.shard", std::string(name()) + " cannot be cut into shares",
                    "expected it empty");
}

void apply_shard(Pipeline& pipeline, RunSettings& settings) {
  if (settings.shard.empty()) {
    return;
  }
  const std::size_t slash = settings.shard.find('/');
  const double index = to_number(settings.shard.substr(0, slash));
  const double count =
      slash == std::string::npos ? 0.0 : to_number(settings.shard.substr(slash + 1));
  if (!(count >= 1.0 && index >= 1.0 && index <= count && index == std::floor(index) &&
        count == std::floor(count) && count < 1e9)) {
    throw ConfigError("run.shard", "value \"" + settings.shard + "\" is not allowed",
                      "expected \"i/N\" with i from 1 to N");
  }
  if (pipeline.take_share(static_cast<std::size_t>(index) - 1, static_cast<std::size_t>(count))) {
    settings.shard.clear();
  }
}

LogLevel log_level_of(const RunSettings& settings) {
  const std::string& name = settings.log_level;
  return name == "DEBUG"     ? LogLevel::debug
         : name == "WARNING" ? LogLevel::warning
         : name == "ERROR"   ? LogLevel::error
                             : LogLevel::info;
}

fs::path command_log_of(const RunSettings& settings, const fs::path& run_directory,
                        const std::string& command) {
  if (settings.log_file.empty()) {
    return {};
  }
  return run_directory /
         (settings.log_file == "auto" ? "logs/" + command + ".log" : settings.log_file);
}

fs::path run_directory_of(const Pipeline& pipeline, const fs::path& config_file,
                          const fs::path& out) {
  const fs::path file = fs::absolute(config_file);
  fs::path directory = out;
  if (directory.empty()) {
    directory = pipeline.run_directory();
    if (!directory.empty() && directory.is_relative()) {
      directory = file.parent_path() / directory;
    }
  }
  if (directory.empty()) {
    directory = file;
    directory.replace_extension(".run");
  }
  const std::string text = fs::absolute(directory).lexically_normal().string();
  return text.size() > 1 && text.back() == '/' ? text.substr(0, text.size() - 1) : text;
}

}  // namespace skyloom::engine
