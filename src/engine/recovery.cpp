#include "recovery.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"

#include "journal_files.hpp"
#include "run_folder.hpp"

namespace skyloom::engine {
namespace {

/// So many processes may die in a unit; the last time no other unit is computed beside it.
constexpr int kDeathsAllowed = 3;

/// Names the first of many things that are wrong with the checkpoint; on rank 0.
void log_first(const std::vector<std::string>& texts, Log& log) {
  for (std::size_t i = 0; i < std::min(texts.size(), kShownFailures); ++i) {
    log.warning("{}", texts[i]);
  }
  if (texts.size() > kShownFailures) {
    log.warning("and {} more places like these", texts.size() - kShownFailures);
  }
}

}  // namespace

std::string describe(const Unit& unit, const Outcome& outcome) {
  return unit.key + ": " + std::string(to_string(outcome.reason)) + ": " + outcome.text;
}

void drop_other_journal(const std::filesystem::path& folder, const std::string& key, Log& log) {
  const std::string found = read_journal_info(folder).key;
  if (!found.empty() && found != key) {
    log.info("{}: its units are no longer those of the earlier attempt, which is dropped",
             folder.filename().string());
    remove_journal(folder);
  }
}

void report_damage(const std::string& stage, const Plan& plan, const Journal& journal, Log& log) {
  std::vector<std::string> texts;
  for (const JournalDamage& place : journal.damage()) {
    const std::string unit = place.unit < plan.units.size()
                                 ? " (of unit " + plan.units[place.unit].key + ")"
                                 : std::string();
    texts.push_back(fmt::format("{}/{}: bytes {} to {} {}{}; what stood there is computed again",
                                stage, journal_file_name(place.generation, place.group),
                                place.offset, place.offset + place.length - 1,
                                place.unreadable ? "cannot be read" : "hold no valid record",
                                unit));
  }
  log_first(texts, log);
}

void forget_unsound(const parallel::Comm& comm, Journal& journal, const SlabFile& slabs,
                    const Plan& plan, Log& log) {
  const std::size_t units = plan.units.size();
  std::vector<std::uint8_t> unsound(units, 0);
  std::string trouble;
  try {
    const auto [first, last] = journal.share();
    for (std::size_t unit = first; unit < last; ++unit) {
      if (!journal.has(unit) || journal.failed(unit)) {
        continue;
      }
      const Payload head = decode_head(journal.payload(unit));
      const bool sound = std::all_of(head.claims.begin(), head.claims.end(),
                                     [&](const SlabClaim& claim) { return slabs.verify(claim); });
      unsound[unit] = sound ? 0 : 1;
    }
  } catch (const std::exception& error) {
    trouble = error.what();
  }
  parallel::agree(comm, trouble.empty(), trouble);
  comm.combine_or(unsound);
  std::vector<std::string> texts;
  for (std::size_t unit = 0; comm.rank() == 0 && unit < units; ++unit) {
    if (unsound[unit] != 0) {
      texts.push_back(
          fmt::format("{}: the part of unit {} does not have its checksum; it is "
                      "computed again",
                      slabs.final_name(), plan.units[unit].key));
    }
  }
  log_first(texts, log);
  journal.forget(unsound);
}

Remaining remaining(const Journal& journal, std::size_t units, bool retry_failed) {
  Remaining left;
  for (std::size_t unit = 0; unit < units; ++unit) {
    if (journal.has(unit) && !(retry_failed && journal.failed(unit))) {
      continue;
    }
    const int deaths = journal.deaths(unit);
    (deaths >= kDeathsAllowed       ? left.crashed
     : deaths == kDeathsAllowed - 1 ? left.alone
                                    : left.todo)
        .push_back(static_cast<UnitIndex>(unit));
  }
  return left;
}

void give_up(const parallel::Comm& comm, const std::string& stage, const Plan& plan,
             const std::vector<UnitIndex>& crashed, Journal& journal, Log& log) {
  parallel::on_root(comm, [&] {
    for (const UnitIndex unit : crashed) {
      const Outcome outcome{Reason::crashed,
                            fmt::format("its process died in it {} times", journal.deaths(unit))};
      journal.put(unit, RecordKind::failed, encode_failure(outcome, 0.0));
      log.warning("{}: unit {}", stage, describe(plan.units[unit], outcome));
    }
  });
  if (!crashed.empty()) {
    journal.merge();
  }
}

}  // namespace skyloom::engine
