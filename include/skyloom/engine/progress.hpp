#pragma once
// How a running stage shows itself: live lines redrawn in place on a terminal, a heartbeat line
// elsewhere, and progress.json for `skyloom status`. Lives on rank 0; called by one thread at a
// time.

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "skyloom/core/log.hpp"
#include "skyloom/engine/run.hpp"

namespace skyloom::engine {

/// What progress.json holds.
struct ProgressState {
  std::string stage;
  std::size_t total = 0;
  std::size_t done = 0;
  std::size_t failed = 0;
  std::size_t recovered = 0;
  double rate_per_s = 0.0;               ///< units per second since the stage's loop began
  double eta_s = -1.0;                   ///< remaining time; negative = unknown
  double idle = 0.0;                     ///< fraction of rank 0's time outside units
  double time_s = 0.0;                   ///< of writing, seconds since 1970 UTC
  std::vector<SlotProgress> slots = {};  ///< of the first ranks; not kept in progress.json
  double rate_mb_per_s = 0.0;            ///< the rate at the mean size of a unit; 0 = not said
};

/// Rate, remaining time and idle fraction from the counts.
ProgressState state_of(const StageProgress& progress);
/// nullopt when there is none or it cannot be understood (it is a convenience, not a checkpoint).
std::optional<ProgressState> read_progress(const std::filesystem::path& run_directory);

/// `mm:ss`, `h:mm:ss` from an hour on, `--:--` when unknown (negative or not finite).
std::string duration_text(double seconds);
/// `fit [#####-----] 120/480 failed=0 rate=31.2/s eta=00:12 idle=3%`, cut to `width` characters; a
/// stage that says its volume has `rate=1.2/s 412 MB/s`.
std::string progress_line(const ProgressState& state, std::size_t width);
/// `  rank 3: g/00000, 12 done` for each of the first ranks (and how long a long unit has been in
/// work), cut to `width` characters; none when there is a single rank.
std::vector<std::string> slot_lines(const ProgressState& state, std::size_t width);

class Progress {
 public:
  /// @param live draw a line in place; otherwise a heartbeat is logged every 15 s
  /// @param width columns of the terminal
  Progress(std::filesystem::path run_directory, Log& log, bool live, std::size_t width);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(const StageProgress& progress);
  /// Ends the live line and leaves the last state in progress.json.
  void finish();

 private:
  void draw(const ProgressState& state);
  void save(const ProgressState& state) const;

  std::filesystem::path directory_;
  Log& log_;
  bool live_;
  std::size_t width_;
  double drawn_s_ = -1e9;
  double beat_s_;
  double saved_s_ = -1e9;
  std::optional<ProgressState> last_;
};

}  // namespace skyloom::engine
