#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "skyloom/core/config.hpp"
#include "skyloom/engine/pipeline_run.hpp"
#include "skyloom/io/files.hpp"

#include "commands.hpp"

namespace skyloom::app {
namespace {

namespace fs = std::filesystem;

struct Terminal {
  bool present = false;
  std::size_t width = 80;
};

std::size_t width_of(int descriptor) {
  winsize size{};
  const bool known = ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

/// mpirun hands out pipes for standard error and copies them to its own, which therefore decides.
Terminal terminal_of_stderr() {
  if (::isatty(STDERR_FILENO) == 1) {
    return {true, width_of(STDERR_FILENO)};
  }
  if (std::getenv("OMPI_COMM_WORLD_RANK") == nullptr) {
    return {};
  }
  std::error_code problem;
  const fs::path target =
      fs::read_symlink("/proc/" + std::to_string(::getppid()) + "/fd/2", problem);
  if (problem || !target.string().starts_with("/dev/pts/")) {
    return {};
  }
  const int descriptor = ::open(target.c_str(), O_RDONLY | O_NOCTTY | O_CLOEXEC);
  if (descriptor < 0) {
    return {};
  }
  const Terminal terminal{true, width_of(descriptor)};
  ::close(descriptor);
  return terminal;
}

/// Read on rank 0 only: thousands of ranks opening one file at once hurt a shared file system, and
/// all must see the same text.
void load_config(const parallel::Comm& comm, ConfigSpec& spec, engine::Pipeline& pipeline,
                 engine::RunSettings& settings, const fs::path& file,
                 const std::vector<std::string>& assignments) {
  const std::string base = file.parent_path().string();
  std::string effective;
  parallel::on_root(comm, [&] {
    ConfigValue document = io::read_toml(file);
    for (const std::string& assignment : assignments) {
      io::set_toml(document, assignment);
    }
    spec.apply(document, file.string(), base);
    pipeline.check();  // which may take in files that the configuration names
    engine::apply_shard(pipeline, settings);
    effective = spec.toml();
  });
  comm.broadcast(effective);
  if (comm.rank() != 0) {
    try {
      spec.apply(io::parse_toml(effective, file.string()), file.string(), base);
    } catch (const ConfigError& error) {
      // Rank 0 accepted it and goes on: this rank cannot leave quietly.
      throw FatalError(std::string("the effective configuration does not read back: ") +
                       error.what());
    }
  }
}

}  // namespace

int run_command(const parallel::Comm& comm, const CommandLine& line, const PipelineEntry& entry,
                Log& log) {
  const auto pipeline = entry.make();
  engine::RunOptions options;
  ConfigSpec spec;
  pipeline->declare(spec);
  engine::declare_run(spec, options.settings, *pipeline);
  options.config_file = fs::absolute(line.target).lexically_normal();
  load_config(comm, spec, *pipeline, options.settings, options.config_file, line.assignments);
  options.run_directory = engine::run_directory_of(*pipeline, options.config_file, line.out);
  options.stage = line.stage;
  options.command = spelled(line, options.config_file.string(), options.run_directory.string());
  options.fresh = line.fresh;
  options.retry_failed = line.retry_failed;
  options.accept_new_code = line.accept_new_code;
  options.dry_run = line.dry_run;
  const Terminal terminal = terminal_of_stderr();
  options.live_progress = terminal.present;
  options.terminal_width = terminal.width;
  return engine::run_pipeline(comm, *pipeline, spec, options, log);
}

}  // namespace skyloom::app
