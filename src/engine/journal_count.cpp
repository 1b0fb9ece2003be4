#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/journal.hpp"
#include "skyloom/io/posix_file.hpp"

#include "journal_files.hpp"
#include "payload.hpp"

namespace skyloom::engine {
namespace {

namespace fs = std::filesystem;

/// Reads payloads of single pieces.
class PieceReader {
 public:
  PieceReader(const fs::path& directory, std::uint32_t seed) : directory_(directory), seed_(seed) {}

  /// "" when it changed since.
  std::string operator()(const Piece& piece) {
    io::PosixFile& file = files_[{piece.generation, piece.group}];
    if (!file.is_open()) {
      file = io::PosixFile(directory_ / journal_file_name(piece.generation, piece.group),
                           io::PosixFile::Mode::read);
    }
    std::string text(piece.length, '\0');
    const auto bytes = std::as_writable_bytes(std::span(text.data(), text.size()));
    const bool good = file.read(bytes, piece.offset) == bytes.size() &&
                      checksum(seed_, bytes) == piece.payload_crc;
    return good ? text : std::string();
  }

 private:
  const fs::path& directory_;
  std::uint32_t seed_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, io::PosixFile> files_;
};

/// The key of a unit, from one of its beginnings (all of them, by unit).
std::string key_of(const std::vector<Piece>& starts, std::uint64_t unit, PieceReader& read) {
  const auto at =
      std::lower_bound(starts.begin(), starts.end(), unit,
                       [](const Piece& piece, std::uint64_t u) { return piece.unit < u; });
  const std::string key = at == starts.end() || at->unit != unit ? std::string() : read(*at);
  return key.empty() ? fmt::format("unit {}", unit) : key;
}

/// "reason: text"
std::string failure_text(const std::string& payload) {
  const Outcome outcome = decode_head(payload).outcome;
  return std::string(to_string(outcome.reason)) + ": " + outcome.text;
}

std::uint32_t seed_of(const JournalInfo& info) {
  return checksum(0, std::as_bytes(std::span(info.key.data(), info.key.size())));
}

void count_pieces(const std::vector<Piece>& pieces, PieceReader& read, std::size_t texts,
                  JournalCount& count) {
  std::vector<Piece> starts;
  std::copy_if(pieces.begin(), pieces.end(), std::back_inserter(starts),
               [](const Piece& piece) { return piece.kind == RecordKind::started; });
  std::sort(starts.begin(), starts.end(),
            [](const Piece& a, const Piece& b) { return a.unit < b.unit; });
  std::vector<std::uint64_t> finished;
  for (const Piece& piece : winning_pieces(pieces)) {
    if (piece.part != 0 || piece.unit >= count.units) {
      continue;
    }
    ++count.done;
    finished.push_back(piece.unit);
    if (piece.kind == RecordKind::failed) {
      ++count.failed;
      const std::string payload = count.failures.size() < texts ? read(piece) : std::string();
      if (!payload.empty()) {
        count.failures.push_back(key_of(starts, piece.unit, read) + ": " + failure_text(payload));
      }
    }
  }
  const std::vector<Piece> dangling = dangling_starts(pieces);
  for (std::size_t i = 0; i < dangling.size() && count.suspects.size() < texts;) {
    std::size_t times = 1;
    while (i + times < dangling.size() && dangling[i + times].unit == dangling[i].unit) {
      ++times;
    }
    if (!std::binary_search(finished.begin(), finished.end(), dangling[i].unit)) {
      count.suspects.push_back(
          fmt::format("{} ({})", key_of(starts, dangling[i].unit, read), times));
    }
    i += times;
  }
}

std::vector<Piece> pieces_of(const fs::path& directory, std::uint32_t seed) {
  return scan_journal_files(directory, list_journal_files(directory), seed, 0, 1).pieces;
}

/// As far as headers tell; a record in pieces is there when its last one is.
void mark_finished(const fs::path& directory, std::uint32_t seed, JournalUnits& list) {
  std::map<std::uint64_t, Piece> failures;
  skim_journal_files(directory, list_journal_files(directory), seed, [&](const Piece& piece) {
    const bool is_result = piece.kind == RecordKind::result;
    const bool is_failure = piece.kind == RecordKind::failed;
    if (piece.unit >= list.units.size() || piece.part + 1 != piece.parts ||
        (!is_result && !is_failure)) {
      return;
    }
    JournalUnit& unit = list.units[piece.unit];
    if (is_result) {
      unit.failed = false;
    } else if (!unit.done || unit.failed) {
      unit.failed = true;
      Piece& newest = failures.try_emplace(piece.unit, piece).first->second;
      newest = newest.attempt > piece.attempt ? newest : piece;
    }
    unit.done = true;
  });
  PieceReader read(directory, seed);
  for (const auto& [unit, piece] : failures) {
    const std::string payload = list.units[unit].failed ? read(piece) : std::string();
    if (!payload.empty()) {
      list.units[unit].failure = failure_text(payload);
    }
  }
}

}  // namespace

JournalCount count_journal(const fs::path& directory, std::size_t texts) {
  const JournalInfo info = read_journal_info(directory);
  JournalCount count;
  count.units = info.units;
  if (info.key.empty()) {
    return count;
  }
  const std::uint32_t seed = seed_of(info);
  try {
    PieceReader read(directory, seed);
    count_pieces(pieces_of(directory, seed), read, texts, count);
  } catch (const FatalError&) {
    // A file that went away: the stage has just been assembled, and its product tells the rest.
    return count;
  }
  return count;
}

JournalUnits list_journal(const fs::path& directory) {
  const JournalInfo info = read_journal_info(directory);
  Plan plan = read_journal_units(directory, info.key);
  JournalUnits list;
  list.items = std::move(plan.items);
  list.units.resize(info.units);
  for (std::size_t i = 0; i < info.units; ++i) {
    // Without names, of a stage that was begun by an older program.
    list.units[i].key = fmt::format("unit {}", i);
  }
  for (const Unit& unit : plan.units) {
    if (unit.index < info.units) {
      list.units[unit.index].key = unit.key;
      list.units[unit.index].items = unit.items;
    }
  }
  try {
    mark_finished(directory, seed_of(info), list);
  } catch (const FatalError&) {
    // A file that went away: the stage has just been assembled.
    return list;
  }
  return list;
}

}  // namespace skyloom::engine
