#include <csignal>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "skyloom/core/config.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/core/log.hpp"
#include "skyloom/engine/manifest.hpp"
#include "skyloom/engine/pipeline_run.hpp"
#include "skyloom/engine/publish.hpp"
#include "skyloom/engine/status.hpp"
#include "skyloom/engine/unit_status.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/hdf5.hpp"

#include "commands.hpp"

namespace skyloom::app {
namespace {

namespace fs = std::filesystem;

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void make_folder(const fs::path& folder) {
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) {
    throw ConfigError(folder.string(), "cannot be created", problem.message());
  }
}

void declare_all(engine::Pipeline& pipeline, ConfigSpec& spec, engine::RunSettings& settings) {
  pipeline.declare(spec);
  engine::declare_run(spec, settings, pipeline);
}

engine::Manifest manifest_of(const fs::path& directory) {
  const auto manifest = engine::read_manifest(directory);
  if (!manifest) {
    throw ConfigError(directory.string(), "no run directory",
                      "expected a folder with manifest.json");
  }
  return *manifest;
}

std::string default_table(const io::Hdf5File& file) {
  std::string names;
  std::optional<std::string> only;
  std::size_t count = 0;
  for (const std::string& name : file.tables()) {
    names += (names.empty() ? "" : ", ") + name;
    if (name != "units") {
      only = name;
      ++count;
    }
  }
  if (count != 1) {
    throw ConfigError(file.path(), "holds several tables", "choose with --table: " + names);
  }
  return *only;
}

volatile std::sig_atomic_t interrupted = 0;

extern "C" void note_interrupt(int) {
  interrupted = 1;
}

/// Redraws in place on a terminal; elsewhere one status follows the other.
void watch_status(const fs::path& directory) {
  constexpr int kEvery_ms = 2000;
  struct sigaction action = {};
  action.sa_handler = note_interrupt;  // without SA_RESTART: it ends the wait
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  const char* const clear = ::isatty(STDOUT_FILENO) == 1 ? "\x1b[H\x1b[2J" : "";
  while (interrupted == 0) {
    const engine::RunStatus status = engine::read_status(directory);
    print(clear + engine::status_text(status));
    std::fflush(stdout);
    if (status.state == "complete") {
      return;
    }
    ::poll(nullptr, 0, kEvery_ms);
  }
}

}  // namespace

void simulate_command(const CommandLine& line, const PipelineEntry& entry) {
  const fs::path folder = line.out;
  const fs::path config = folder / (std::string(entry.name) + ".toml");
  std::error_code ignored;
  if (fs::exists(config, ignored)) {
    throw ConfigError(config.string(), "exists already", "choose another folder with --out");
  }
  make_folder(folder);
  entry.make()->simulate({folder, line.size, line.seed});
  print("Survey written to " + folder.string() + "\nnext: mpirun -n 2 skyloom " +
        std::string(entry.name) + " run " + config.string() + "\n");
}

void config_command(const CommandLine& line, const PipelineEntry& entry) {
  const auto pipeline = entry.make();
  ConfigSpec spec;
  engine::RunSettings settings;
  declare_all(*pipeline, spec, settings);
  const std::string name(entry.name);
  const std::string text = line.markdown ? spec.markdown("Configuration of " + name)
                                         : "# Configuration of skyloom " + name +
                                               ": every key with its default.\n" + spec.toml();
  if (line.out.empty()) {
    print(text);
    return;
  }
  const fs::path path = line.out;
  std::error_code ignored;
  if (fs::exists(path, ignored)) {
    throw ConfigError(path.string(), "exists already", "a new file name");
  }
  if (path.has_parent_path()) {
    make_folder(path.parent_path());
  }
  io::write_atomically(path, text);
}

void status_command(const CommandLine& line) {
  if (line.watch) {
    watch_status(line.target);
    return;
  }
  if (line.units) {
    print(engine::object_status_text(engine::read_object_status(line.target), line.pattern));
    return;
  }
  const engine::RunStatus status = engine::read_status(line.target);
  print(line.json ? engine::status_json(status) : engine::status_text(status));
}

void report_command(const CommandLine& line, std::span<const PipelineEntry> pipelines) {
  const fs::path directory = line.target;
  const engine::Manifest manifest = manifest_of(directory);
  const auto pipeline = find_pipeline(pipelines, manifest.pipeline).make();
  ConfigSpec spec;
  engine::RunSettings settings;
  declare_all(*pipeline, spec, settings);
  const fs::path config = directory / "config.toml";
  const fs::path base = fs::path(engine::config_file_of(manifest, directory)).parent_path();
  spec.apply(io::read_toml(config), config.string(), base.string());
  pipeline->check();
  const engine::Products products(directory);
  for (const std::string& stage : manifest.stage_order) {
    if (!products.has(stage)) {
      throw ConfigError(directory.string(), "stage " + stage + " is not finished",
                        "see 'skyloom status'");
    }
  }
  Log log(0);
  const std::string html = engine::drawn_report(*pipeline, products, {line.cutouts}, log);
  print(engine::write_report(html, products).string() + "\n");
}

void export_command(const CommandLine& line, std::span<const PipelineEntry> pipelines) {
  fs::path path = line.target;
  std::string name = line.table;
  if (fs::is_directory(path)) {
    const engine::Manifest manifest = manifest_of(path);
    path /= manifest.pipeline + ".h5";
    const auto published = find_pipeline(pipelines, manifest.pipeline).make()->published();
    if (name.empty() && !published.empty()) {
      name = published.front().as;
    }
  }
  const io::Hdf5File file(path);
  if (name.empty()) {
    name = default_table(file);
  }
  if (!file.has_table(name)) {
    std::string names;
    for (const std::string& table : file.tables()) {
      names += (names.empty() ? "" : ", ") + table;
    }
    throw ConfigError(path.string(), "has no table " + name, "one of " + names);
  }
  io::write_table(line.out, file.read_table(name), line.format);
}

}  // namespace skyloom::app
