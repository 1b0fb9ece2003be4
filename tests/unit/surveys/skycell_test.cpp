// Names of skycells and the ring table, against the published tables where these are there.

#include "skyloom/surveys/skycell.hpp"

#include <cmath>
#include <filesystem>
#include <iostream>
#include <limits>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/fits.hpp"
#include "skyloom/sky/wcs.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;
using surveys::SkycellId;

namespace {

const std::string kData = std::string(SKYLOOM_TEST_DATA) + "/ps1/";

bool data_missing(const std::string& name) {
  if (std::filesystem::exists(kData + name)) {
    return false;
  }
  std::cout << "skipped: " << kData + name << " is not there\n";
  return true;
}

}  // namespace

TEST_CASE("Skycell names: both conventions, any case", "[skycell]") {
  const SkycellId id{1405, 5, 3};
  for (const char* name : {"skycell.1405.053", "rings.v3.skycell.1405.053",
                           "RINGS.V3.Skycell.1405.053", " SKYCELL.01405.053 "}) {
    CAPTURE(name);
    CHECK(surveys::parse_skycell_name(name) == id);
    CHECK(surveys::parse_skycell_name(name, 1405) == id);
  }
  CHECK(surveys::parse_skycell_name("053", 1405) == id);
  CHECK_FALSE(surveys::parse_skycell_name("053").has_value());
  CHECK(surveys::parse_skycell_name("skycell.0635.009") == SkycellId{635, 0, 9});
  CHECK(surveys::parse_skycell_name("skycell.635.009") == SkycellId{635, 0, 9});
  for (const char* name : {"", "skycell", "skycell.1405", "skycell.1405.53", "skycell.1405.153",
                           "skycell.1405.0533", "skycell.x.053", "skycell..053", "skycell.0.053",
                           "skycell.-1.053", "rings.v4.skycell.1405.053", "skycell.99999999.053"}) {
    CAPTURE(name);
    CHECK_FALSE(surveys::parse_skycell_name(name).has_value());
    CHECK_FALSE(surveys::parse_skycell_name(name, 7).has_value());
  }
  CHECK(id.name() == "skycell.1405.053");
  CHECK((SkycellId{635, 0, 9}.name() == "skycell.0635.009"));
  CHECK((SkycellId{635, 9, 9} < SkycellId{636, 0, 0}));
  CHECK((SkycellId{635, 1, 9} < SkycellId{635, 2, 0}));
}

TEST_CASE("Tessellation: rings follow each other without gaps", "[skycell]") {
  int next = 635;
  double dec = -31.988927151841324;
  for (const surveys::TessellationRing& ring : surveys::rings_v3()) {
    CHECK(ring.first == next);
    CHECK(ring.dec_min_deg == dec);
    CHECK(ring.dec_max_deg > ring.dec_min_deg);
    CHECK(std::abs(ring.dec_deg - (4.0 * ring.zone - 90.0)) < 1e-12);
    next += ring.count;
    dec = ring.dec_max_deg;
  }
  CHECK(next == 2644);
  CHECK(surveys::ring_of_projection(634) == nullptr);
  CHECK(surveys::ring_of_projection(2644) == nullptr);
  REQUIRE(surveys::ring_of_projection(1405) != nullptr);
  CHECK(surveys::ring_of_projection(1405)->zone == 23);
}

TEST_CASE("Tessellation: the one published header", "[skycell]") {
  const surveys::Skycell cell = surveys::tessellation_cell({1405, 5, 3});
  CHECK(cell.width == 6240);
  CHECK(cell.height == 6243);
  CHECK(cell.crval_deg[0] == 332.0);
  CHECK(cell.crval_deg[1] == 2.0);
  CHECK(cell.crpix[0] == 11760.0);
  CHECK(cell.crpix[1] == 242.0);
  // x grows towards the west, y to the north.
  const surveys::Skycell west = surveys::tessellation_cell({1405, 5, 4});
  const surveys::Skycell north = surveys::tessellation_cell({1405, 6, 3});
  CHECK(west.ra_deg < cell.ra_deg);
  CHECK(north.dec_deg > cell.dec_deg);
  CHECK(cell.crpix[0] - west.crpix[0] == 6240 - 480);
  CHECK(cell.crpix[1] - north.crpix[1] == 6243 - 480);
  CHECK_THAT(error_of<ConfigError>([] {
               (void)surveys::tessellation_cell({634, 0, 0});
             }),
             Contains("no projection 634: 635 to 2643"));
  CHECK_THROWS_AS(surveys::tessellation_cell({1405, 10, 0}), ConfigError);
}

