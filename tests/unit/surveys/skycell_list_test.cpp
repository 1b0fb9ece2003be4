// Lists of skycells from metadata CSV files.

#include <cmath>

#include "skyloom/core/errors.hpp"
#include "skyloom/surveys/skycell.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;
using surveys::PadSide;
using surveys::SkycellId;

namespace {

constexpr const char* kHeader =
    "CRPIX1,CRPIX2,NAME,NAXIS1,NAXIS2,CRVAL1,CRVAL2,CD1_1,CD1_2,CD2_1,CD2_2,comment";

std::string line(const std::string& name, const std::string& more = "", int width = 300) {
  return "\n10,20," + name + "," + std::to_string(width) + ",200,30,-5,-7e-5,0,0,7e-5,\"a, b\"" +
         more;
}

std::string complaint(const Scratch& scratch, const std::string& content, int limit = 0) {
  const std::string path = scratch.file("cells.csv", content).string();
  const std::string text =
      error_of<ConfigError>([&] { (void)surveys::read_skycell_list(path, limit); });
  CHECK(text.find('\n') == std::string::npos);
  return text;
}

}  // namespace

TEST_CASE("Skycell list: order, names, limit", "[skycell]") {
  const Scratch scratch;
  const std::string path =
      scratch
          .file("cells.csv", kHeader + line("skycell.10000.000") + line("skycell.2000.012") +
                                 line("rings.v3.skycell.2000.010") + line("SKYCELL.0900.099"))
          .string();
  const surveys::SkycellList list = surveys::read_skycell_list(path);
  REQUIRE(list.cells.size() == 4);
  // Numbers, not texts: 10000 comes last.
  CHECK(list.cells[0].id == SkycellId{900, 9, 9});
  CHECK(list.cells[1].id == SkycellId{2000, 1, 0});
  CHECK(list.cells[1].line == 2);
  CHECK(list.cells[2].id == SkycellId{2000, 1, 2});
  CHECK(list.cells[3].id == SkycellId{10000, 0, 0});
  CHECK(list.cells[0].cd == std::array<double, 4>{-7e-5, 0.0, 0.0, 7e-5});
  // Without RA and DEC the centre comes from the WCS.
  CHECK(std::abs(list.cells[0].dec_deg - (-5.0 + (99.5 - 19.0) * 7e-5)) < 1e-5);
  CHECK(surveys::read_skycell_list(path, 2).cells.size() == 3);
  CHECK(surveys::read_skycell_list(path, 9).cells.size() == 4);
}

TEST_CASE("Skycell list: paddings", "[skycell]") {
  const Scratch scratch;
  const std::string header = std::string(kHeader) + ",projection,pad_skycell_left,pad_skycell_top";
  const std::string content =
      header + line("skycell.1405.053", ",1405,skycell.1405.052,nan") +
      line("skycell.1405.054", ",1405,None,skycell.1406.001/ rings.v3.skycell.1495.090 ,009") +
      line("skycell.1406.001", ",1406,,");
  SECTION("separated by / and, quoted, by commas") {
    const std::string path =
        scratch
            .file(
                "cells.csv",
                header + line("skycell.1405.053", ",1405,skycell.1405.052,nan") +
                    line("054", ",1405,None,\"skycell.1406.001/ rings.v3.skycell.1495.090 ,009\"") +
                    line("skycell.1406.001", ",1406,,"))
            .string();
    const surveys::SkycellList list = surveys::read_skycell_list(path);
    CHECK(list.cells[0].pads.empty());
    REQUIRE(list.cells[1].pads.size() == 1);
    CHECK(list.cells[1].pads[0].side == PadSide::top);
    CHECK(list.cells[1].pads[0].sources == std::vector<SkycellId>{{1406, 0, 1}, {1495, 9, 0}});
    // A source without a line comes from the tessellation.
    REQUIRE(list.padding_sources.size() == 1);
    CHECK(list.padding_sources[0].width == 6291);
    CHECK(list.find({1495, 9, 0}) == nullptr);
    CHECK(list.find_source({1495, 9, 0}) == &list.padding_sources[0]);
    CHECK(list.find_source({1406, 0, 1}) == &list.cells[2]);
    // Beyond the limit a cell is still a source, with the WCS of its line.
    const surveys::SkycellList first = surveys::read_skycell_list(path, 1);
    CHECK(first.cells.size() == 2);
    REQUIRE(first.padding_sources.size() == 2);
    CHECK(first.padding_sources[0].width == 300);
  }
  SECTION("one comma too many") {
    CHECK_THAT(complaint(scratch, content), Contains("cells.csv"));
  }
  SECTION("no name") {
    CHECK_THAT(complaint(scratch, header + line("skycell.1405.053", ",1405,here,")),
               Contains("line 2: pad_skycell_left is \"here\""));
  }
  SECTION("a source that nobody knows") {
    CHECK_THAT(
        complaint(scratch, header + line("skycell.1405.053", ",1405,skycell.0004.000,")),
        Contains("line 2: pad_skycell_left is \"skycell.0004.000\": cells that have a line"));
  }
}

