#include "skyloom/engine/journal.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/accident.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/posix_file.hpp"

#include "journal_files.hpp"
#include "journal_index.hpp"

namespace skyloom::engine {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kSyncInterval{30};
constexpr int kRanksPerGroup = 64;
constexpr std::size_t kGenerationsKept = 8;
constexpr std::size_t kMostKeyBytes = 200;
/// Payloads of the records of one rank that stay in memory until they are assembled.
constexpr std::size_t kMostKeptBytes = std::size_t{64} << 20;

std::uint32_t checksum_of(std::string_view text) {
  return checksum(0, std::as_bytes(std::span(text.data(), text.size())));
}

std::vector<std::size_t> equal_shares(std::size_t units, int ranks) {
  std::vector<std::size_t> shares;
  for (int rank = 0; rank <= ranks; ++rank) {
    shares.push_back(units * static_cast<std::size_t>(rank) / static_cast<std::size_t>(ranks));
  }
  return shares;
}

using FileName = std::pair<std::uint32_t, std::uint32_t>;  // generation and group

/// A file of which nothing is valid belongs to another set-up; it is no damage.
void drop_foreign(std::vector<JournalDamage>& damage, const std::vector<FileName>& own) {
  std::erase_if(damage, [&own](const JournalDamage& place) {
    return !place.unreadable &&
           std::find(own.begin(), own.end(), FileName(place.generation, place.group)) == own.end();
  });
}

}  // namespace

struct Journal::Impl {
  const parallel::Comm& comm;
  fs::path directory;
  std::uint32_t seed;
  std::uint32_t generation = 1;
  std::uint32_t group = 0;
  std::uint64_t writers = 1;
  std::uint64_t first_segment = 0;
  std::uint64_t segment = 0;
  std::size_t used = 0;  // bytes of the current segment
  io::PosixFile file;
  bool dirty = false;
  Clock::time_point last_sync = Clock::now();
  std::uint64_t begun_at = kNone;  // where the record of the last begin() stands
  std::size_t begun_bytes = 0;
  JournalIndex index;
  Pieces fresh;  // put since the last merge
  std::vector<JournalDamage> damage;
  mutable std::map<FileName, io::PosixFile> readers;

  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  Impl(const parallel::Comm& communicator, fs::path folder, const std::string& key,
       std::vector<std::size_t> shares)
      : comm(communicator),
        directory(std::move(folder)),
        seed(checksum_of(key)),
        index(communicator, std::move(shares)) {}

  void recover();
  [[nodiscard]] bool has_room_for(const std::vector<JournalFile>& files) const;
  void compact(const std::vector<JournalFile>& old_files);
  std::vector<Piece> copy_share(std::uint32_t to_seed, std::span<const std::uint8_t> without);
  void remove_files(const std::vector<JournalFile>& files) const;
  Piece put_piece(Piece piece, std::string_view payload);
  std::vector<Piece> put(Piece piece, std::string_view payload);
  [[nodiscard]] std::string read(std::span<const Piece> record) const;
};

std::string Journal::Impl::read(std::span<const Piece> record) const {
  std::size_t size = 0;
  for (const Piece& piece : record) {
    size += piece.length;
  }
  std::string out(size, '\0');
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(out.data(), out.size()));
  std::size_t at = 0;
  for (const Piece& piece : record) {
    if (const std::string_view kept = index.kept(piece); !kept.empty()) {
      std::copy(kept.begin(), kept.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
      at += piece.length;
      continue;
    }
    io::PosixFile& opened = readers[{piece.generation, piece.group}];
    const auto name = [&] { return directory / journal_file_name(piece.generation, piece.group); };
    if (!opened.is_open()) {
      opened = io::PosixFile(name(), io::PosixFile::Mode::read);
    }
    const std::span<std::byte> target = bytes.subspan(at, piece.length);
    if (opened.read(target, piece.offset) != target.size() ||
        checksum(seed, target) != piece.payload_crc) {
      throw FatalError(name().string() + ": the record of unit " + std::to_string(piece.unit) +
                       " changed while the run used it");
    }
    at += piece.length;
  }
  return out;
}

