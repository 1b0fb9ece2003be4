#pragma once
// The journal of a stage: a checksummed record of every finished unit, in few files shared by all
// ranks, written without communication and recovered on any number of ranks. It is the checkpoint.
//
// <directory>/journal.gNNNN.JJJ: attempt NNNN, group JJJ of ranks. A file is an array of 1 MiB
// segments; writer w of W owns the segments w, w + W, ... A record never crosses a segment; a
// larger payload is split into pieces. Both checksums of a piece are seeded with the journal's key,
// so records of another set-up are invalid by construction.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skyloom/parallel/comm.hpp"

namespace skyloom::engine {

/// The numbers are stored in files: never renumber. `started` says that a rank began a unit (its
/// payload is the key of the unit), `partial` holds the state of a long unit at a border of its
/// computation; neither finishes the unit.
enum class RecordKind : std::uint32_t { result = 1, failed = 2, started = 3, partial = 4 };

/// One piece of a record: what stands in its header, and where its payload lies.
struct Piece {
  std::uint64_t unit = 0;
  std::uint64_t offset = 0;  ///< of the payload in its file
  std::uint32_t length = 0;  ///< bytes of payload
  std::uint32_t payload_crc = 0;
  std::uint32_t generation = 0;
  std::uint32_t group = 0;
  std::uint32_t part = 0;
  std::uint32_t parts = 1;
  RecordKind kind = RecordKind::result;
  std::uint32_t attempt = 0;  ///< that wrote it first; compaction changes the generation only
  static constexpr std::uint64_t kNotKept = ~std::uint64_t{0};
  std::uint64_t kept = kNotKept;  ///< where this process has its payload in memory
};

/// Bytes of a journal that are neither zero nor a valid record.
struct JournalDamage {
  static constexpr std::uint64_t kUnknown = ~std::uint64_t{0};
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::uint64_t unit = kUnknown;  ///< whose record stood there, when its header can be read
  std::uint32_t generation = 0;
  std::uint32_t group = 0;
  bool unreadable = false;  ///< the system could not read them
};

inline constexpr std::size_t kSegmentBytes = std::size_t{1} << 20;
inline constexpr std::size_t kRecordHeaderBytes = 40;
inline constexpr std::size_t kMaxPieceBytes = kSegmentBytes - kRecordHeaderBytes;

/// Checksum of bytes continued from a seed (CRC-32 of zlib).
std::uint32_t checksum(std::uint32_t seed, std::span<const std::byte> bytes);

/// Header and payload of one piece as they stand in a file, padded to a multiple of 8 bytes.
/// `offset`, `length`, `payload_crc`, `generation` and `group` of `piece` are not read.
std::string encode_piece(std::uint32_t seed, const Piece& piece, std::string_view payload);

/// The valid pieces of one segment (or its beginning), in order; after a damaged one the search
/// goes on in steps of 8 bytes. `offset` is relative to the segment, generation and group are 0.
/// @param damage when given, what else stands there is appended
std::vector<Piece> scan_segment(std::uint32_t seed, std::span<const std::byte> segment,
                                std::vector<JournalDamage>* damage = nullptr);

/// For every unit the pieces of the record that counts: a result before a failure, of failures the
/// newest, then the lowest generation, group and position; incomplete records do not count. Pieces
/// stay sorted by unit, part.
std::vector<Piece> winning_pieces(std::vector<Piece> pieces);

/// For every unit the pieces of its newest complete state, by unit and part.
std::vector<Piece> newest_states(std::vector<Piece> pieces);

/// The beginnings of units after which nothing of the unit was recorded: a process died in it. One
/// for every attempt, by unit and attempt.
std::vector<Piece> dangling_starts(std::vector<Piece> pieces);

class Journal {
 public:
  /// Collective: creates the folder, recovers what earlier attempts finished, rewrites it into one
  /// generation of files when there are more than eight, begins a new attempt.
  /// @param key names the set-up (hash of configuration, inputs, schema)
  /// @param units of the plan; records of larger units are ignored
  /// @param shares borders of the ranks' shares of units, one more than ranks; empty = equal ones
  Journal(const parallel::Comm& comm, std::filesystem::path directory, std::string key,
          std::size_t units, std::vector<std::size_t> shares = {});
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// What is known on all ranks: recovered and merged records.
  [[nodiscard]] bool has(std::size_t unit) const;
  [[nodiscard]] bool failed(std::size_t unit) const;
  [[nodiscard]] std::size_t count_failed() const;
  /// The units [first, second) whose records this rank can read.
  [[nodiscard]] std::pair<std::size_t, std::size_t> share() const;
  /// Bytes of the payload of a unit of this rank's share, 0 when it has none.
  [[nodiscard]] std::size_t payload_bytes(std::size_t unit) const;
  /// The payload itself, from memory or from its file. @throws FatalError when it cannot be read
  /// any more
  [[nodiscard]] std::string payload(std::size_t unit) const;
  /// Earlier attempts that died while they computed this unit.
  [[nodiscard]] int deaths(std::size_t unit) const;
  /// The state of a unit saved last by an earlier attempt, "" when there is none.
  [[nodiscard]] std::string state(std::size_t unit) const;
  /// What recovery found damaged, on rank 0.
  [[nodiscard]] const std::vector<JournalDamage>& damage() const;
  /// Collective: drops units (the same on every rank): they have to be done again.
  void forget(std::span<const std::uint8_t> units);

