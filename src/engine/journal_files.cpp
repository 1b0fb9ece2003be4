#include "journal_files.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/posix_file.hpp"

#include "plan_bytes.hpp"

namespace skyloom::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kInfoName = "journal.info";
constexpr std::string_view kUnitsName = "journal.units";

std::uint32_t checksum_of(const std::string& bytes) {
  return checksum(0, std::as_bytes(std::span(bytes.data(), bytes.size())));
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

void scan_one(const io::PosixFile& file, const JournalFile& which, std::uint64_t at,
              std::uint32_t seed, std::span<std::byte> buffer, JournalScan& scan) {
  std::vector<JournalDamage> damage;
  try {
    const std::size_t size = file.read(buffer, at);
    for (Piece piece : scan_segment(seed, buffer.first(size), &damage)) {
      piece.offset += at;
      piece.generation = which.generation;
      piece.group = which.group;
      scan.pieces.push_back(piece);
    }
  } catch (const FatalError&) {
    // A bad sector costs the records in its segment, not the run.
    JournalDamage sector;
    sector.length = std::min<std::uint64_t>(buffer.size(), which.bytes - at);
    sector.unreadable = true;
    damage = {sector};
  }
  for (JournalDamage& place : damage) {
    place.offset += at;
    place.generation = which.generation;
    place.group = which.group;
    scan.damage.push_back(place);
  }
}

/// The headers of one segment, with a window that jumps over payloads.
class SegmentSkimmer {
 public:
  SegmentSkimmer(const io::PosixFile& file, std::uint64_t begin, std::uint64_t end,
                 std::uint32_t seed)
      : file_(file), end_(end), seed_(seed), at_(begin), window_at_(begin) {}

  /// The next piece with the place of its payload; nullopt at the end.
  std::optional<Piece> next() {
    while (at_ + kRecordHeaderBytes <= end_ && look()) {
      const std::span<const std::byte> here = std::span(window_).subspan(at_ - window_at_);
      std::optional<Piece> piece = piece_at(seed_, here);
      if (!piece || at_ + kRecordHeaderBytes + padded_length(piece->length) > end_) {
        at_ += 8;
        continue;
      }
      piece->offset = at_ + kRecordHeaderBytes;
      at_ = piece->offset + padded_length(piece->length);
      return piece;
    }
    return std::nullopt;
  }

 private:
  /// False when no whole header is left.
  bool look() {
    if (at_ + kRecordHeaderBytes > window_at_ + window_.size()) {
      window_.resize(std::min<std::uint64_t>(kWindow, end_ - at_));
      window_.resize(file_.read(window_, at_));
      window_at_ = at_;
    }
    return window_.size() >= kRecordHeaderBytes;
  }

  static constexpr std::uint64_t kWindow = 8192;

  const io::PosixFile& file_;
  std::uint64_t end_;
  std::uint32_t seed_;
  std::uint64_t at_;
  std::uint64_t window_at_;
  std::vector<std::byte> window_;
};

bool is_whole(const io::PosixFile& file, std::uint32_t seed, const Piece& piece) {
  std::vector<std::byte> payload(piece.length);
  return file.read(payload, piece.offset) == payload.size() &&
         checksum(seed, payload) == piece.payload_crc;
}

}  // namespace

void skim_journal_files(const fs::path& directory, const std::vector<JournalFile>& files,
                        std::uint32_t seed, const std::function<void(const Piece& piece)>& see) {
  for (const JournalFile& which : files) {
    const io::PosixFile file(directory / journal_file_name(which.generation, which.group),
                             io::PosixFile::Mode::read);
    for (std::uint64_t at = 0; at < which.bytes; at += kSegmentBytes) {
      try {
        SegmentSkimmer segment(file, at, std::min(which.bytes, at + kSegmentBytes), seed);
        std::optional<Piece> piece = segment.next();
        while (piece) {
          piece->generation = which.generation;
          piece->group = which.group;
          const std::optional<Piece> following = segment.next();
          if (following || is_whole(file, seed, *piece)) {
            see(*piece);
          }
          piece = following;
        }
      } catch (const FatalError&) {
        // A bad sector costs the records behind it in its segment.
      }
    }
  }
}

std::string journal_file_name(std::uint32_t generation, std::uint32_t group) {
  return fmt::format("journal.g{:04}.{:03}", generation, group);
}

std::vector<JournalFile> list_journal_files(const fs::path& directory) {
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

std::vector<JournalFile> list_on_root(const parallel::Comm& comm, const fs::path& directory) {
  std::string bytes;
  parallel::on_root(comm, [&] {
    const std::vector<JournalFile> files = list_journal_files(directory);
    bytes.assign(reinterpret_cast<const char*>(files.data()), files.size() * sizeof(JournalFile));
  });
  comm.broadcast(bytes);
  std::vector<JournalFile> files(bytes.size() / sizeof(JournalFile));
  if (!files.empty()) {
    std::memcpy(files.data(), bytes.data(), bytes.size());
  }
  return files;
}

JournalScan scan_journal_files(const fs::path& directory, const std::vector<JournalFile>& files,
                               std::uint32_t seed, std::size_t reader, std::size_t readers) {
  JournalScan scan;
  std::vector<std::byte> buffer(kSegmentBytes);
  std::size_t turn = 0;
  for (const JournalFile& file : files) {
    io::PosixFile opened;
    for (std::uint64_t at = 0; at < file.bytes; at += kSegmentBytes, ++turn) {
      if (turn % readers != reader) {
        continue;
      }
      if (!opened.is_open()) {
        opened = io::PosixFile(directory / journal_file_name(file.generation, file.group),
                               io::PosixFile::Mode::read);
      }
      scan_one(opened, file, at, seed, buffer, scan);
    }
  }
  return scan;
}

void write_journal_info(const fs::path& directory, const JournalInfo& info) {
  io::write_atomically(directory / kInfoName, fmt::format("{}\n{}\n", info.key, info.units));
}

JournalInfo read_journal_info(const fs::path& directory) {
  std::ifstream file(directory / kInfoName);
  JournalInfo info;
  if (!std::getline(file, info.key) || !(file >> info.units)) {
    return {};
  }
  return info;
}

void write_journal_units(const fs::path& directory, const std::string& key, const Plan& plan) {
  const std::string bytes = unit_list_to_bytes(plan);
  io::write_atomically(directory / kUnitsName,
                       fmt::format("{}\n{:08x}\n", key, checksum_of(bytes)) + bytes);
}

Plan read_journal_units(const fs::path& directory, const std::string& key) {
  std::ifstream file(directory / kUnitsName, std::ios::binary);
  std::string whose;
  std::string sum;
  if (!std::getline(file, whose) || whose != key || !std::getline(file, sum)) {
    return {};
  }
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  return sum == fmt::format("{:08x}", checksum_of(bytes)) ? unit_list_from_bytes(bytes) : Plan{};
}

void remove_journal_info(const fs::path& directory) {
  fs::remove(directory / kUnitsName);
  fs::remove(directory / kInfoName);
}

}  // namespace skyloom::engine
