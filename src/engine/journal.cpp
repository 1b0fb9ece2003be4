#include "skyloom/engine/journal.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"

#include "posix_file.hpp"

namespace skyloom::engine {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kSyncInterval{30};
constexpr int kRanksPerGroup = 64;
constexpr std::string_view kInfoName = "journal.info";

struct JournalFile {
  std::uint32_t generation = 0;
  std::uint32_t group = 0;
  std::uint64_t bytes = 0;
};

std::string file_name(std::uint32_t generation, std::uint32_t group) {
  return fmt::format("journal.g{:04}.{:03}", generation, group);
}

/// Generation and group of a journal's file name, or nothing.
std::optional<JournalFile> parse_name(std::string_view name) {
  constexpr std::string_view kPrefix = "journal.g";
  const std::size_t dot = name.rfind('.');
  if (!name.starts_with(kPrefix) || dot == std::string_view::npos || dot <= kPrefix.size()) {
    return std::nullopt;
  }
  JournalFile file;
  const auto read = [](std::string_view digits, std::uint32_t& value) {
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return !digits.empty() && result.ec == std::errc{} &&
           result.ptr == digits.data() + digits.size();
  };
  const bool good = read(name.substr(kPrefix.size(), dot - kPrefix.size()), file.generation) &&
                    read(name.substr(dot + 1), file.group);
  return good ? std::optional(file) : std::nullopt;
}

std::vector<JournalFile> list_files(const fs::path& directory) {
  std::vector<JournalFile> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    if (auto file = parse_name(entry.path().filename().string())) {
      file->bytes = entry.file_size();
      files.push_back(*file);
    }
  }
  std::sort(files.begin(), files.end(), [](const JournalFile& a, const JournalFile& b) {
    return std::tie(a.generation, a.group) < std::tie(b.generation, b.group);
  });
  return files;
}

// Ranks on different nodes may see different folders: rank 0 looks, the others are told.
std::vector<JournalFile> list_on_root(const parallel::Comm& comm, const fs::path& directory) {
  std::string bytes;
  parallel::on_root(comm, [&] {
    const std::vector<JournalFile> files = list_files(directory);
    bytes.assign(reinterpret_cast<const char*>(files.data()), files.size() * sizeof(JournalFile));
  });
  comm.broadcast(bytes);
  std::vector<JournalFile> files(bytes.size() / sizeof(JournalFile));
  if (!files.empty()) {
    std::memcpy(files.data(), bytes.data(), bytes.size());
  }
  return files;
}

std::uint32_t seed_of(const std::string& key) {
  return checksum(0, std::as_bytes(std::span(key.data(), key.size())));
}

/// Valid pieces of the segments that fall to this reader of several.
std::vector<Piece> scan_files(const fs::path& directory, const std::vector<JournalFile>& files,
                              std::uint32_t seed, std::size_t reader, std::size_t readers) {
  std::vector<Piece> out;
  std::vector<std::byte> buffer(kSegmentBytes);
  std::size_t turn = 0;
  for (const JournalFile& file : files) {
    PosixFile opened;
    for (std::uint64_t at = 0; at < file.bytes; at += kSegmentBytes, ++turn) {
      if (turn % readers != reader) {
        continue;
      }
      if (!opened.is_open()) {
        opened =
            PosixFile(directory / file_name(file.generation, file.group), PosixFile::Mode::read);
      }
      const std::size_t size = opened.read(buffer, at);
      for (Piece piece : scan_segment(seed, std::span(buffer).first(size))) {
        piece.offset += at;
        piece.generation = file.generation;
        piece.group = file.group;
        out.push_back(piece);
      }
    }
  }
  return out;
}

void write_info(const fs::path& directory, const std::string& key, std::size_t units) {
  const fs::path name = directory / kInfoName;
  const fs::path temporary = directory / (std::string(kInfoName) + ".tmp");
  {
    std::ofstream file(temporary, std::ios::trunc);
    file << key << '\n' << units << '\n';
    file.close();
    if (!file) {
      throw FatalError(temporary.string() + ": cannot be written");
    }
  }
  fs::rename(temporary, name);
}

}  // namespace

