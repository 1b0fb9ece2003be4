// Decoder of RICE_1 against CFITSIO, and with bytes that are no tiles.

#include "skyloom/io/rice.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <set>
#include <stdexcept>
#include <vector>

#include <catch2/catch.hpp>

using namespace skyloom;
using io::RiceTile;

// CFITSIO has them, its public header not.
extern "C" int fits_rcomp_short(short* pixels, int count, unsigned char* bytes, int room,
                                int block);
extern "C" int fits_rdecomp_short(unsigned char* bytes, int length, unsigned short* pixels,
                                  int count, int block);

namespace {

using Pixels = std::vector<std::int16_t>;

/// Tiles one after the other, with the margin.
struct Heap {
  std::vector<std::uint8_t> bytes;
  std::vector<RiceTile> tiles;

  void add(Pixels pixels, int block) {
    std::vector<std::uint8_t> room(pixels.size() * 4 + 64);
    const int length = fits_rcomp_short(pixels.data(), static_cast<int>(pixels.size()), room.data(),
                                        static_cast<int>(room.size()), block);
    REQUIRE(length > 0);
    room.resize(static_cast<std::size_t>(length));
    add_bytes(room);
  }
  void add_bytes(const std::vector<std::uint8_t>& tile) {
    tiles.push_back({bytes.size(), tile.size()});
    bytes.insert(bytes.end(), tile.begin(), tile.end());
  }
  [[nodiscard]] std::vector<std::uint8_t> with_margin(std::uint8_t filler) const {
    // Of the exact size: the sanitizer sees whatever is read behind it.
    std::vector<std::uint8_t> out(bytes.size() + io::kRiceMargin, filler);
    std::copy(bytes.begin(), bytes.end(), out.begin());
    out.shrink_to_fit();
    return out;
  }
};

/// Rows of many kinds: noise of any width, jumps, constant stretches, single spikes.
Pixels row_of(std::mt19937& random, int width) {
  const double spread = std::exp2(std::uniform_real_distribution<>(-3.0, 16.5)(random));
  const int kind = std::uniform_int_distribution<>(0, 5)(random);
  std::normal_distribution<> noise(0.0, spread);
  Pixels out(static_cast<std::size_t>(width));
  std::int16_t level = static_cast<std::int16_t>(noise(random));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t value = std::lround(noise(random));
    out[i] = static_cast<std::int16_t>(value);
    if (kind == 1 && random() % 50 != 0) {
      out[i] = level;  // constant, with steps
    } else if (kind == 2) {
      out[i] = static_cast<std::int16_t>(random() % 40 == 0 ? value * 1000 : value % 3);  // spikes
    } else if (kind == 3) {
      out[i] = static_cast<std::int16_t>(i / 32 % 2 == 0 ? 7 : value);  // blocks in turn
    } else if (kind == 4) {
      out[i] = static_cast<std::int16_t>(i % 2 == 0 ? -32768 : 32767);
    }
    level = out[i];
  }
  return out;
}

std::uint8_t first_code(const Heap& heap, std::size_t tile) {
  return static_cast<std::uint8_t>(heap.bytes[heap.tiles[tile].offset + 2] >> 4U);
}

}  // namespace

TEST_CASE("RICE: the pixels that were compressed, as CFITSIO has them", "[rice]") {
  std::mt19937 random(1);
  std::set<int> codes;
  for (const int width : {1, 2, 3, 31, 32, 33, 65, 1000}) {
    for (const int block : {32, 16, 7}) {
      for (const int rows : {1, 2, 5}) {
        for (int repeat = 0; repeat < 40; ++repeat) {
          Heap heap;
          std::vector<Pixels> expected;
          for (int row = 0; row < rows; ++row) {
            expected.push_back(row_of(random, width));
            heap.add(expected.back(), block);
            codes.insert(first_code(heap, heap.tiles.size() - 1));
          }
          const auto bytes = heap.with_margin(static_cast<std::uint8_t>(random()));
          Image<std::int16_t> out(width, rows);
          REQUIRE(io::decode_rice(bytes, heap.tiles, block, out.view()) == rows);
          for (int row = 0; row < rows; ++row) {
            const auto got = out.view().row(row);
            REQUIRE(std::equal(got.begin(), got.end(),
                               expected[static_cast<std::size_t>(row)].begin()));
          }
        }
      }
    }
  }
  CHECK(codes.size() == 16);
}

