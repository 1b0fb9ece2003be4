#include "skyloom/engine/schedule.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include <catch2/catch.hpp>

using namespace skyloom;
using namespace skyloom::engine;

namespace {

using Costs = std::vector<float>;

std::vector<UnitIndex> all(std::size_t count) {
  std::vector<UnitIndex> todo(count);
  std::iota(todo.begin(), todo.end(), 0);
  return todo;
}

}  // namespace

TEST_CASE("work is ordered by decreasing class of cost, within a class by index") {
  const Costs units{1, 5, 3, 5, 0};
  const Chunks chunks = guided_chunks(units, {4, 3, 2, 1, 0}, 2);
  REQUIRE(chunks.order == std::vector<UnitIndex>{1, 3, 2, 0, 4});
  REQUIRE(guided_chunks(units, {4, 0, 3}, 2).order == std::vector<UnitIndex>{3, 0, 4});
  // 8 and 8.9 are one class, 9 and 16 are others.
  const Costs close{8, 9, 8.9F, 16, 1e-40F, 1e38F};
  REQUIRE(guided_chunks(close, all(6), 2).order == std::vector<UnitIndex>{5, 3, 1, 0, 2, 4});
}

TEST_CASE("chunks hold every unit once and shrink with what remains") {
  Costs costs(5000);
  for (std::size_t i = 0; i < costs.size(); ++i) {
    costs[i] = 1.0F + static_cast<float>(i * 7919 % 100);
  }
  const Chunks chunks = guided_chunks(costs, all(costs.size()), 4);
  REQUIRE(chunks.begin.front() == 0);
  REQUIRE(chunks.begin.back() == costs.size());
  std::vector<UnitIndex> sorted = chunks.order;
  std::sort(sorted.begin(), sorted.end());
  REQUIRE(sorted == all(costs.size()));
  double remaining = std::accumulate(costs.begin(), costs.end(), 0.0);
  for (std::size_t k = 0; k < chunks.count(); ++k) {
    double cost = 0.0;
    for (std::size_t i = chunks.begin[k]; i < chunks.begin[k + 1]; ++i) {
      cost += costs[chunks.order[i]];
    }
    REQUIRE(chunks.begin[k + 1] > chunks.begin[k]);
    REQUIRE(
        (cost <= remaining / (4 * kChunksPerRank) || chunks.begin[k + 1] == chunks.begin[k] + 1));
    remaining -= cost;
  }
  REQUIRE(chunks.count() < 1000);
}

TEST_CASE("no units, and costs that are no costs") {
  REQUIRE(guided_chunks({}, {}, 3).count() == 0);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Costs units{nan, 2, -1, 0};
  const Chunks chunks = guided_chunks(units, all(4), 1);
  REQUIRE(chunks.order == std::vector<UnitIndex>{1, 0, 2, 3});
  REQUIRE(chunks.begin.back() == 4);
}

TEST_CASE("shares are contiguous and about equal, half by number and half by cost") {
  REQUIRE(contiguous_shares(Costs({1, 1, 1, 1}), 2) == std::vector<std::size_t>{0, 2, 4});
  REQUIRE(contiguous_shares(Costs({0, 0, 0, 0}), 4) == std::vector<std::size_t>{0, 1, 2, 3, 4});
  // The first four have 0.5 + 0.25 of everything.
  REQUIRE(contiguous_shares(Costs({3, 3, 3, 3, 0, 0, 0, 0}), 3) ==
          std::vector<std::size_t>{0, 2, 4, 8});
  REQUIRE(contiguous_shares(Costs({5}), 3) == std::vector<std::size_t>{0, 1, 1, 1});
  REQUIRE(contiguous_shares({}, 2) == std::vector<std::size_t>{0, 0, 0});
}