struct Journal::Impl {
  const parallel::Comm& comm;
  fs::path directory;
  std::uint32_t seed;
  std::size_t units;
  std::uint32_t generation = 1;
  std::uint32_t group = 0;
  std::uint64_t writers = 1;
  std::uint64_t segment = 0;
  std::size_t used = 0;  // bytes of the current segment
  PosixFile file;
  bool dirty = false;
  Clock::time_point last_sync = Clock::now();
  std::vector<Piece> pieces;       // the records that count, by unit and part
  std::vector<std::size_t> first;  // position of a unit's first piece, or kNone
  std::vector<Piece> fresh;        // put since the last merge
  mutable std::map<std::pair<std::uint32_t, std::uint32_t>, PosixFile> readers;

  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  Impl(const parallel::Comm& communicator, fs::path folder, const std::string& key,
       std::size_t unit_count)
      : comm(communicator), directory(std::move(folder)), seed(seed_of(key)), units(unit_count) {}

  void index();
  void recover();
  void put_piece(Piece piece, std::string_view payload);
  [[nodiscard]] std::span<const Piece> pieces_of(std::size_t unit) const;
};

void Journal::Impl::index() {
  first.assign(units, kNone);
  for (std::size_t i = pieces.size(); i-- > 0;) {
    first[pieces[i].unit] = i;
  }
}

std::span<const Piece> Journal::Impl::pieces_of(std::size_t unit) const {
  if (first[unit] == kNone) {
    return {};
  }
  return std::span(pieces).subspan(first[unit], pieces[first[unit]].parts);
}

void Journal::Impl::recover() {
  const std::vector<JournalFile> files = list_on_root(comm, directory);
  if (!files.empty()) {
    generation = files.back().generation + 1;
  }
  std::string trouble;
  try {
    fresh = scan_files(directory, files, seed, static_cast<std::size_t>(comm.rank()),
                       static_cast<std::size_t>(comm.size()));
  } catch (const std::exception& error) {
    trouble = error.what();
  }
  parallel::agree(comm, trouble.empty(), trouble);
}

void Journal::Impl::put_piece(Piece piece, std::string_view payload) {
  const std::string bytes = encode_piece(seed, piece, payload);
  if (!file.is_open()) {
    file = PosixFile(directory / file_name(generation, group), PosixFile::Mode::create);
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
  fresh.push_back(piece);
}

Journal::Journal(const parallel::Comm& comm, fs::path directory, std::string key, std::size_t units)
    : impl_(std::make_unique<Impl>(comm, std::move(directory), key, units)) {
  parallel::on_root(comm, [&] {
    fs::create_directories(impl_->directory);
    write_info(impl_->directory, key, units);
  });
  const int groups = (comm.size() + kRanksPerGroup - 1) / kRanksPerGroup;
  const int group = comm.rank() % groups;
  impl_->group = static_cast<std::uint32_t>(group);
  impl_->writers = static_cast<std::uint64_t>((comm.size() - group + groups - 1) / groups);
  impl_->segment = static_cast<std::uint64_t>(comm.rank() / groups);
  impl_->recover();
  merge();
}

Journal::~Journal() = default;

bool Journal::has(std::size_t unit) const {
  return impl_->first[unit] != Impl::kNone;
}

bool Journal::failed(std::size_t unit) const {
  return has(unit) && impl_->pieces[impl_->first[unit]].kind == RecordKind::failed;
}

std::size_t Journal::count() const {
  std::size_t count = 0;
  for (std::size_t unit = 0; unit < impl_->units; ++unit) {
    count += has(unit) ? 1 : 0;
  }
  return count;
}

std::size_t Journal::count_failed() const {
  std::size_t count = 0;
  for (std::size_t unit = 0; unit < impl_->units; ++unit) {
    count += failed(unit) ? 1 : 0;
  }
  return count;
}

std::size_t Journal::payload_bytes(std::size_t unit) const {
  std::size_t bytes = 0;
  for (const Piece& piece : impl_->pieces_of(unit)) {
    bytes += piece.length;
  }
  return bytes;
}

std::string Journal::payload(std::size_t unit) const {
  std::string out(payload_bytes(unit), '\0');
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(out.data(), out.size()));
  std::size_t at = 0;
  for (const Piece& piece : impl_->pieces_of(unit)) {
    PosixFile& file = impl_->readers[{piece.generation, piece.group}];
    const fs::path name = impl_->directory / file_name(piece.generation, piece.group);
    if (!file.is_open()) {
      file = PosixFile(name, PosixFile::Mode::read);
    }
    const std::span<std::byte> target = bytes.subspan(at, piece.length);
    if (file.read(target, piece.offset) != target.size() ||
        checksum(impl_->seed, target) != piece.payload_crc) {
      throw FatalError(name.string() + ": the record of unit " + std::to_string(unit) +
                       " changed while the run used it");
    }
    at += piece.length;
  }
  return out;
}