TEST_CASE("RICE: a run of zeros as long as a pixel can make it", "[rice]") {
  // One spike in a quiet block: few low bits, a difference of some ten thousand.
  Pixels pixels(32, 0);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<std::int16_t>(i % 2);
  }
  pixels[17] = 40;
  Heap heap;
  heap.add(pixels, 32);
  // By hand: code 1 (no low bits), 65535 zeros, a one: u = 65535, difference -32768.
  std::vector<std::uint8_t> tile(2 + 8192 + 1, 0);
  tile[2] = 0x10;
  tile[2 + 8192] = 0x10;  // bit 16 + 4 + 65535 of the stream, from 0
  heap.add_bytes(tile);
  Image<std::int16_t> out(32, 1);
  REQUIRE(io::decode_rice(heap.with_margin(0), std::span(heap.tiles).first(1), 32, out.view()) ==
          1);
  CHECK(std::equal(pixels.begin(), pixels.end(), out.pixels().begin()));
  Image<std::int16_t> one(1, 1);
  REQUIRE(io::decode_rice(heap.with_margin(0), std::span(heap.tiles).last(1), 32, one.view()) == 1);
  CHECK(one(0, 0) == -32768);
  std::vector<unsigned short> theirs(1);
  REQUIRE(fits_rdecomp_short(tile.data(), static_cast<int>(tile.size()), theirs.data(), 1, 32) ==
          0);
  CHECK(theirs[0] == 32768);
  // One zero more is no difference of 16 bits, even though the tile has it.
  tile[2 + 8192] = 0x08;
  Heap longer;
  longer.add_bytes(tile);
  CHECK(io::decode_rice(longer.with_margin(0), longer.tiles, 32, one.view()) == 0);
}

TEST_CASE("RICE: cut and flipped tiles neither leave their bytes nor pass as whole", "[rice]") {
  std::mt19937 random(2);
  constexpr int kWidth = 300;
  int damaged = 0;
  constexpr int kRounds = 3000;
  for (int round = 0; round < kRounds; ++round) {
    Heap heap;
    for (int row = 0; row < 3; ++row) {
      heap.add(row_of(random, kWidth), 32);
    }
    const auto bad = static_cast<std::size_t>(random() % 3);
    RiceTile& tile = heap.tiles[bad];
    const bool cut = round % 2 == 0;
    if (cut) {
      tile.length = random() % tile.length;
    } else {
      for (int flip = 0; flip < 3; ++flip) {
        heap.bytes[tile.offset + random() % tile.length] ^=
            static_cast<std::uint8_t>(1U << (random() % 8));
      }
    }
    // What stands behind a tile decides what a runaway stream reads there.
    const auto bytes = heap.with_margin(round % 3 == 0 ? 0x00 : 0xFF);
    Image<std::int16_t> out(kWidth, 3);
    const int good = io::decode_rice(bytes, heap.tiles, 32, out.view());
    const bool found = good == static_cast<int>(bad);
    REQUIRE((found || good == 3));
    if (cut) {
      REQUIRE(found);
    }
    damaged += found ? 1 : 0;
  }
  CHECK(damaged > kRounds / 2);
}

TEST_CASE("RICE: any bytes", "[rice]") {
  std::mt19937 random(3);
  for (int round = 0; round < 20000; ++round) {
    Heap heap;
    const int rows = 1 + static_cast<int>(random() % 3);
    for (int row = 0; row < rows; ++row) {
      std::vector<std::uint8_t> tile(random() % 60);
      // Few bits set make long runs.
      const unsigned sparse = random() % 4;
      for (std::uint8_t& byte : tile) {
        byte = static_cast<std::uint8_t>(sparse == 0 ? random() : random() & random() & random());
        byte = sparse == 3 ? std::uint8_t{0} : byte;
      }
      heap.add_bytes(tile);
    }
    const auto bytes = heap.with_margin(static_cast<std::uint8_t>(round % 2 == 0 ? 0 : 0xFF));
    Image<std::int16_t> out(1 + static_cast<int>(random() % 200), rows);
    const int good =
        io::decode_rice(bytes, heap.tiles, 1 + static_cast<int>(random() % 32), out.view());
    REQUIRE((good >= 0 && good <= rows));
  }
}

TEST_CASE("RICE: what the caller must see to", "[rice]") {
  const std::vector<std::uint8_t> bytes(io::kRiceMargin + 10, 0);
  Image<std::int16_t> out(4, 1);
  const auto decode = [&](RiceTile tile, int block) {
    return io::decode_rice(bytes, {&tile, 1}, block, out.view());
  };
  CHECK(decode({0, 3}, 32) == 1);
  CHECK_THROWS_AS(decode({0, 11}, 32), std::invalid_argument);
  CHECK_THROWS_AS(decode({10, 1}, 32), std::invalid_argument);
  CHECK_THROWS_AS(decode({~std::size_t{0}, 1}, 32), std::invalid_argument);
  CHECK_THROWS_AS(decode({1, ~std::size_t{0}}, 32), std::invalid_argument);
  CHECK_THROWS_AS(decode({0, 3}, 0), std::invalid_argument);
  CHECK_THROWS_AS(decode({0, 3}, 33), std::invalid_argument);
  CHECK_THROWS_AS(io::decode_rice(bytes, {}, 32, out.view()), std::invalid_argument);
}
