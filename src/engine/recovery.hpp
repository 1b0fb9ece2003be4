#pragma once
// Private to the engine: what a stage does with what earlier attempts left, before it begins.

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "skyloom/core/log.hpp"
#include "skyloom/engine/journal.hpp"
#include "skyloom/engine/schedule.hpp"
#include "skyloom/engine/slabs.hpp"
#include "skyloom/engine/unit.hpp"
#include "skyloom/parallel/comm.hpp"

#include "payload.hpp"

namespace skyloom::engine {

inline constexpr std::size_t kShownFailures = 10;

/// "key: reason: text"
std::string describe(const Unit& unit, const Outcome& outcome);

/// Rank 0 only: removes a journal of other units (a key that no result depends on may cut them in
/// another way), and says so.
void drop_other_journal(const std::filesystem::path& folder, const std::string& key, Log& log);

/// Names what recovery found damaged; rank 0 knows it.
void report_damage(const std::string& stage, const Plan& plan, const Journal& journal, Log& log);

/// Collective: drops and names units whose slab parts are not in the file as their record says.
void forget_unsound(const parallel::Comm& comm, Journal& journal, const SlabFile& slabs,
                    const Plan& plan, Log& log);

/// What is left to do.
struct Remaining {
  std::vector<UnitIndex> todo;
  std::vector<UnitIndex> alone;    ///< suspects: one after the other when all else is done
  std::vector<UnitIndex> crashed;  ///< not to be tried again
};
Remaining remaining(const Journal& journal, std::size_t units, bool retry_failed);

/// Collective: units that killed their process again and again become failures.
void give_up(const parallel::Comm& comm, const std::string& stage, const Plan& plan,
             const std::vector<UnitIndex>& crashed, Journal& journal, Log& log);

}  // namespace skyloom::engine
