// Runs of masks and of missing pixels: rows come back, short runs and long ones, damage is noticed.

#include "skyloom/core/runs.hpp"

#include <algorithm>

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/random.hpp"

using namespace skyloom;

namespace {

/// A row with runs of all lengths; `density` of its pixels begin a new one.
std::vector<std::uint16_t> row_of(std::size_t width, double density, std::uint64_t seed) {
  const Rng rng(seed, "runs", "test");
  std::vector<std::uint16_t> row(width);
  std::uint16_t value = 0;
  for (std::size_t i = 0; i < width; ++i) {
    if (rng.uniform(i, 0) < density) {
      value = static_cast<std::uint16_t>(65536.0 * rng.uniform(i, 1));
    }
    row[i] = value;
  }
  return row;
}

}  // namespace

TEST_CASE("rows of runs come back") {
  const std::size_t width = GENERATE(1, 3, 64, 65, 6240, 200000);
  const double density = GENERATE(0.0, 0.001, 0.3, 1.0);
  RunBytes runs;
  std::vector<std::vector<std::uint16_t>> rows;
  for (std::uint64_t i = 0; i < 3; ++i) {
    rows.push_back(row_of(width, density, i));
    add_runs(rows.back(), runs);
  }
  RunReader reader(runs);
  for (const auto& row : rows) {
    std::vector<std::uint16_t> back(width, 7);
    reader.next(back);
    CHECK(back == row);
  }
  if (density == 0.0) {
    CHECK(runs.size() == 3 * 4 * (width / 65535 + (width % 65535 == 0 ? 0 : 1)));
  }
}

TEST_CASE("bits of missing pixels come back") {
  const int width = GENERATE(1, 63, 64, 65, 330, 6240);
  const double density = GENERATE(0.0, 0.01, 0.5, 1.0);
  const auto words = static_cast<std::size_t>((width + 63) / 64);
  RunBytes runs;
  std::vector<std::vector<std::uint64_t>> rows;
  for (std::uint64_t i = 0; i < 4; ++i) {
    const Rng rng(i, "bits", "test");
    std::vector<std::uint64_t> bits(words, 0);
    bool set = i % 2 == 1;
    for (int x = 0; x < width; ++x) {
      set = rng.uniform(static_cast<std::uint64_t>(x)) < density ? !set : set;
      bits[static_cast<std::size_t>(x / 64)] |= std::uint64_t{set ? 1U : 0U} << (x % 64);
    }
    rows.push_back(bits);
    add_bit_runs(bits, width, runs);
  }
  RunReader reader(runs);
  for (const auto& bits : rows) {
    std::vector<std::uint64_t> back(words, 0);
    reader.next_bits(width, back);
    CHECK(back == bits);
  }
  // The same stream as small integers.
  RunReader numbers(runs);
  for (const auto& bits : rows) {
    std::vector<std::uint16_t> row(static_cast<std::size_t>(width));
    numbers.next(row);
    for (int x = 0; x < width; ++x) {
      REQUIRE(row[static_cast<std::size_t>(x)] ==
              (bits[static_cast<std::size_t>(x / 64)] >> (x % 64) & 1U));
    }
  }
}

TEST_CASE("runs that are no rows are refused") {
  RunBytes runs;
  add_runs(row_of(100, 0.1, 1), runs);
  std::vector<std::uint16_t> longer(101);
  CHECK_THROWS_AS(RunReader(runs).next(longer), FatalError);
  std::vector<std::uint16_t> shorter(99);
  CHECK_THROWS_AS(RunReader(runs).next(shorter), FatalError);
  std::vector<std::uint64_t> bits(2, 0);
  CHECK_THROWS_AS(RunReader(std::span(runs).first(3)).next_bits(100, bits), FatalError);
  // A run of no pixels would never end a row.
  const RunBytes empty(4, 0);
  CHECK_THROWS_AS(RunReader(empty).next(shorter), FatalError);
}
