#include <cmath>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/fits.hpp"
#include "skyloom/surveys/gaia.hpp"
#include "skyloom/surveys/source_catalogue.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;

TEST_CASE("A source catalogue has the canonical columns first and keeps the others") {
  const Scratch scratch;
  const auto path = scratch.file("cat.csv",
                                 "note,id, ra ,Dec,type,ell,RE,FLUX_g,n,flux_r\n"
                                 "x,007,10.5,-3.25, exp ,0.1,abc,5,1,9\n"
                                 "y,8,,,STAR,,2.5,,2,9\n");
  std::vector<std::string> notes;
  const Table table = surveys::read_source_catalogue(path.string(), {"g"}, &notes);
  REQUIRE(notes.size() == 1);
  CHECK_THAT(notes[0], Contains("cat.csv") && Contains("\" ra \"") && Contains("\"Dec\""));
  std::vector<std::string> names;
  for (const Column& column : table.columns()) {
    names.push_back(column.name);
  }
  CHECK(names == std::vector<std::string>{"ID", "RA", "DEC", "TYPE", "ELL", "Re", "FLUX_g", "note",
                                          "n", "flux_r"});
  CHECK(table.get<std::string>("ID") == std::vector<std::string>{"007", "8"});
  CHECK(table.get<std::string>("TYPE") == std::vector<std::string>{"EXP", "STAR"});
  CHECK(table.get<double>("DEC")[0] == -3.25);
  CHECK(std::isnan(table.get<double>("RA")[1]));
  CHECK(std::isnan(table.get<double>("Re")[0]));
  CHECK(table.get<double>("Re")[1] == 2.5);
  CHECK(std::isnan(table.get<double>("ELL")[1]));
  CHECK(table.get<double>("FLUX_g")[0] == 5.0);
  CHECK(table.get<std::int64_t>("n")[1] == 2);
}

TEST_CASE("A catalogue of positions alone is enough") {
  const Scratch scratch;
  const auto path = scratch.file("cat.csv", "RA,DEC\n1,2\n1,3\n");
  std::vector<std::string> notes;
  const Table table = surveys::read_source_catalogue(path.string(), {"g", "r"}, &notes);
  CHECK(notes.empty());
  CHECK(table.rows() == 2);
  CHECK(table.get<std::string>("ID")[0].empty());
  CHECK(table.get<std::string>("TYPE")[1].empty());
  CHECK_FALSE(table.has("ELL"));
}

TEST_CASE("A FITS catalogue reads like a CSV one") {
  const Scratch scratch;
  Table table(TableSchema{"cat",
                          {{"RA", Type::float64, "deg", ""},
                           {"DEC", Type::float32, "deg", ""},
                           {"ID", Type::int64, "", ""}}});
  table.add_row();
  table.set(0, "RA", 5.0);
  table.set(0, "DEC", 6.5);
  table.set(0, "ID", std::int64_t{869663330491814144});
  io::write_fits_table(scratch / "cat.fits", table, {});
  const Table back = surveys::read_source_catalogue((scratch / "cat.fits").string(), {});
  CHECK(back.get<std::string>("ID")[0] == "869663330491814144");
  CHECK(back.get<double>("DEC")[0] == 6.5);
}

