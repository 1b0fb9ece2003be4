#include "engine/dry_run.hpp"

#include <catch2/catch.hpp>

using namespace skyloom::engine;

TEST_CASE("a stage takes its share of the ranks, but no less than its longest unit") {
  const std::vector<StageWork> work{{100.0, 1.0}, {40.0, 20.0}};
  CHECK(wall_time_s(work, 1) == Approx(140.0));
  CHECK(wall_time_s(work, 2) == Approx(70.0));
  CHECK(wall_time_s(work, 10) == Approx(30.0));
  CHECK(wall_time_s({}, 4) == 0.0);
}

TEST_CASE("the suggested geometry fills a node first, then takes as many as the target needs") {
  const std::vector<StageWork> large{{64.0 * 3600.0 * 8, 10.0}};
  const Geometry eight = suggest_geometry(large, 64, 3600.0);
  CHECK(eight.nodes == 8);
  CHECK(eight.ranks_per_node == 64);
  CHECK(eight.wall_s == Approx(3600.0));
  CHECK(eight.busy == Approx(1.0));
  CHECK(suggest_geometry(large, 64, 4 * 3600.0).nodes == 2);
}

TEST_CASE("no ranks are suggested that would wait for the longest unit") {
  const Geometry few = suggest_geometry({{80.0, 20.0}}, 64, 1.0);
  CHECK(few.nodes == 1);
  CHECK(few.ranks_per_node == 4);
  const Geometry none = suggest_geometry({}, 3, 1.0);
  CHECK(none.nodes == 1);
  CHECK(none.ranks_per_node == 3);
}