void Journal::forget(std::span<const std::uint8_t> units) {
  std::erase_if(impl_->pieces, [units](const Piece& piece) { return units[piece.unit] != 0; });
  impl_->index();
}

void Journal::put(std::size_t unit, RecordKind kind, std::string_view payload) {
  Piece piece;
  piece.unit = unit;
  piece.kind = kind;
  piece.attempt = impl_->generation;
  piece.parts = static_cast<std::uint32_t>(
      std::max<std::size_t>(1, (payload.size() + kMaxPieceBytes - 1) / kMaxPieceBytes));
  for (piece.part = 0; piece.part < piece.parts; ++piece.part) {
    impl_->put_piece(piece, payload.substr(piece.part * kMaxPieceBytes, kMaxPieceBytes));
  }
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

void Journal::merge() {
  const std::string mine(reinterpret_cast<const char*>(impl_->fresh.data()),
                         impl_->fresh.size() * sizeof(Piece));
  for (const std::string& bytes : impl_->comm.gather_all(mine)) {
    const std::size_t known = impl_->pieces.size();
    impl_->pieces.resize(known + bytes.size() / sizeof(Piece));
    if (!bytes.empty()) {
      std::memcpy(impl_->pieces.data() + known, bytes.data(), bytes.size());
    }
  }
  impl_->fresh.clear();
  std::erase_if(impl_->pieces, [this](const Piece& piece) { return piece.unit >= impl_->units; });
  impl_->pieces = winning_pieces(std::move(impl_->pieces));
  impl_->index();
}

void Journal::remove() {
  impl_->readers.clear();
  impl_->file = PosixFile();
  impl_->comm.barrier();
  parallel::on_root(impl_->comm, [this] {
    for (const JournalFile& file : list_files(impl_->directory)) {
      fs::remove(impl_->directory / file_name(file.generation, file.group));
    }
    fs::remove(impl_->directory / kInfoName);
    std::error_code still_in_use;
    fs::remove(impl_->directory, still_in_use);
  });
}

JournalCount count_journal(const fs::path& directory) {
  JournalCount count;
  std::ifstream info(directory / kInfoName);
  std::string key;
  if (!std::getline(info, key) || !(info >> count.units)) {
    return {};
  }
  std::vector<Piece> pieces;
  try {
    pieces = winning_pieces(scan_files(directory, list_files(directory), seed_of(key), 0, 1));
  } catch (const FatalError&) {
    // A file that went away: the stage has just been assembled, and its product tells the rest.
    return count;
  }
  for (const Piece& piece : pieces) {
    if (piece.part == 0 && piece.unit < count.units) {
      ++count.done;
      count.failed += piece.kind == RecordKind::failed ? 1 : 0;
    }
  }
  return count;
}

}  // namespace skyloom::engine