void Journal::Impl::recover() {
  const std::vector<JournalFile> files = list_on_root(comm, directory);
  if (!files.empty()) {
    generation = files.back().generation + 1;
  }
  JournalScan scan;
  std::string trouble;
  try {
    scan = scan_journal_files(directory, files, seed, static_cast<std::size_t>(comm.rank()),
                              static_cast<std::size_t>(comm.size()));
  } catch (const std::exception& error) {
    trouble = error.what();
  }
  parallel::agree(comm, trouble.empty(), trouble);
  std::vector<FileName> own;
  for (const Piece& piece : scan.pieces) {
    if (own.empty() || own.back() != FileName(piece.generation, piece.group)) {
      own.emplace_back(piece.generation, piece.group);
    }
  }
  own = gather_values(comm, own);
  damage = gather_values(comm, scan.damage);
  if (comm.rank() == 0) {
    drop_foreign(damage, own);
  } else {
    damage.clear();
  }
  // Nearly all beginnings have their end close by: they need not travel.
  const std::vector<Piece> open = dangling_starts(scan.pieces);
  std::erase_if(scan.pieces, [](const Piece& piece) { return piece.kind == RecordKind::started; });
  scan.pieces.insert(scan.pieces.end(), open.begin(), open.end());
  index.recover(scan.pieces);
  std::set<std::uint32_t> generations;
  for (const JournalFile& old : files) {
    generations.insert(old.generation);
  }
  if (generations.size() > kGenerationsKept && has_room_for(files)) {
    compact(files);
  }
}

/// Compaction only tidies up: a full disk must not keep a run from going on.
bool Journal::Impl::has_room_for(const std::vector<JournalFile>& files) const {
  bool has_room = false;
  parallel::on_root(comm, [&] {
    std::uint64_t bytes = 0;
    for (const JournalFile& old : files) {
      bytes += old.bytes;
    }
    std::error_code unknown;
    const fs::space_info space = fs::space(directory, unknown);
    has_room = !unknown && space.available > bytes;
  });
  return comm.any(has_room);
}

/// Copies what counts of this rank's share into this attempt's files and forces them to disk. On
/// return the seed is `to_seed` on all ranks.
std::vector<Piece> Journal::Impl::copy_share(std::uint32_t to_seed,
                                             std::span<const std::uint8_t> without) {
  const auto [first, last] = index.share();
  std::vector<Piece> written;
  std::string trouble;
  const auto copy = [&](std::span<const Piece> record) {
    if (record.empty()) {
      return;
    }
    const std::string payload = read(record);
    Piece piece = record.front();
    piece.kept = Piece::kNotKept;
    const std::uint32_t from_seed = std::exchange(seed, to_seed);
    const std::vector<Piece> copied = put(piece, payload);
    seed = from_seed;
    written.insert(written.end(), copied.begin(), copied.end());
  };
  try {
    for (std::size_t unit = first; unit < last; ++unit) {
      if (without.empty() || without[unit] == 0) {
        copy(index.outcome_of(unit));
        copy(index.state_of(unit));
      }
    }
    for (const Piece& start : index.starts()) {
      if (start.unit >= first && start.unit < last &&
          (without.empty() || without[start.unit] == 0)) {
        copy({&start, 1});
      }
    }
    if (file.is_open()) {
      file.sync();
    }
  } catch (const std::exception& error) {
    trouble = error.what();
  }
  parallel::agree(comm, trouble.empty(), trouble);
  readers.clear();
  seed = to_seed;
  return written;
}

void Journal::Impl::remove_files(const std::vector<JournalFile>& files) const {
  comm.barrier();
  parallel::on_root(comm, [&] {
    for (const JournalFile& old : files) {
      fs::remove(directory / journal_file_name(old.generation, old.group));
    }
  });
}

/// Rewrites what counts into this attempt's files; then the old ones are not needed.
void Journal::Impl::compact(const std::vector<JournalFile>& old_files) {
  index.recover(copy_share(seed, {}));
  io::pass_point("compacted");
  remove_files(old_files);
}

