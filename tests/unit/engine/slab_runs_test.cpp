#include <catch2/catch.hpp>

#include "skyloom/engine/slabs.hpp"

using namespace skyloom::engine;

namespace {

using Sides = std::vector<std::size_t>;

/// The bytes of a part as the runs place them, against the definition of row-major order.
void check_runs(const Sides& shape, std::size_t size, const Sides& start, const Sides& count,
                std::size_t expected_runs) {
  std::vector<std::uint64_t> places;
  std::size_t runs = 0;
  for_each_run(shape, size, start, count,
               [&](std::uint64_t offset, std::size_t length, std::size_t position) {
                 REQUIRE(position == places.size());
                 for (std::size_t i = 0; i < length; ++i) {
                   places.push_back(offset + i);
                 }
                 ++runs;
               });
  std::vector<std::uint64_t> expected;
  for (std::size_t z = 0; z < count[0]; ++z) {
    for (std::size_t y = 0; y < count[1]; ++y) {
      for (std::size_t x = 0; x < count[2]; ++x) {
        const std::size_t element =
            ((start[0] + z) * shape[1] + start[1] + y) * shape[2] + start[2] + x;
        for (std::size_t i = 0; i < size; ++i) {
          expected.push_back(element * size + i);
        }
      }
    }
  }
  REQUIRE(places == expected);
  REQUIRE(runs == expected_runs);
}

}  // namespace

TEST_CASE("a part is written in as few contiguous runs as its shape allows") {
  check_runs({3, 4, 5}, 4, {0, 0, 0}, {3, 4, 5}, 1);
  check_runs({3, 4, 5}, 4, {1, 0, 0}, {2, 4, 5}, 1);
  check_runs({3, 4, 5}, 4, {1, 2, 0}, {1, 2, 5}, 1);
  check_runs({3, 4, 5}, 8, {0, 1, 0}, {3, 2, 5}, 3);
  check_runs({3, 4, 5}, 1, {0, 1, 2}, {2, 3, 2}, 6);
  check_runs({3, 4, 5}, 1, {2, 3, 4}, {1, 1, 1}, 1);
  check_runs({3, 4, 5}, 4, {0, 0, 0}, {3, 0, 5}, 0);
}

TEST_CASE("what no part covers is found, box by box") {
  const Sides shape{7, 9};
  const std::vector<std::vector<SlabBox>> cases{
      {},
      {{{0, 0}, {7, 9}}},
      {{{0, 0}, {3, 9}}, {{4, 0}, {3, 4}}},
      {{{2, 2}, {3, 3}}, {{0, 8}, {7, 1}}, {{2, 5}, {3, 3}}, {{6, 0}, {1, 1}}},
      {{{0, 0}, {0, 9}}, {{1, 1}, {5, 7}}}};
  for (const std::vector<SlabBox>& covered : cases) {
    std::vector<int> hits(63, 0);
    const auto mark = [&hits](const std::vector<SlabBox>& boxes) {
      for (const SlabBox& box : boxes) {
        for (std::size_t y = 0; y < box.count[0]; ++y) {
          for (std::size_t x = 0; x < box.count[1]; ++x) {
            ++hits[(box.start[0] + y) * 9 + box.start[1] + x];
          }
        }
      }
    };
    mark(covered);
    mark(uncovered(shape, covered));
    REQUIRE(hits == std::vector<int>(63, 1));
  }
  REQUIRE(uncovered(shape, cases[1]).empty());
}
