#pragma once
// What a run directory says about itself: manifest.json. It keeps, per stage, what the stage's
// results depend on, so that a later command can tell exactly what changed, and it keeps one record
// per attempt. Written by rank 0 only; knows no MPI and no HDF5.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace skyloom::engine {

/// Version of the run directory's layout and of everything that stage hashes cover.
inline constexpr int kRunFormat = 2;

using NamedTexts = std::vector<std::pair<std::string, std::string>>;

/// Everything the result of a stage depends on besides the program.
struct StageDescription {
  std::string stage;
  NamedTexts keys;    ///< (configuration key, value as TOML text)
  NamedTexts inputs;  ///< (path, fingerprint)
  NamedTexts needs;   ///< (earlier stage, identity of its product)

  /// Sixteen hexadecimal digits over all of it and kRunFormat; of the path of an input over the
  /// name of the file alone, so that inputs may move.
  [[nodiscard]] std::string hash() const;
  /// The same without the inputs.
  [[nodiscard]] std::string hash_of_settings() const;
  friend bool operator==(const StageDescription&, const StageDescription&) = default;
};

/// Differences as phrases, such as `fit.max_iterations 100 -> 50` or `input a.fits changed`.
struct StageChanges {
  std::vector<std::string> keys;
  std::vector<std::string> inputs;
  std::vector<std::string> needs;
  std::vector<std::string> files;  ///< of `inputs`, those that are there with another content

  [[nodiscard]] bool none() const { return keys.empty() && inputs.empty() && needs.empty(); }
};
StageChanges changes_between(const StageDescription& before, const StageDescription& now);

inline constexpr std::size_t kNotRecorded = static_cast<std::size_t>(-1);
/// For every present path the position of the recorded input that it is, or kNotRecorded: the one
/// of the same path, else the next one of the same file name that has no other.
std::vector<std::size_t> recorded_inputs(const NamedTexts& recorded,
                                         const std::vector<std::string>& present);

struct StageRecord {
  StageDescription description;
  std::string code_version;  ///< of the program that computed it
  std::string state;         ///< started | done
  std::size_t units = 0;
  std::size_t failed = 0;
  std::size_t recovered = 0;  ///< units that the last attempt found finished
  double elapsed_s = 0.0;     ///< of the last attempt
  double idle_mean = 0.0;     ///< fraction of the last attempt, mean and largest over ranks
  double idle_max = 0.0;
  std::vector<double> idle_of_rank;  ///< fraction of every rank in the last attempt
  std::string finished;              ///< UTC, empty until done
};

struct Attempt {
  std::string command;
  std::string started;  ///< UTC
  std::string ended;    ///< UTC, empty while it runs or when it died
  int ranks = 0;
  int exit_code = -1;  ///< -1 while it runs or when it died
  std::string host;    ///< of rank 0
  std::string code_version;
  bool accepted_new_code = false;
};

struct Manifest {
  std::string pipeline;
  std::string config_file;
  std::string directory;  ///< where the run directory was when this was written
  std::uint64_t seed = 0;
  std::vector<std::string> stage_order;
  std::vector<StageRecord> stages;
  std::vector<Attempt> attempts;

  [[nodiscard]] StageRecord* find(std::string_view stage);
  [[nodiscard]] const StageRecord* find(std::string_view stage) const;
  /// The record of a stage, made when absent.
  StageRecord& record(const std::string& stage);
  void erase(std::string_view stage);
};

/// nullopt when the directory holds no manifest.json.
/// @throws ConfigError when it cannot be understood or has another format version
std::optional<Manifest> read_manifest(const std::filesystem::path& run_directory);
/// Written whole or not at all. @throws FatalError
void write_manifest(const std::filesystem::path& run_directory, const Manifest& manifest);

/// The configuration file of a run directory that may have moved together with it: at the same
/// place as seen from the run directory, if there is one, else where it was.
std::string config_file_of(const Manifest& manifest, const std::filesystem::path& run_directory);

/// The present time, UTC, as 2026-01-31T12:00:00Z and as 20260131_120000.
std::string utc_now();
std::string utc_stamp();

/// Name of this machine, "" when it has none.
std::string host_name();

/// Keeps two runs out of one directory: an advisory lock on <dir>/run.lock that dies with its
/// process.
class RunLock {
 public:
  /// @throws ConfigError when another run holds it, FatalError when the file cannot be made
  explicit RunLock(const std::filesystem::path& run_directory);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  /// Whether a running process holds the lock of this directory.
  static bool held(const std::filesystem::path& run_directory);

 private:
  int descriptor_ = -1;
};

}  // namespace skyloom::engine