  /// Appends a record: one write per piece. @throws FatalError naming the file and the bytes needed
  void put(std::size_t unit, RecordKind kind, std::string_view payload);
  /// Says that this rank begins a unit. @param key of the unit, for `skyloom status`
  void begin(std::size_t unit, std::string_view key);
  /// Takes the last begin() back, in place: this process ends for a reason of its own.
  void withdraw() noexcept;
  /// Saves the state of the unit begun last.
  void put_state(std::size_t unit, std::string_view state);
  /// Forces what this rank wrote to disk; sync_due() says when 30 s have passed.
  void sync();
  [[nodiscard]] bool sync_due() const;
  /// Collective: what any rank has put becomes known on all. @param with_payloads sends them to the
  /// ranks whose shares they are in, as far as they are in memory: nobody has to read them back
  void merge(bool with_payloads = true);
  /// Collective: copies everything into new files that belong to another key, then removes the old
  /// ones; a process that dies on the way leaves a journal of one key or of the other.
  /// @param without units (the same on every rank) that are left out
  void rewrite(const std::string& key, std::span<const std::uint8_t> without);
  /// Collective: deletes every journal file of the folder, and the folder when it is empty.
  void remove();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// How far a stage is, from the files of its folder alone.
struct JournalCount {
  std::size_t units = 0;  ///< of the plan; 0 when the folder has no journal
  std::size_t done = 0;   ///< finished ones, failed ones included
  std::size_t failed = 0;
  std::vector<std::string> failures;  ///< "key: reason: text" of the first of them
  /// "key (n)": unfinished units and how many processes died in them; those of ranks that are
  /// computing at this moment are among them
  std::vector<std::string> suspects;
};
/// Serial; may be called by any process while a run writes. Never throws for damaged records.
JournalCount count_journal(const std::filesystem::path& directory, std::size_t texts = 10);

/// One unit of a stage that is not finished.
struct JournalUnit {
  std::string key;
  std::uint32_t items = 0;  ///< see Unit
  bool done = false;        ///< failed ones included
  bool failed = false;
  std::string failure;  ///< "reason: text"
};
struct JournalUnits {
  std::string items;               ///< what is counted; see Plan
  std::vector<JournalUnit> units;  ///< in the order of the plan
};
/// Every unit of the plan by name, from the files of a stage's folder, as far as the headers of
/// records tell: reads 8 KiB of each at most, and keeps what it returns. As count_journal() else.
JournalUnits list_journal(const std::filesystem::path& directory);

}  // namespace skyloom::engine
