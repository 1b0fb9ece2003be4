#include <algorithm>

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/journal.hpp"

using namespace skyloom;
using namespace skyloom::engine;

namespace {

constexpr std::uint32_t kSeed = 77;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

Piece piece_of(std::uint64_t unit, RecordKind kind = RecordKind::result) {
  Piece piece;
  piece.unit = unit;
  piece.kind = kind;
  return piece;
}

/// Records of units 0 to count - 1 with payloads of different length.
std::string segment_of(std::size_t count) {
  std::string out;
  for (std::size_t unit = 0; unit < count; ++unit) {
    out +=
        encode_piece(kSeed, piece_of(unit), std::string(unit * 5, static_cast<char>('a' + unit)));
  }
  return out;
}

std::vector<std::uint64_t> units_of(const std::vector<Piece>& pieces) {
  std::vector<std::uint64_t> units;
  for (const Piece& piece : pieces) {
    units.push_back(piece.unit);
  }
  return units;
}

}  // namespace

TEST_CASE("the checksum is CRC-32, and its seed continues another") {
  REQUIRE(checksum(0, bytes_of("123456789")) == 0xCBF43926U);
  REQUIRE(checksum(checksum(0, bytes_of("1234")), bytes_of("56789")) == 0xCBF43926U);
}

TEST_CASE("records come back with their payload's place") {
  const std::string segment = segment_of(6);
  REQUIRE(segment.size() % 8 == 0);
  const std::vector<Piece> pieces = scan_segment(kSeed, bytes_of(segment));
  REQUIRE(units_of(pieces) == std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5});
  for (const Piece& piece : pieces) {
    REQUIRE(segment.substr(piece.offset, piece.length) ==
            std::string(piece.unit * 5, static_cast<char>('a' + piece.unit)));
  }
}

TEST_CASE("records of another key are invalid") {
  REQUIRE(scan_segment(kSeed + 1, bytes_of(segment_of(6))).empty());
}

TEST_CASE("every single damaged byte costs at most the record it lies in") {
  const std::string good = segment_of(4);
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x41);
    const std::vector<Piece> pieces = scan_segment(kSeed, bytes_of(bad));
    REQUIRE(pieces.size() >= 3);
    for (const Piece& piece : pieces) {
      REQUIRE(checksum(kSeed, bytes_of(bad).subspan(piece.offset, piece.length)) ==
              piece.payload_crc);
    }
  }
}

TEST_CASE("every truncation keeps the records before it") {
  const std::string good = segment_of(4);
  const std::vector<Piece> all = scan_segment(kSeed, bytes_of(good));
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto whole = std::count_if(all.begin(), all.end(), [&](const Piece& piece) {
      return piece.offset + piece.length <= size;
    });
    REQUIRE(scan_segment(kSeed, bytes_of(good).first(size)).size() ==
            static_cast<std::size_t>(whole));
  }
}

TEST_CASE("zeros between records are skipped") {
  const std::string segment = segment_of(2) + std::string(4096, '\0') + segment_of(3);
  REQUIRE(units_of(scan_segment(kSeed, bytes_of(segment))) ==
          std::vector<std::uint64_t>{0, 1, 0, 1, 2});
}

TEST_CASE("a piece larger than a segment is refused") {
  REQUIRE_THROWS_AS(encode_piece(kSeed, piece_of(1), std::string(kMaxPieceBytes + 1, 'x')),
                    FatalError);
  REQUIRE(encode_piece(kSeed, piece_of(1), std::string(kMaxPieceBytes, 'x')).size() ==
          kSegmentBytes);
}

TEST_CASE("which record of a unit counts does not depend on the order they are found in") {
  std::vector<Piece> pieces;
  const auto add = [&](std::uint64_t unit, RecordKind kind, std::uint32_t generation,
                       std::uint64_t offset, std::uint32_t part = 0, std::uint32_t parts = 1) {
    Piece piece = piece_of(unit, kind);
    piece.generation = generation;
    piece.offset = offset;
    piece.part = part;
    piece.parts = parts;
    pieces.push_back(piece);
  };
  add(0, RecordKind::failed, 1, 100);  // mended later
  add(0, RecordKind::result, 3, 900);
  add(0, RecordKind::result, 2, 500);  // the one that counts
  add(1, RecordKind::failed, 2, 300);
  add(1, RecordKind::failed, 1, 700);       // the one that counts
  add(2, RecordKind::result, 1, 10, 0, 3);  // its middle piece is lost
  add(2, RecordKind::result, 1, 30, 2, 3);
  add(3, RecordKind::result, 1, 60, 1, 2);
  add(3, RecordKind::result, 1, 50, 0, 2);
  add(4, RecordKind::started, 1, 80);
  add(4, RecordKind::partial, 1, 90);
  std::sort(pieces.begin(), pieces.end(),
            [](const Piece& a, const Piece& b) { return a.offset < b.offset; });
  do {
    const std::vector<Piece> winners = winning_pieces(pieces);
    REQUIRE(units_of(winners) == std::vector<std::uint64_t>{0, 1, 3, 3});
    REQUIRE(winners[0].offset == 500);
    REQUIRE(winners[1].offset == 700);
    REQUIRE(winners[2].part == 0);
    REQUIRE(winners[3].part == 1);
    std::rotate(pieces.begin(), pieces.begin() + 1, pieces.end());
  } while (pieces.front().offset != 10);
}

