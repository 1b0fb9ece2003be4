#include "skyloom/core/table.hpp"

#include <cmath>

#include <catch2/catch.hpp>

#include "skyloom/core/hash.hpp"

using namespace skyloom;

TEST_CASE("Rows start as missing values and keep what is set") {
  Table table(TableSchema{"t",
                          {{"id", Type::text, "", "name"},
                           {"flux", Type::float64, "", "flux"},
                           {"n", Type::int64, "", "count"},
                           {"ok", Type::boolean, "", "flag"},
                           {"stamp", Type::float32, "", "pixels", {2, 2}}}});
  const std::size_t row = table.add_row();
  CHECK(std::isnan(table.get<double>("flux")[row]));
  CHECK(std::isnan(table.get<float>("stamp")[3]));
  table.set(row, "id", "0007");
  table.set(row, "flux", 1.5);
  table.set(row, "n", 3);
  table.set(row, "ok", true);
  const std::vector<float> stamp{1, 2, 3, 4};
  table.set(row, "stamp", std::span<const float>(stamp));
  CHECK(table.get<std::string>("id")[0] == "0007");
  CHECK(table.get<float>("stamp")[3] == 4.0F);
  CHECK(table.texts("ok")[0] == "True");
  CHECK(table.numbers("n")[0] == 3.0);
  Table other = table;
  other.append(table);
  CHECK(other.rows() == 2);
  CHECK(other.get<float>("stamp").size() == 8);
  other.truncate(1);
  CHECK(other.get<float>("stamp").size() == 4);
  CHECK_THROWS_AS(table.get<float>("flux"), FatalError);
  CHECK_THROWS_AS(table.position("absent"), FatalError);
  CHECK(table.find_ignoring_case(" FLUX ") == 1);
}

TEST_CASE("Numbers as text round-trip in the shortest form") {
  for (const double value : {0.1, 1.0 / 3.0, 1e300, -2.5e-7, 12345678901234567.0}) {
    CHECK(to_number(shortest(value)) == value);
  }
  CHECK(shortest(0.1) == "0.1");
  CHECK(shortest(0.1F) == "0.1");
  CHECK(shortest(std::nan("")).empty());
  CHECK(std::isnan(to_number("1.0x")));
  CHECK(std::isnan(to_number("")));
  CHECK(to_number(" +2.5 ") == 2.5);
}

TEST_CASE("The hash is stable and separates texts") {
  // Part of run directories on disk: a change of these values is a change of format.
  CHECK(Hash(1).text("abc").hex() == Hash(1).text("abc").hex());
  CHECK(Hash(1).text("ab").text("c").hex() != Hash(1).text("a").text("bc").hex());
  CHECK(Hash(1).text("abc").hex() != Hash(2).text("abc").hex());
  CHECK(Hash(0).number(42).text("skyloom").hex() == "a649b7373dfbcff2");
}
