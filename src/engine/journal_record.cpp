// The format of a journal record, little endian, in 8-byte steps:
//   magic u32, header checksum u32, unit u64, kind u32, attempt u32, part u32, parts u32,
//   length u32, payload checksum u32, payload, zeros up to a multiple of 8 bytes.

#include <algorithm>
#include <bit>
#include <cstring>
#include <tuple>

#include <zlib.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/journal.hpp"

#include "journal_files.hpp"

namespace skyloom::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "journals are little endian");

constexpr std::uint32_t kMagic = 0x314A4C53;  // "SLJ1"

struct RecordHeader {
  std::uint32_t magic = kMagic;
  std::uint32_t header_crc = 0;
  std::uint64_t unit = 0;
  std::uint32_t kind = 0;
  std::uint32_t attempt = 0;
  std::uint32_t part = 0;
  std::uint32_t parts = 0;
  std::uint32_t length = 0;
  std::uint32_t payload_crc = 0;
};
static_assert(sizeof(RecordHeader) == kRecordHeaderBytes);

std::uint32_t header_checksum(std::uint32_t seed, RecordHeader header) {
  header.header_crc = 0;
  return checksum(seed, std::as_bytes(std::span(&header, 1)));
}

bool known_kind(std::uint32_t kind) {
  return kind >= 1 && kind <= 4;
}

enum class Found : std::uint8_t { nothing, header, record };

/// What stands at the beginning of `bytes`: a record, only its header, or something else.
Found read_record(std::uint32_t seed, std::span<const std::byte> bytes, Piece& piece) {
  const std::optional<Piece> found = piece_at(seed, bytes);
  if (!found) {
    return Found::nothing;
  }
  piece = *found;
  const bool whole =
      piece.length <= bytes.size() - kRecordHeaderBytes &&
      piece.payload_crc == checksum(seed, bytes.subspan(kRecordHeaderBytes, piece.length));
  return whole ? Found::record : Found::header;
}

/// Collects neighbouring bad places into one.
class DamageList {
 public:
  explicit DamageList(std::vector<JournalDamage>* out) : out_(out) {}

  void add(std::size_t offset, std::uint64_t unit) {
    if (out_ == nullptr) {
      return;
    }
    if (!open_ || unit != JournalDamage::kUnknown) {
      out_->push_back({offset, 0, unit});
      open_ = true;
    }
    out_->back().length = offset + 8 - out_->back().offset;
  }
  void end() { open_ = false; }

 private:
  std::vector<JournalDamage>* out_;
  bool open_ = false;
};

// Everything but the part: pieces that agree in it belong to one record.
auto record_of(const Piece& piece) {
  return std::tuple(piece.unit, static_cast<std::uint32_t>(piece.kind), piece.generation,
                    piece.group, piece.parts);
}

}  // namespace

std::uint32_t checksum(std::uint32_t seed, std::span<const std::byte> bytes) {
  uLong crc = seed;
  while (!bytes.empty()) {
    const std::size_t count = std::min<std::size_t>(bytes.size(), std::size_t{1} << 30);
    crc = ::crc32(crc, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(count));
    bytes = bytes.subspan(count);
  }
  return static_cast<std::uint32_t>(crc);
}

std::size_t padded_length(std::size_t length) {
  return (length + 7) / 8 * 8;
}

std::optional<Piece> piece_at(std::uint32_t seed, std::span<const std::byte> bytes) {
  RecordHeader header;
  if (bytes.size() < sizeof header) {
    return std::nullopt;
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kMagic || header.header_crc != header_checksum(seed, header) ||
      !known_kind(header.kind) || header.part >= header.parts) {
    return std::nullopt;
  }
  Piece piece;
  piece.unit = header.unit;
  piece.length = header.length;
  piece.payload_crc = header.payload_crc;
  piece.part = header.part;
  piece.parts = header.parts;
  piece.kind = static_cast<RecordKind>(header.kind);
  piece.attempt = header.attempt;
  return piece;
}

std::string encode_piece(std::uint32_t seed, const Piece& piece, std::string_view payload) {
  if (payload.size() > kMaxPieceBytes) {
    throw FatalError("journal: a piece of " + std::to_string(payload.size()) +
                     " bytes does not fit a segment");
  }
  RecordHeader header;
  header.unit = piece.unit;
  header.kind = static_cast<std::uint32_t>(piece.kind);
  header.attempt = piece.attempt;
  header.part = piece.part;
  header.parts = piece.parts;
  header.length = static_cast<std::uint32_t>(payload.size());
  header.payload_crc = checksum(seed, std::as_bytes(std::span(payload.data(), payload.size())));
  header.header_crc = header_checksum(seed, header);
  std::string out(sizeof header + padded_length(payload.size()), '\0');
  std::memcpy(out.data(), &header, sizeof header);
  std::memcpy(out.data() + sizeof header, payload.data(), payload.size());
  return out;
}

