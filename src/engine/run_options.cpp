#include <filesystem>
#include <string>
#include <vector>

#include "skyloom/engine/pipeline_run.hpp"

namespace skyloom::engine {

namespace fs = std::filesystem;

void declare_run(ConfigSpec& spec, RunSettings& settings, const std::vector<std::string>& stages) {
  spec.table("run", "How the run goes, for every pipeline.");
  spec.add("run.seed", &settings.seed,
           {.help = "seed of all random numbers", .min = 0, .stages = stages});
  spec.add("run.time_limit_s", &settings.time_limit_s,
           {.help = "stop at the next unit border after this time with exit status 75, to be "
                    "continued by the same command; 0 = no limit",
            .unit = "s",
            .min = 0});
  spec.add("run.max_failed_fraction", &settings.max_failed_fraction,
           {.help = "largest fraction of the units of a stage that may fail before the run ends "
                    "with exit status 3",
            .min = 0,
            .max = 1});
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
