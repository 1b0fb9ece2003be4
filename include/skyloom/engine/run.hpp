#pragma once
// Running one stage: recover the journals, hand out units, compute, journal, and assemble the
// product when every unit is there. The only catch around a unit is here.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "skyloom/core/log.hpp"
#include "skyloom/engine/stage.hpp"
#include "skyloom/parallel/comm.hpp"

namespace skyloom::engine {

struct StageSettings {
  std::filesystem::path directory;  ///< the run directory
  std::string stage_hash;           ///< 16 hexadecimal digits: seeds the journal's checksums
  /// Names the files of slab arrays, whose parts are checked one by one; "" = the stage hash. The
  /// same when an input file was replaced that units failed over.
  std::string slab_hash;
  std::uint64_t seed = 0;     ///< of the run's random numbers
  bool retry_failed = false;  ///< run units again that failed in an earlier attempt
  double deadline_s = 0.0;    ///< steady-clock seconds (see now_s) to stop at; 0 = none
  std::vector<std::pair<std::string, std::string>>
      provenance;  ///< attributes of /provenance, of rank 0
};

/// What a rank is doing, for the live display of the first few ranks.
struct SlotProgress {
  std::string unit;  ///< key of its unit; "" = it has none any more
  std::size_t done = 0;
  double unit_s = 0.0;  ///< how long it has been seen with this unit
};
inline constexpr std::size_t kSlotsShown = 8;

/// How far a stage is, for the live line, the heartbeat and `skyloom status`.
struct StageProgress {
  std::string stage;
  std::size_t units_total = 0;
  std::size_t units_done = 0;  ///< of all ranks; includes failed and recovered ones
  std::size_t units_failed = 0;
  std::size_t units_recovered = 0;       ///< done by earlier attempts
  double busy_s = 0.0;                   ///< of this rank, inside units
  double elapsed_s = 0.0;                ///< since the stage's loop began on this rank
  std::vector<SlotProgress> slots = {};  ///< of the first ranks; on rank 0
  double volume_mb = 0.0;                ///< of all units; see Plan
};
/// Called on every rank when the units of a stage begin and when they are done; in between on rank
/// 0 several times a second by a thread of its own, however long units take. What it throws there
/// ends the stage.
using ProgressObserver = std::function<void(const StageProgress&)>;

enum class StageEnd { complete, stopped };

struct StageOutcome {
  StageEnd end = StageEnd::complete;
  std::size_t units = 0;
  std::size_t failed = 0;
  std::size_t recovered = 0;
  double elapsed_s = 0.0;
  std::vector<double> idle_fraction;  ///< per rank, on rank 0
};

/// Collective. Runs what is not yet journalled of `plan` and, when nothing is missing, writes
/// <stage>.h5 (temporary name, fsync, rename) and removes the journals.
/// @param plan the same on every rank
StageOutcome run_stage(const parallel::Comm& comm, StageBase& stage, const Plan& plan,
                       const Products& before, const StageSettings& settings,
                       const ProgressObserver& observer, Log& log);

/// Seconds of a steady clock.
double now_s();

}  // namespace skyloom::engine
