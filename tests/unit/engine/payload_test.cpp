#include "engine/payload.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

using namespace skyloom;
using namespace skyloom::engine;

namespace {

Schema schema() {
  return {{{"a",
            {{"id", Type::int64, "", ""},
             {"n", Type::int32, "", ""},
             {"x", Type::float64, "", ""},
             {"name", Type::text, "", ""},
             {"good", Type::boolean, "", ""},
             {"stamp", Type::float32, "", "", {3}}}},
           {"b", {{"y", Type::float32, "", ""}}}},
          {}};
}

}  // namespace

TEST_CASE("rows and claims survive the journal bit for bit") {
  const Schema declared = schema();
  Rows rows(declared);
  Table& a = rows.table("a");
  for (int i = 0; i < 3; ++i) {
    const std::size_t row = a.add_row();
    a.set(row, "id", std::numeric_limits<std::int64_t>::min() + i);
    a.set(row, "x", i == 1 ? -0.0 : std::nextafter(1.0, 2.0) * i);
    a.set(row, "name", std::string("n\0\xCE\xB1", 4));
    a.set(row, "good", i == 2);
  }
  const std::vector<SlabClaim> claims{{2, {1, 2}, {3, 4}, 99}};
  const Payload back = decode_payload(encode_result(rows, claims, 1.5), declared);
  REQUIRE(back.outcome.reason == Reason::none);
  REQUIRE(back.tables.size() == 2);
  REQUIRE(back.tables[0].get<std::int64_t>("id") == a.get<std::int64_t>("id"));
  REQUIRE(std::signbit(back.tables[0].get<double>("x")[1]));
  REQUIRE(back.tables[0].get<std::string>("name") == a.get<std::string>("name"));
  REQUIRE(std::isnan(back.tables[0].get<float>("stamp")[8]));
  REQUIRE(back.tables[1].rows() == 0);
  REQUIRE(back.claims.size() == 1);
  REQUIRE(back.claims[0].start == claims[0].start);
  REQUIRE(back.claims[0].count == claims[0].count);
  REQUIRE(back.claims[0].crc == 99);
  REQUIRE(back.seconds == 1.5);
  // Records of older programs end with the rows.
  std::string older = encode_result(rows, claims, 1.5);
  older.resize(older.size() - sizeof(double));
  const Payload old = decode_payload(older, declared);
  REQUIRE(old.tables[0].get<std::int64_t>("id") == a.get<std::int64_t>("id"));
  REQUIRE(std::isnan(old.seconds));
}

TEST_CASE("a failure keeps reason and text and has no rows") {
  const Payload back =
      decode_payload(encode_failure({Reason::not_converged, "after 50 steps"}, 0.25), schema());
  REQUIRE(back.outcome.reason == Reason::not_converged);
  REQUIRE(back.outcome.text == "after 50 steps");
  REQUIRE(back.tables[0].rows() == 0);
  REQUIRE(back.seconds == 0.25);
}

TEST_CASE("the key of a journal tells schemas and units apart, but not descriptions and costs") {
  Plan first;
  first.schema = schema();
  first.add("a", 1.0);
  const auto with = [&first](const Unit& second) {
    Plan out = first;
    out.units.add(second);
    return out;
  };
  const Plan plan = with({0, "b", 2.0});
  Plan other = with({0, "b", 3.0});
  other.schema.tables[0].columns[1].description = "clearer now";
  REQUIRE(journal_key("abc", plan) == journal_key("abc", other));
  REQUIRE(journal_key("abd", plan) != journal_key("abc", other));
  for (const auto& change : std::vector<std::function<void(Plan&)>>{
           [](Plan& p) { p.schema.tables[0].columns[1].type = Type::int64; },
           [&](Plan& p) {
             p = with({0, "c", 2.0});
           },
           [&](Plan& p) {
             p = with({0, "b", 2.0, {}, {}, 3});
           },
           [&](Plan& p) {
             p = with({0, "b", 2.0, {}, "c"});
           },
           [](Plan& p) { p.add("c", 1.0); }}) {
    other = plan;
    change(other);
    REQUIRE(journal_key("abc", plan) != journal_key("abc", other));
  }
}