TEST_CASE("A bad catalogue is named with the columns and rows") {
  const Scratch scratch;
  const auto message = [&](const std::string& content, const std::vector<std::string>& bands) {
    const auto path = scratch.file("bad.csv", content);
    return error_of<ConfigError>(
        [&] { (void)surveys::read_source_catalogue(path.string(), bands); });
  };
  CHECK_THAT(message("ID,x\n1,2\n", {}),
             Contains("bad.csv: input_catalog must have RA/DEC columns"));
  CHECK_THAT(message("RA,DEC,FLUX_g,FLUX_u\n1,2,3,4\n", {"r", "g"}),
             Contains("Band mismatch between input catalog and image list") &&
                 Contains("catalogue only: u") && Contains("images only: r"));
  CHECK_THAT(message("ID,RA,DEC\na,1,2\nb,1,2\na,3,4\n", {}),
             Contains("bad.csv") && Contains("1 rows repeat a key: a (rows 1 and 3)"));
  CHECK_THAT(message("RA,DEC\n1,2\n,\n,\n1.0,2\n", {}), Contains("1, 2 (rows 1 and 4)"));
  std::string many = "ID,RA,DEC\n";
  for (int i = 0; i < 15; ++i) {
    many += "name" + std::to_string(i) + ",1,2\nname" + std::to_string(i) + ",1,2\n";
  }
  const std::string text = message(many, {});
  CHECK_THAT(text, Contains("15 rows") && Contains("name9 (rows 19 and 20)"));
  CHECK_THAT(text, !Contains("name10"));
}

TEST_CASE("A Gaia table keeps nineteen digits and lacks what the file lacks") {
  const Scratch scratch;
  const auto path = scratch.file("gaia.csv",
                                 "source_id,ra,dec,phot_g_mean_mag,mag_g,mag_i\n"
                                 "869663330491814144,110.3,23.9,10.5,10.9,\n");
  const Table table = surveys::read_gaia(path.string(), {"g", "r", "i"});
  CHECK(table.get<std::string>("source_id")[0] == "869663330491814144");
  CHECK(table.get<double>("mag_g")[0] == 10.9);
  CHECK(std::isnan(table.get<double>("mag_i")[0]));
  CHECK_FALSE(table.has("mag_r"));
  CHECK_NOTHROW(surveys::require_zero_point_columns(table, path.string()));
  const auto few = scratch.file("few.csv", "ra,dec,mag_g\n1,2,3\n");
  const Table positions = surveys::read_gaia(few.string(), {"g"});
  CHECK_THAT(
      error_of<ConfigError>([&] { surveys::require_zero_point_columns(positions, few.string()); }),
      Contains("few.csv: GaiaXP CSV missing required column: source_id"));
  const auto bad = scratch.file("bad.csv", "ra,mag_g\n1,2\n");
  CHECK_THAT(error_of<ConfigError>([&] { (void)surveys::read_gaia(bad.string(), {"g"}); }),
             Contains("bad.csv: GaiaXP CSV missing required column: dec"));
}

TEST_CASE("stars of Gaia keep their 64-bit identifiers") {
  const Scratch scratch;
  const auto path = scratch.file(
      "stars.csv",
      "source_id,ra,dec,phot_g_mean_mag,phot_bp_mean_mag,phot_rp_mean_mag\n"
      "6917528997577384321,10.5,-3.25,13.1,13.6,12.4\n9007199254740993,,1,12,12,12\n,11,2,9,,\n");
  const std::vector<surveys::GaiaStar> stars = surveys::read_gaia_stars(path.string());
  REQUIRE(stars.size() == 2);
  CHECK(stars[0].source_id == 6917528997577384321LL);
  CHECK(stars[0].dec_deg == -3.25);
  CHECK(stars[0].rp_mag == 12.4);
  CHECK(stars[1].source_id == 0);
  CHECK(std::isnan(stars[1].bp_mag));
  const auto few = scratch.file("few.csv", "ra,dec,phot_g_mean_mag,phot_bp_mean_mag\n1,2,3,4\n");
  CHECK_THAT(error_of<ConfigError>([&] { (void)surveys::read_gaia_stars(few.string()); }),
             Contains("few.csv") && Contains("phot_rp_mean_mag"));
  const auto bad = scratch.file(
      "bad.csv",
      "source_id,ra,dec,phot_g_mean_mag,phot_bp_mean_mag,phot_rp_mean_mag\nx1,1,2,3,4,5\n");
  CHECK_THAT(error_of<ConfigError>([&] { (void)surveys::read_gaia_stars(bad.string()); }),
             Contains("row 1") && Contains("x1"));
}
