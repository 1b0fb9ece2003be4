#include "program.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <thread>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/pipeline_run.hpp"
#include "skyloom/io/accident.hpp"
#include "skyloom/parallel/comm.hpp"

#include "command_line.hpp"
#include "commands.hpp"

namespace skyloom::app {
namespace {

/// Rank that a launcher gave this process, before MPI is started; nullopt when started plainly.
std::optional<int> launched_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"}) {
    if (const char* value = std::getenv(name)) {
      return std::atoi(value);
    }
  }
  return std::nullopt;
}

void print_error(const std::string& text) {
  const std::string line = "skyloom: " + text + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
}

/// Exit status.
int serial_command(const CommandLine& line, std::span<const PipelineEntry> pipelines) {
  switch (line.action) {
    case Action::simulate:
      simulate_command(line, find_pipeline(pipelines, line.pipeline));
      break;
    case Action::config:
      config_command(line, find_pipeline(pipelines, line.pipeline));
      break;
    case Action::status:
      status_command(line);
      break;
    case Action::report:
      report_command(line, pipelines);
      break;
    case Action::export_table:
      export_command(line, pipelines);
      break;
    case Action::job:
      job_command(line, pipelines);
      break;
    case Action::tool:
      return tool_command(line, find_pipeline(pipelines, line.pipeline));
    case Action::run:
      throw FatalError("a run needs its communicator");
  }
  return engine::kExitComplete;
}

/// Everything but runs, by one process: under a launcher by its first.
int without_mpi(const Parsed& parsed, std::span<const PipelineEntry> pipelines) {
  try {
    if (parsed.command) {
      return serial_command(*parsed.command, pipelines);
    }
    std::fputs(parsed.text.c_str(), stdout);
  } catch (const ConfigError& error) {
    print_error(error.what());
    return engine::kExitUsage;
  } catch (const std::exception& error) {
    print_error(error.what());
    return engine::kExitFatal;
  }
  return engine::kExitComplete;
}

/// What all ranks throw together is said once: the first rank ends the job, and the others, which
/// wait here, are sent TERM.
bool ended_by_another() {
  constexpr int kTries = 30;
  for (int i = 0; i < kTries; ++i) {
    if (parallel::stop_signalled()) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

int with_mpi(const parallel::Comm& comm, const CommandLine& line,
             std::span<const PipelineEntry> pipelines) {
  try {
    Log log(comm.rank());
    return run_command(comm, line, find_pipeline(pipelines, line.pipeline), log);
  } catch (const ConfigError& error) {
    if (comm.rank() == 0) {
      print_error(error.what());
    }
    return engine::kExitUsage;
  } catch (const std::exception& error) {
    if (comm.rank() != 0 && ended_by_another()) {
      parallel::Runtime::abort(engine::kExitFatal);
    }
    print_error("rank " + std::to_string(comm.rank()) + ": " + error.what());
    parallel::Runtime::abort(engine::kExitFatal);
  }
}

}  // namespace

int run_program(int argc, char** argv, std::span<const PipelineEntry> pipelines) {
  const std::optional<int> launched = launched_rank();
  const bool speaks = launched.value_or(0) == 0;
  Parsed parsed;
  std::string problem;
  try {
    parsed = parse_command_line({argv + 1, argv + argc}, pipelines);
  } catch (const ConfigError& error) {
    problem = error.what();
  }
  const bool runs = parsed.command && parsed.command->action == Action::run;
  int status = problem.empty() ? engine::kExitComplete : engine::kExitUsage;
  if (!runs && speaks) {
    if (problem.empty()) {
      status = without_mpi(parsed, pipelines);
    } else {
      print_error(problem);
    }
  }
  // A launched process that ends without MPI makes mpirun kill its brothers, perhaps before the
  // first has printed.
  if (runs || launched) {
    io::pass_point("start");
    const parallel::Runtime runtime(argc, argv);
    if (runs) {
      io::pass_point("mpi");
      status = with_mpi(runtime.world(), *parsed.command, pipelines);
    }
  }
  return status;
}

}  // namespace skyloom::app