namespace {

Piece at(Piece piece, std::uint32_t generation, std::uint64_t offset, std::uint32_t part = 0,
         std::uint32_t parts = 1) {
  piece.generation = generation;
  piece.attempt = generation;
  piece.offset = offset;
  piece.part = part;
  piece.parts = parts;
  return piece;
}

}  // namespace

TEST_CASE("what is no record is reported with its place, and with its unit when that can be read") {
  std::string segment = segment_of(6);
  std::vector<JournalDamage> damage;
  scan_segment(kSeed, bytes_of(segment), &damage);
  REQUIRE(damage.empty());
  const std::vector<Piece> pieces = scan_segment(kSeed, bytes_of(segment));
  segment[pieces[3].offset] ^= 1;                           // payload of unit 3
  segment[pieces[5].offset - kRecordHeaderBytes + 9] ^= 1;  // header of unit 5
  const std::vector<Piece> left = scan_segment(kSeed, bytes_of(segment), &damage);
  REQUIRE(units_of(left) == std::vector<std::uint64_t>{0, 1, 2, 4});
  REQUIRE(damage.size() == 2);
  REQUIRE(damage[0].unit == 3);
  REQUIRE(damage[0].offset == pieces[3].offset - kRecordHeaderBytes);
  REQUIRE(damage[0].length == kRecordHeaderBytes + 16);
  REQUIRE(damage[1].unit == JournalDamage::kUnknown);
  REQUIRE(damage[1].offset == pieces[5].offset - kRecordHeaderBytes);

  // A record cut short, and then holes.
  std::string cut = segment_of(2).substr(0, kRecordHeaderBytes + kRecordHeaderBytes);
  cut.resize(4096, '\0');
  damage.clear();
  REQUIRE(units_of(scan_segment(kSeed, bytes_of(cut), &damage)) == std::vector<std::uint64_t>{0});
  REQUIRE(damage.size() == 1);
  REQUIRE(damage[0].unit == 1);
}

TEST_CASE("the newest complete state of a unit counts") {
  const Piece one = piece_of(1, RecordKind::partial);
  const std::vector<Piece> pieces{at(piece_of(1), 1, 5),
                                  at(one, 1, 100, 0, 2),
                                  at(one, 1, 200, 1, 2),
                                  at(one, 2, 10, 0, 2),
                                  at(one, 2, 20, 1, 2),
                                  at(one, 2, 30, 0, 2),
                                  at(piece_of(2, RecordKind::partial), 1, 300)};
  const std::vector<Piece> states = newest_states(pieces);
  REQUIRE(units_of(states) == std::vector<std::uint64_t>{1, 1, 2});
  REQUIRE(states[0].offset == 10);  // the one after it has lost its second piece
  REQUIRE(states[1].offset == 20);
  REQUIRE(newest_states({at(one, 1, 0, 1, 2)}).empty());
}

TEST_CASE("a beginning dangles until something later is recorded of its unit") {
  const auto start = [](std::uint64_t unit, std::uint32_t attempt) {
    return at(piece_of(unit, RecordKind::started), attempt, 8);
  };
  const auto end = [](std::uint64_t unit, std::uint32_t attempt, RecordKind kind) {
    return at(piece_of(unit, kind), attempt, 9);
  };
  const std::vector<Piece> dangling = dangling_starts(
      {start(1, 1), end(1, 1, RecordKind::result),                            // finished
       start(2, 1), start(2, 2), start(2, 2), start(2, 3),                    // died three times
       start(3, 1), start(3, 2), end(3, 2, RecordKind::failed), start(3, 4),  // retried
       start(4, 1), end(4, 1, RecordKind::partial), start(4, 2)});            // went on, then died
  REQUIRE(units_of(dangling) == std::vector<std::uint64_t>{2, 2, 2, 3, 4});
  REQUIRE(dangling[0].attempt == 1);
  REQUIRE(dangling[3].attempt == 4);
  REQUIRE(dangling[4].attempt == 2);
}
