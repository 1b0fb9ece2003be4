#pragma once
// How far a run is, from the files of its directory alone: while it runs, after it died, after it
// ended. Needs no MPI and changes nothing.

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace skyloom::engine {

struct StageStatus {
  std::string name;
  std::string state;  ///< done | outdated | partial | not started
  std::size_t units = 0;
  std::size_t done = 0;  ///< a running or interrupted stage: at least so many
  std::size_t failed = 0;
  double elapsed_s = 0.0;   ///< of the last attempt; 0 = unknown
  double idle_mean = -1.0;  ///< fraction; negative = unknown
  double idle_max = -1.0;
};

struct RunStatus {
  std::filesystem::path directory;
  std::string pipeline;
  std::string state;  ///< running | complete | stopped
  std::vector<StageStatus> stages;
  std::size_t failed = 0;
  std::vector<std::string> failures;  ///< "stage/key: reason: text", the first ten
  std::vector<std::string> suspects;  ///< of a stopped run: units in which processes died
  double rate_per_s = 0.0;            ///< of the unfinished stage, now or when it last ran
  double eta_s = -1.0;                ///< of the unfinished stage at that rate; negative = unknown
  int last_exit = -1;                 ///< of the last attempt; -1 = running or died
  std::string next;                   ///< what to type next, or what there is to look at
};

/// A run on this machine is known by its lock, one on another machine by a heartbeat that is not
/// older than a minute.
/// @throws ConfigError when the directory holds no run
RunStatus read_status(const std::filesystem::path& run_directory);
std::string status_text(const RunStatus& status);
std::string status_json(const RunStatus& status);

}  // namespace skyloom::engine
