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
    plan.units.add({0, keys[i], 0.25 * static_cast<double>(i), i == 2 ? "f1.fits" : "",
                    keys[keys.size() - 1 - i], static_cast<std::uint32_t>(i)});
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
  plan.units = {};
  plan.items.clear();
  for (int i = 0; i < 10000; ++i) {
    plan.add("field/patch/r" + std::to_string(i), 1.0);
  }
  CHECK(plan_to_bytes(plan).size() < 10000 * 11);
  CHECK_THROWS_AS(plan.add(std::string("a\0b", 3), 1.0), FatalError);
}

TEST_CASE("units are found by index and one after the other, whatever they lack") {
  Plan plan;
  const auto key = [](std::size_t i) { return i % 7 == 3 ? "" : "field/" + std::to_string(i * i); };
  for (std::size_t i = 0; i < 1000; ++i) {
    // Sources and items begin late, in the middle of a run of texts.
    plan.units.add({0,
                    key(i),
                    1.0,
                    i < 500 ? "" : "file" + std::to_string(i / 3),
                    {},
                    i < 333 ? 0U : static_cast<std::uint32_t>(i)});
  }
  const auto is_right = [&](const Unit& unit, std::size_t i) {
    return unit.index == i && unit.key == key(i) && unit.random_key.empty() &&
           unit.source == (i < 500 ? "" : "file" + std::to_string(i / 3)) &&
           unit.items == (i < 333 ? 0 : i);
  };
  std::size_t i = 0;
  for (const Unit& unit : plan.units) {
    REQUIRE(is_right(unit, i));
    REQUIRE(is_right(plan.units[i], i));
    ++i;
  }
  REQUIRE(i == 1000);
  UnitList::Iterator at = plan.units.from(497);
  for (i = 497; i < 520; ++i, ++at) {
    REQUIRE(is_right(*at, i));
  }
}