Piece Journal::Impl::put_piece(Piece piece, std::string_view payload) {
  const std::string bytes = encode_piece(seed, piece, payload);
  if (!file.is_open()) {
    file = io::PosixFile(directory / journal_file_name(generation, group),
                         io::PosixFile::Mode::create);
  }
  if (used + bytes.size() > kSegmentBytes) {
    segment += writers;
    used = 0;
  }
  const std::uint64_t at = segment * kSegmentBytes + used;
  file.write(bytes, at);
  used += bytes.size();
  dirty = true;
  piece.offset = at + kRecordHeaderBytes;
  piece.length = static_cast<std::uint32_t>(payload.size());
  piece.payload_crc = checksum(seed, std::as_bytes(std::span(payload.data(), payload.size())));
  piece.generation = generation;
  piece.group = group;
  return piece;
}

std::vector<Piece> Journal::Impl::put(Piece piece, std::string_view payload) {
  std::vector<Piece> written;
  piece.parts = static_cast<std::uint32_t>(
      std::max<std::size_t>(1, (payload.size() + kMaxPieceBytes - 1) / kMaxPieceBytes));
  for (piece.part = 0; piece.part < piece.parts; ++piece.part) {
    written.push_back(
        put_piece(piece, payload.substr(piece.part * kMaxPieceBytes, kMaxPieceBytes)));
  }
  return written;
}

Journal::Journal(const parallel::Comm& comm, fs::path directory, std::string key, std::size_t units,
                 std::vector<std::size_t> shares)
    : impl_(std::make_unique<Impl>(
          comm, std::move(directory), key,
          shares.empty() ? equal_shares(units, comm.size()) : std::move(shares))) {
  parallel::on_root(comm, [&] {
    fs::create_directories(impl_->directory);
    write_journal_info(impl_->directory, {key, units});
  });
  const int groups = (comm.size() + kRanksPerGroup - 1) / kRanksPerGroup;
  const int group = comm.rank() % groups;
  impl_->group = static_cast<std::uint32_t>(group);
  impl_->writers = static_cast<std::uint64_t>((comm.size() - group + groups - 1) / groups);
  impl_->first_segment = static_cast<std::uint64_t>(comm.rank() / groups);
  impl_->segment = impl_->first_segment;
  impl_->recover();
}

Journal::~Journal() {
  parallel::erase_on_term(-1, 0, 0);
}

bool Journal::has(std::size_t unit) const {
  return impl_->index.has(unit);
}

bool Journal::failed(std::size_t unit) const {
  return impl_->index.failed(unit);
}

std::size_t Journal::count_failed() const {
  return impl_->index.count_failed();
}

std::pair<std::size_t, std::size_t> Journal::share() const {
  return impl_->index.share();
}

std::size_t Journal::payload_bytes(std::size_t unit) const {
  std::size_t bytes = 0;
  for (const Piece& piece : impl_->index.outcome_of(unit)) {
    bytes += piece.length;
  }
  return bytes;
}

std::string Journal::payload(std::size_t unit) const {
  return impl_->read(impl_->index.outcome_of(unit));
}

int Journal::deaths(std::size_t unit) const {
  return impl_->index.deaths(unit);
}

// The pieces of a state have their own checksums; that of the whole guards against a mixture.
std::string Journal::state(std::size_t unit) const {
  const std::string framed = impl_->read(impl_->index.state_of(unit));
  std::uint32_t crc = 0;
  if (framed.size() < sizeof crc) {
    return {};
  }
  std::memcpy(&crc, framed.data(), sizeof crc);
  std::string state = framed.substr(sizeof crc);
  return crc == checksum_of(state) ? state : std::string();
}

const std::vector<JournalDamage>& Journal::damage() const {
  return impl_->damage;
}

void Journal::forget(std::span<const std::uint8_t> units) {
  impl_->index.forget(units);
}

