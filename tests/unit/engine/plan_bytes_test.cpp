#include "engine/plan_bytes.hpp"

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"

using namespace skyloom;
using namespace skyloom::engine;

TEST_CASE("a plan comes back from its bytes, in few bytes per unit") {
  Plan plan;
  plan.schema.tables.push_back({"things", {{"c", Type::float64, "Jy", "a flux", {3}}}});
  plan.schema.slabs.push_back({"image", Type::float32, {4, 5}, "", "pixels", 1});
  const std::string long_key(300, 'k');
  const std::vector<std::string> keys{"f1/patch/00", "f1/patch/01", "f1/patch/01",  "",
                                      "f2",          long_key,      long_key + "a", "f2/\xc3\xa9"};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    plan.add(keys[i], 0.25 * static_cast<double>(i), i == 2 ? "f1.fits" : "");
    plan.units.back().random_key = keys[keys.size() - 1 - i];
    plan.units.back().items = static_cast<std::uint32_t>(i);
  }
  plan.items = "steps";
  const Plan back = plan_from_bytes(plan_to_bytes(plan));
  REQUIRE(back.units.size() == keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    CHECK(back.units[i].index == i);
    CHECK(back.units[i].key == keys[i]);
    CHECK(back.units[i].cost == 0.25 * static_cast<double>(i));
    CHECK(back.units[i].source == (i == 2 ? "f1.fits" : ""));
    CHECK(back.units[i].random_key == keys[keys.size() - 1 - i]);
    CHECK(back.units[i].items == i);
  }
  CHECK(back.items == "steps");
  const Plan list = unit_list_from_bytes(unit_list_to_bytes(plan));
  REQUIRE(list.units.size() == keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    CHECK(list.units[i].key == keys[i]);
    CHECK(list.units[i].items == i);
  }
  CHECK(list.items == "steps");
  CHECK(back.schema == plan.schema);
  CHECK(plan_from_bytes(plan_to_bytes(Plan{})).units.empty());
  plan.units.clear();
  plan.items.clear();
  for (int i = 0; i < 10000; ++i) {
    plan.add("field/patch/r" + std::to_string(i), 1.0);
  }
  CHECK(plan_to_bytes(plan).size() < 10000 * 9);
  plan.add(std::string("a\0b", 3), 1.0);
  CHECK_THROWS_AS(plan_to_bytes(plan), FatalError);
}