std::vector<Piece> scan_segment(std::uint32_t seed, std::span<const std::byte> segment,
                                std::vector<JournalDamage>* damage) {
  std::vector<Piece> out;
  DamageList bad(damage);
  std::size_t at = 0;
  Piece piece;
  while (at + 8 <= segment.size()) {
    std::uint64_t word = 0;
    std::memcpy(&word, segment.data() + at, sizeof word);
    const Found found = word == 0 ? Found::nothing : read_record(seed, segment.subspan(at), piece);
    if (found == Found::record) {
      piece.offset = at + kRecordHeaderBytes;
      out.push_back(piece);
      at = piece.offset + padded_length(piece.length);
      bad.end();
      continue;
    }
    if (word != 0) {
      bad.add(at, found == Found::header ? piece.unit : JournalDamage::kUnknown);
    }
    at += 8;
  }
  return out;
}

std::vector<Piece> winning_pieces(std::vector<Piece> pieces) {
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
    // Results before failures; of failures the newest: why it failed when it was tried last.
    const auto order = [](const Piece& piece) {
      const bool failed = piece.kind == RecordKind::failed;
      return std::tuple(piece.unit, piece.kind, failed ? ~piece.attempt : 0U);
    };
    return order(a) != order(b) ? order(a) < order(b)
                                : std::tuple(record_of(a), a.part, a.offset) <
                                      std::tuple(record_of(b), b.part, b.offset);
  });
  std::vector<Piece> out;
  out.reserve(pieces.size());
  std::vector<Piece> record;
  std::size_t first = 0;
  while (first < pieces.size()) {
    std::size_t last = first;
    record.clear();
    while (last < pieces.size() && record_of(pieces[last]) == record_of(pieces[first])) {
      if (record.size() == pieces[last].part) {
        record.push_back(pieces[last]);
      }
      ++last;
    }
    const bool counts =
        pieces[first].kind == RecordKind::result || pieces[first].kind == RecordKind::failed;
    const bool taken = !out.empty() && out.back().unit == pieces[first].unit;
    if (counts && !taken && record.size() == pieces[first].parts) {
      out.insert(out.end(), record.begin(), record.end());
    }
    first = last;
  }
  return out;
}

std::vector<Piece> newest_states(std::vector<Piece> pieces) {
  std::erase_if(pieces, [](const Piece& piece) { return piece.kind != RecordKind::partial; });
  // One rank writes the states of a unit in one generation, so their order in the file is that of
  // time.
  const auto order = [](const Piece& piece) {
    return std::tuple(piece.unit, piece.generation, piece.group, piece.offset);
  };
  std::sort(pieces.begin(), pieces.end(),
            [&](const Piece& a, const Piece& b) { return order(a) < order(b); });
  std::vector<Piece> out;
  std::vector<Piece> state;
  for (const Piece& piece : pieces) {
    const bool follows = !state.empty() && state.front().unit == piece.unit &&
                         state.front().generation == piece.generation &&
                         state.front().parts == piece.parts && state.size() == piece.part;
    if (!follows) {
      state.clear();
    }
    if (follows || piece.part == 0) {
      state.push_back(piece);
    }
    if (state.size() == piece.parts) {
      while (!out.empty() && out.back().unit == piece.unit) {
        out.pop_back();
      }
      out.insert(out.end(), state.begin(), state.end());
      state.clear();
    }
  }
  return out;
}

std::vector<Piece> dangling_starts(std::vector<Piece> pieces) {
  // By unit and attempt, latest first; of one attempt the beginning last.
  const auto order = [](const Piece& piece) {
    return std::tuple(piece.unit, ~piece.attempt, piece.kind == RecordKind::started);
  };
  std::sort(pieces.begin(), pieces.end(),
            [&](const Piece& a, const Piece& b) { return order(a) < order(b); });
  std::vector<Piece> out;
  bool ended = false;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const bool same_unit = i > 0 && pieces[i - 1].unit == pieces[i].unit;
    ended = (same_unit && ended) || pieces[i].kind != RecordKind::started;
    const bool again = same_unit && !out.empty() && out.back().unit == pieces[i].unit &&
                       out.back().attempt == pieces[i].attempt;
    if (!ended && !again) {
      out.push_back(pieces[i]);
    }
  }
  std::sort(out.begin(), out.end(), [](const Piece& a, const Piece& b) {
    return std::tuple(a.unit, a.attempt) < std::tuple(b.unit, b.attempt);
  });
  return out;
}

}  // namespace skyloom::engine