TEST_CASE("Tessellation: the table of STScI", "[skycell]") {
  if (data_missing("ps1grid.fits")) {
    return;
  }
  const Table table = io::read_fits_table(kData + "ps1grid.fits");
  const auto rings = surveys::rings_v3();
  REQUIRE(table.rows() == rings.size());
  for (std::size_t i = 0; i < rings.size(); ++i) {
    const surveys::TessellationRing& ring = rings[i];
    const auto value = [&](const char* column) { return table.numbers(column)[i]; };
    CAPTURE(ring.zone);
    CHECK(value("ZONE") == ring.zone);
    CHECK(value("PROJCELL") == ring.first);
    CHECK(value("NBAND") == ring.count);
    CHECK(value("DEC") == ring.dec_deg);
    CHECK(std::abs(value("DEC_MIN") - ring.dec_min_deg) < 1e-12);
    CHECK(std::abs(value("DEC_MAX") - ring.dec_max_deg) < 1e-12);
    CHECK(value("XCELL") == ring.width);
    CHECK(value("YCELL") == ring.height);
    CHECK(value("CRPIX1") == ring.crpix1);
    CHECK(value("CRPIX2") == ring.crpix2);
  }
}

TEST_CASE("Tessellation: all projections", "[skycell]") {
  if (data_missing("projections_rings_v3.csv")) {
    return;
  }
  const Table table = io::read_csv(kData + "projections_rings_v3.csv", {"projection"});
  REQUIRE(table.rows() == 2009);
  const auto projection = table.texts("projection");
  const auto ra = table.numbers("CRVAL1");
  const auto dec = table.numbers("CRVAL2");
  const auto width = table.numbers("NAXIS1");
  const auto height = table.numbers("NAXIS2");
  const auto crpix1 = table.numbers("ring_CRPIX1");
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const surveys::Skycell cell =
        surveys::tessellation_cell({static_cast<int>(to_number(projection[i])), 5, 5});
    wrong += cell.id.projection_text() != projection[i] ||
             std::abs(cell.crval_deg[0] - ra[i]) > 1e-9 || cell.crval_deg[1] != dec[i] ||
             cell.width != width[i] || cell.height != height[i] || cell.crpix[0] != crpix1[i];
  }
  CHECK(wrong == 0);
}

TEST_CASE("Tessellation: sampled cells and neighbours on the sky", "[skycell]") {
  if (data_missing("skycells_sample.csv")) {
    return;
  }
  const surveys::SkycellList list = surveys::read_skycell_list(kData + "skycells_sample.csv");
  REQUIRE(list.cells.size() == 1200);
  CHECK(list.warnings.empty());
  CHECK(list.padding_sources.empty());
  double worst_arcsec = 0.0;
  double worst_crval_deg = 0.0;
  std::size_t wrong = 0;
  for (const surveys::Skycell& listed : list.cells) {
    const surveys::Skycell cell = surveys::tessellation_cell(listed.id);
    wrong += cell.width != listed.width || cell.height != listed.height ||
             cell.crpix != listed.crpix || cell.cd != listed.cd || listed.radesys != "FK5";
    for (std::size_t axis = 0; axis < 2; ++axis) {
      worst_crval_deg =
          std::max(worst_crval_deg, std::abs(cell.crval_deg[axis] - listed.crval_deg[axis]));
    }
    worst_arcsec = std::max(worst_arcsec, sky::separation_arcsec(cell.ra_deg, cell.dec_deg,
                                                                 listed.ra_deg, listed.dec_deg));
  }
  CHECK(wrong == 0);
  // The file has twelve digits of CRVAL and nine decimals of RA and DEC.
  CHECK(worst_crval_deg < 1e-8);
  CHECK(worst_arcsec < 1e-5);
  // The file is in order of projection, y, x, as the list is.
  CHECK(list.cells.front().line == 0);
  CHECK(list.cells.back().line == 1199);
}

TEST_CASE("Tessellation: lists without a CSV", "[skycell]") {
  const auto list = surveys::named_skycells(
      {"rings.v3.skycell.1405.053", "skycell.1404.099", "skycell.1405.052"}, "inputs.cells");
  REQUIRE(list.cells.size() == 3);
  CHECK(list.cells[0].id == SkycellId{1404, 9, 9});
  CHECK(list.cells[0].line == 1);
  CHECK(list.cells[2].id == SkycellId{1405, 5, 3});
  CHECK(list.find({1405, 5, 2}) == &list.cells[1]);
  CHECK(list.find({1405, 5, 1}) == nullptr);
  CHECK_THAT(error_of<ConfigError>([] { surveys::named_skycells({"053"}, "inputs.cells"); }),
             Contains("inputs.cells: \"053\" is no skycell"));
  CHECK_THAT(error_of<ConfigError>([] {
               surveys::named_skycells({"skycell.1405.053", "rings.v3.skycell.1405.053"}, "k");
             }),
             Contains("k: skycell.1405.053 is named twice"));
  CHECK(surveys::skycells_of_projections({1405, 2643}, "inputs.projections").cells.size() == 200);
  CHECK_THAT(error_of<ConfigError>([] { surveys::skycells_of_projections({12}, "p"); }),
             Contains("p: RINGS.V3 has no projection 12"));
}
