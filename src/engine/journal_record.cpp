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

std::size_t padded(std::size_t length) {
  return (length + 7) / 8 * 8;
}

bool known_kind(std::uint32_t kind) {
  return kind >= 1 && kind <= 4;
}

/// The record at the beginning of `bytes`, when it is valid.
bool read_record(std::uint32_t seed, std::span<const std::byte> bytes, Piece& piece) {
  RecordHeader header;
  if (bytes.size() < sizeof header) {
    return false;
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kMagic || header.header_crc != header_checksum(seed, header) ||
      header.length > bytes.size() - sizeof header || !known_kind(header.kind) ||
      header.part >= header.parts ||
      header.payload_crc != checksum(seed, bytes.subspan(sizeof header, header.length))) {
    return false;
  }
  piece = Piece{};
  piece.unit = header.unit;
  piece.length = header.length;
  piece.payload_crc = header.payload_crc;
  piece.part = header.part;
  piece.parts = header.parts;
  piece.kind = static_cast<RecordKind>(header.kind);
  piece.attempt = header.attempt;
  return true;
}

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
  std::string out(sizeof header + padded(payload.size()), '\0');
  std::memcpy(out.data(), &header, sizeof header);
  std::memcpy(out.data() + sizeof header, payload.data(), payload.size());
  return out;
}

std::vector<Piece> scan_segment(std::uint32_t seed, std::span<const std::byte> segment) {
  std::vector<Piece> out;
  std::size_t at = 0;
  Piece piece;
  while (at + kRecordHeaderBytes <= segment.size()) {
    if (read_record(seed, segment.subspan(at), piece)) {
      piece.offset = at + kRecordHeaderBytes;
      out.push_back(piece);
      at = piece.offset + padded(piece.length);
    } else {
      at += 8;
    }
  }
  return out;
}

std::vector<Piece> winning_pieces(std::vector<Piece> pieces) {
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
    return std::tuple(record_of(a), a.part, a.offset) < std::tuple(record_of(b), b.part, b.offset);
  });
  std::vector<Piece> out;
  std::size_t first = 0;
  while (first < pieces.size()) {
    std::size_t last = first;
    std::vector<Piece> record;
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

}  // namespace skyloom::engine