TEST_CASE("Skycell list: scale as CDELT and PC", "[skycell]") {
  const Scratch scratch;
  const auto cd_of = [&](const std::string& columns, const std::string& values) {
    return surveys::read_skycell_list(
               scratch
                   .file("cells.csv", "NAME,NAXIS1,NAXIS2,CRVAL1,CRVAL2,CRPIX1,CRPIX2," + columns +
                                          "\nskycell.0900.000,10,10,3,4,5,6," + values)
                   .string())
        .cells[0]
        .cd;
  };
  CHECK(cd_of("CDELT1,CDELT2", "-2e-5,3e-5") == std::array<double, 4>{-2e-5, 0.0, 0.0, 3e-5});
  CHECK(cd_of("CDELT1,CDELT2,PC1_1,PC1_2,PC2_1,PC2_2", "2e-5,3e-5,-1,0.5,0.25,1") ==
        std::array<double, 4>{-2e-5, 1e-5, 0.75e-5, 3e-5});
  // CD wins.
  CHECK(cd_of("CDELT1,CDELT2,CD1_1,CD1_2,CD2_1,CD2_2", "1,1,-2e-5,0,0,2e-5") ==
        std::array<double, 4>{-2e-5, 0.0, 0.0, 2e-5});
}

TEST_CASE("Skycell list: what is wrong with a file", "[skycell]") {
  const Scratch scratch;
  const std::string header = kHeader;
  const std::string good = line("skycell.1405.053");
  CHECK(complaint(scratch, header + good).empty());
  CHECK_THAT(complaint(scratch, header), Contains("lists no skycell"));
  CHECK_THAT(complaint(scratch, "NAME,NAXIS1\nskycell.1405.053,5"),
             Contains("cells.csv: has no column NAXIS2"));
  CHECK_THAT(complaint(scratch, "NAME,NAXIS1,NAXIS2\nskycell.1405.053,5,5"),
             Contains("has no column CRVAL1"));
  CHECK_THAT(complaint(scratch, header + good + line("skycell.1405")),
             Contains("line 3: NAME is \"skycell.1405\""));
  CHECK_THAT(complaint(scratch, header + good + line("rings.v3.skycell.1405.053")),
             Contains("line 3: NAME is \"rings.v3.skycell.1405.053\": every cell once"));
  CHECK_THAT(complaint(scratch, header + line("skycell.1405.053", "", 0)),
             Contains("line 2: NAXIS1 is \"0\""));
  CHECK_THAT(complaint(scratch, header + ",x" + line("skycell.1405.053", ",4")),
             Contains("line 2: x is \"4\": 3 as in skycell.1405.053"));
  CHECK_THAT(complaint(scratch, header + ",projection" + line("skycell.1405.053", ",1406")),
             Contains("projection is \"1406\": 1405 as in"));
  CHECK_THAT(complaint(scratch, header + ",CTYPE1" + line("skycell.1405.053", ",RA---XYZ")),
             Contains("line 2: CTYPE1 is \"RA---XYZ\": RA---TAN"));
  std::string singular = header + good;
  singular.replace(singular.find("-7e-5"), 5, "0");
  CHECK_THAT(complaint(scratch, singular), Contains("line 2: its CD or CDELT and PC are singular"));
  std::string no_number = header + good;
  no_number.replace(no_number.find("-5,-7e-5"), 2, "south");
  CHECK_THAT(complaint(scratch, no_number), Contains("line 2: CRVAL2 is \"south\": a number"));
}

TEST_CASE("Skycell list: cells of several sizes are a warning", "[skycell]") {
  const Scratch scratch;
  const surveys::SkycellList list = surveys::read_skycell_list(
      scratch
          .file("cells.csv", kHeader + line("skycell.1405.053") + line("skycell.1405.054", "", 290))
          .string());
  REQUIRE(list.warnings.size() == 1);
  CHECK_THAT(list.warnings[0], Contains("projection 1405 has cells of 2 sizes"));
}
