// What ties skycells to a detector.

#include "skyloom/surveys/registration.hpp"

#include <algorithm>

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;

TEST_CASE("a list of offsets says what is wrong with it") {
  const Scratch scratch;
  const auto read = [&](const std::string& text) {
    return surveys::read_offset_list(scratch.file("offsets.json", text));
  };
  const auto list = read(
      R"({"sector": 20, "shape": [2, 2], "x_min": 3, "x_max": 9,
          "groups": [{"group_dx": 0.25, "group_dy": -1, "group_id": 7}, {"group_dx": 0, "group_dy": 0.0004}]})");
  CHECK(list.sector == 20);
  CHECK_FALSE(list.camera);
  REQUIRE(list.offsets.size() == 2);
  CHECK(list.offsets[0].dx == 0.25);
  CHECK(list.offsets[0].dy == -1.0);
  CHECK(list.region({0, 10, 0, 20}) == Box{3, 9, 0, 20});
  CHECK_THROWS_WITH(list.region({0, 8, 0, 20}), Contains("offsets.json") && Contains("3 to 9"));
  CHECK_THROWS_WITH(read("[1]"), Contains("offsets.json"));
  CHECK_THROWS_WITH(read("{}"), Contains("groups"));
  CHECK_THROWS_WITH(read(R"({"groups": [{"group_dx": "a", "group_dy": 0}]})"),
                    Contains("groups[0].group_dx"));
  CHECK_THROWS_WITH(read(R"({"groups": [{"group_dx": 1e9, "group_dy": 0}]})"),
                    Contains("group_dx"));
  CHECK_THROWS_WITH(read(R"({"sector": 1.5, "groups": [{"group_dx": 0, "group_dy": 0}]})"),
                    Contains("sector"));
  CHECK_THROWS_WITH(
      read(R"({"groups": [{"group_dx": 0, "group_dy": 0}, {"group_dx": 0.0001, "group_dy": 0}]})"),
      Contains("groups[1]") && Contains("twice"));
}

TEST_CASE("the WCS of a detector becomes that of a region with finer pixels") {
  std::string header;
  for (std::string card : {"TELESCOP= 'TESS    '           / who", "CTYPE1  = 'RA---TAN-SIP'",
                           "CRPIX1  =               1001.5", "CRPIX2  =                 33.0",
                           "CD1_1   =              -0.0058", "PC1_1   =                  1.0",
                           "A_ORDER =                    3", "A_2_1   =                 8e-6",
                           "BP_0_1  =               0.0004", "EXPTIME =                  2.0"}) {
    card.resize(80, ' ');
    header += card;
  }
  const auto cards = surveys::region_cards(header, {100, 200, 30, 60}, 2);
  const auto number = [&](const std::string& keyword) {
    const auto found = std::find_if(cards.begin(), cards.end(), [&](const io::FitsCard& card) {
      return card.first == keyword;
    });
    REQUIRE(found != cards.end());
    return std::get<double>(found->second);
  };
  // A pixel becomes two; the first ones begin at 1/2.
  CHECK(number("CRPIX1") == Approx(2.0 * (901.5 - 0.5) + 0.5));
  CHECK(number("CRPIX2") == Approx(2.0 * (3.0 - 0.5) + 0.5));
  CHECK(number("CD1_1") == Approx(-0.0029));
  CHECK(number("PC1_1") == 1.0);
  CHECK(number("A_2_1") == Approx(2e-6));
  CHECK(number("BP_0_1") == Approx(0.0004));
  CHECK(cards.size() == 9);
  CHECK(std::get<std::int64_t>(cards[6].second) == 3);
}
