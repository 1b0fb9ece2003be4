#include "mended_inputs.hpp"

#include <algorithm>
#include <unordered_map>

#include "skyloom/engine/journal.hpp"

#include "journal_files.hpp"
#include "payload.hpp"

namespace skyloom::engine {
namespace {

/// The units that read one replaced file.
struct Readers {
  std::size_t all = 0;
  std::size_t failed = 0;
  std::size_t done = 0;  // without those that failed

  [[nodiscard]] bool may_be_mended() const { return all > 0 && (failed > 0 || done == 0); }
};

}  // namespace

Mended mended_inputs(StageBase& stage, const Plan& plan, const StageDescription& recorded,
                     const StageDescription& now, const std::filesystem::path& folder) {
  const StageChanges changes = changes_between(recorded, now);
  if (!changes.keys.empty() || !changes.needs.empty() || changes.inputs.empty() ||
      changes.files.size() != changes.inputs.size()) {
    return {};
  }
  Mended mended;
  mended.new_key = journal_key(now.hash(), plan);
  const JournalInfo info = read_journal_info(folder);
  if (info.key == mended.new_key) {
    mended.accepted = true;  // a process died before the manifest said so
    return mended;
  }
  if (info.key != journal_key(recorded.hash(), plan)) {
    return {};
  }
  mended.old_key = info.key;
  std::unordered_map<std::string, Readers> readers;
  for (const std::string& file : changes.files) {
    readers.try_emplace(file);
  }
  const JournalUnits journalled = list_journal(folder);
  mended.again.assign(plan.units.size(), 0);
  for (const Unit& unit : plan.units) {
    for (const std::string& file : stage.reads(unit)) {
      const auto found = readers.find(file);
      if (found == readers.end()) {
        continue;
      }
      const JournalUnit& state = journalled.units.at(unit.index);
      mended.again[unit.index] = 1;
      ++found->second.all;
      found->second.failed += state.failed ? 1 : 0;
      found->second.done += state.done && !state.failed ? 1 : 0;
    }
  }
  mended.accepted = std::all_of(readers.begin(), readers.end(),
                                [](const auto& entry) { return entry.second.may_be_mended(); });
  return mended;
}

void take_over(const parallel::Comm& comm, const std::filesystem::path& folder,
               const Mended& mended, Log& log) {
  std::string old_key = mended.old_key;
  std::string new_key = mended.new_key;
  std::string again(mended.again.begin(), mended.again.end());
  comm.broadcast(old_key);
  comm.broadcast(new_key);
  comm.broadcast(again);
  if (old_key.empty()) {
    return;
  }
  log.info("{}: input files were replaced; units that read them are computed again: {}",
           folder.filename().string(), std::count(again.begin(), again.end(), '\1'));
  const std::vector<std::uint8_t> without(again.begin(), again.end());
  Journal(comm, folder, old_key, without.size()).rewrite(new_key, without);
}

}  // namespace skyloom::engine