void Journal::put(std::size_t unit, RecordKind kind, std::string_view payload) {
  Piece piece;
  piece.unit = unit;
  piece.kind = kind;
  piece.attempt = impl_->generation;
  const std::vector<Piece> written = impl_->put(piece, payload);
  if (kind != RecordKind::result && kind != RecordKind::failed) {
    return;
  }
  for (const Piece& part : written) {
    const bool fits = impl_->fresh.bytes.size() + part.length <= kMostKeptBytes;
    impl_->fresh.add(
        part, fits ? payload.substr(part.part * kMaxPieceBytes, part.length) : std::string_view());
  }
}

void Journal::begin(std::size_t unit, std::string_view key) {
  Piece piece;
  piece.unit = unit;
  piece.kind = RecordKind::started;
  piece.attempt = impl_->generation;
  impl_->begun_at = Impl::kNone;
  const Piece written = impl_->put_piece(piece, key.substr(0, kMostKeyBytes));
  impl_->begun_at = written.offset - kRecordHeaderBytes;
  impl_->begun_bytes = kRecordHeaderBytes + written.length;
  // Others die by the launcher when a unit kills a process: theirs are not to blame.
  parallel::erase_on_term(impl_->file.descriptor(), impl_->begun_at, impl_->begun_bytes);
}

void Journal::withdraw() noexcept {
  parallel::erase_on_term(-1, 0, 0);
  if (impl_->begun_at == Impl::kNone) {
    return;
  }
  try {
    // Written over: a full disk has no place for another record.
    impl_->file.write(std::string(impl_->begun_bytes, '\0'), impl_->begun_at);
  } catch (const std::exception&) {
    // Then this end of the process counts as a death in the unit, of which three are needed.
  }
  impl_->begun_at = Impl::kNone;
}

void Journal::put_state(std::size_t unit, std::string_view state) {
  const std::uint32_t crc = checksum_of(state);
  std::string framed(reinterpret_cast<const char*>(&crc), sizeof crc);
  framed += state;
  put(unit, RecordKind::partial, framed);
}

void Journal::sync() {
  if (impl_->dirty) {
    impl_->file.sync();
    impl_->dirty = false;
  }
  impl_->last_sync = Clock::now();
}

bool Journal::sync_due() const {
  return Clock::now() - impl_->last_sync >= kSyncInterval;
}

void Journal::merge(bool with_payloads) {
  Pieces written = std::exchange(impl_->fresh, {});
  for (Piece& piece : written.pieces) {
    piece.kept = with_payloads ? piece.kept : Piece::kNotKept;
  }
  impl_->index.add(written);
}

void Journal::rewrite(const std::string& key, std::span<const std::uint8_t> without) {
  std::vector<JournalFile> old_files = list_on_root(impl_->comm, impl_->directory);
  // Where it was compacted on opening, this attempt has files of the old key.
  impl_->file = io::PosixFile();
  if (!old_files.empty()) {
    impl_->generation = old_files.back().generation + 1;
  }
  impl_->segment = impl_->first_segment;
  impl_->used = 0;
  parallel::on_root(impl_->comm, [&] {
    std::uint64_t bytes = 0;
    for (const JournalFile& old : old_files) {
      bytes += old.bytes;
    }
    io::require_space(impl_->directory / "journal", bytes);
  });
  impl_->index.recover(impl_->copy_share(checksum_of(key), without));
  io::pass_point("rewritten");
  parallel::on_root(impl_->comm, [&] {
    write_journal_info(impl_->directory, {key, impl_->index.units()});
  });
  io::pass_point("taken");
  impl_->remove_files(old_files);
}

void Journal::remove() {
  parallel::erase_on_term(-1, 0, 0);
  impl_->readers.clear();
  impl_->file = io::PosixFile();
  impl_->comm.barrier();
  parallel::on_root(impl_->comm, [this] {
    for (const JournalFile& file : list_journal_files(impl_->directory)) {
      fs::remove(impl_->directory / journal_file_name(file.generation, file.group));
    }
    remove_journal_info(impl_->directory);
    std::error_code still_in_use;
    fs::remove(impl_->directory, still_in_use);
  });
}

}  // namespace skyloom::engine
