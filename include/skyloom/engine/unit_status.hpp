#pragma once
// What is done of every object of a run, such as a sector or a patch: one line for all its units in
// all stages, from the files of the run directory alone (see status.hpp).

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace skyloom::engine {

/// The units of one object in one stage.
struct ObjectStage {
  std::size_t stage = 0;  ///< index in ObjectStatus::stages
  std::uint32_t units = 0;
  std::uint32_t done = 0;  ///< failed ones included
  std::uint32_t failed = 0;
  std::uint64_t items = 0;            ///< of all its units; 0 = not counted
  std::uint64_t items_remaining = 0;  ///< of units without a result, failed ones too
  std::string failure;  ///< "[rest of the key: ]reason: text" of the first failed unit
};

struct ObjectLine {
  std::string key;
  std::vector<ObjectStage> stages;  ///< those in which it has units
  [[nodiscard]] bool open() const;
  [[nodiscard]] bool failed() const;
};

struct ObjectStatus {
  std::filesystem::path directory;
  std::string pipeline;
  std::vector<std::pair<std::string, std::string>> stages;  ///< name, what its units count ("")
  std::vector<std::string> not_started;                     ///< stages without a plan yet
  std::vector<ObjectLine> objects;                          ///< in the order of the plans
};

/// An object is a unit of the first stage that has it. Units of later stages belong to it when they
/// have its key, or one that goes on behind it after a slash: the blocks `12/3/000500` of `12/3`.
/// @throws ConfigError when the directory holds no run
ObjectStatus read_object_status(const std::filesystem::path& run_directory);

/// One line for every object whose key fits a pattern (* ? [], a star stands for slashes too), and
/// how many they are. @throws ConfigError when none fits
std::string object_status_text(const ObjectStatus& status, const std::string& pattern);

}  // namespace skyloom::engine
