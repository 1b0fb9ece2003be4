#include "skyloom/surveys/light_curve_list.hpp"

#include <cmath>
#include <cstring>

#include "skyloom/core/errors.hpp"
#include "skyloom/surveys/light_curve.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;

namespace {

std::string keys(const surveys::FoundSectors& found) {
  std::string out;
  for (const surveys::SectorFile& file : found.files) {
    out += (out.empty() ? "" : " ") + file.key();
  }
  return out;
}

/// A NumPy file as numpy.lib.format describes it.
std::string npy(char version, const std::string& dictionary, const std::vector<double>& numbers) {
  const std::string header = dictionary + "\n";
  const auto length = static_cast<std::uint32_t>(header.size());
  std::string out = std::string("\x93NUMPY") + version + '\0';
  out.append(reinterpret_cast<const char*>(&length), version == 1 ? 2 : 4);
  out += header;
  return out.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double));
}

std::string shaped(const std::string& shape, const std::string& type = "<f8",
                   const std::string& fortran = "False") {
  return "{'descr': '" + type + "', 'fortran_order': " + fortran + ", 'shape': (" + shape + "), }";
}

}  // namespace

TEST_CASE("Names tell star and sector") {
  const auto name = [](const char* path) {
    const auto found = surveys::sector_of_name(path);
    return found ? std::to_string(found->tic) + "/" + std::to_string(found->sector) : "";
  };
  CHECK(name("/a/tess2018206045859-s0001-0000000410214986-0120-s_lc.fits") == "410214986/1");
  CHECK(name("tess-s0012-0000000358108509-customap-s_lc.fits.gz") == "358108509/12");
  // The first -s is not that of the sector.
  CHECK(name("my-stars-s0003-0000000000000007-x_lc.fits") == "7/3");
  CHECK(name("123_45.csv") == "123/45");
  CHECK(name("/a/123_45.npy") == "123/45");
  CHECK(name("s0001_0000000410214986_lc.fits").empty());
  CHECK(name("tess-s0001-410214986_lc.fits").empty());
  CHECK(name("tess-s0000-0000000410214986_lc.fits").empty());
  CHECK(name("12a_4.csv").empty());
  CHECK(name("star_4.csv").empty());
  CHECK(name("/x-s0001-0000000000000007-y/other_lc.fits").empty());
}

TEST_CASE("Light curves of folders, patterns and lists, each once and in order") {
  const Scratch scratch;
  std::filesystem::create_directories(scratch / "a/b");
  const std::string one = scratch.file("a/b/t-s0002-0000000000000005-x_lc.fits", "").string();
  const std::string two = scratch.file("a/t-s0001-0000000000000012-x_lc.fits.gz", "").string();
  (void)scratch.file("a/t-s0001-0000000000000013-a_fast-lc.fits", "");
  (void)scratch.file("a/readme.txt", "");
  const auto found = [&](std::vector<std::string> paths, const std::string& targets = "") {
    return keys(surveys::find_sectors({std::move(paths), (scratch / "absent").string(), targets}));
  };
  CHECK(found({(scratch / "a").string()}) == "5/2 12/1");
  CHECK(found({two, (scratch / "a/*/*").string(), (scratch / "a").string()}) == "5/2 12/1");
  const std::string list =
      scratch.file("some.lst", "# two\n\na/t-s0001-0000000000000012-x_lc.fits.gz\n" + one).string();
  CHECK(found({list}) == "5/2 12/1");
  CHECK(found({}, list) == "5/2 12/1");
  CHECK(found({(scratch / "a").string()},
              scratch.file("t.csv", "TICID,Tmag\n12,9.5\n77,1\n").string()) == "12/1");
  const auto selected =
      surveys::find_sectors({{(scratch / "a").string()}, "", (scratch / "t.csv").string()});
  CHECK(selected.targets == 2);
  CHECK(selected.without == 1);
  // A broken file that tells no star may be of one that is wanted.
  (void)scratch.file("a/broken_lc.fits", "no FITS");
  CHECK(found({(scratch / "a").string()}, (scratch / "t.csv").string()) ==
        "file/broken_lc.fits 12/1");
}

TEST_CASE("What cannot be searched for is refused in one line") {
  const Scratch scratch;
  const std::string one = scratch.file("t-s0002-0000000000000005-x_lc.fits", "").string();
  const auto problem = [&](std::vector<std::string> paths, const std::string& targets = "") {
    return error_of<ConfigError>([&] {
      (void)surveys::find_sectors({std::move(paths), "", targets});
    });
  };
  CHECK_THAT(problem({(scratch / "no").string()}), Contains("no: is not there"));
  CHECK_THAT(problem({(scratch / "*.fit").string()}), Contains("is not there"));
  CHECK_THAT(problem({scratch.file("x-a_fast-lc.fits", "").string()}), Contains("20 s"));
  CHECK_THAT(problem({one, scratch.file("u-s0002-0000000000000005-y_lc.fits", "").string()}),
             Contains("same star and sector"));
  CHECK_THAT(problem({one}, scratch.file("t.csv", "TICID\n6\n").string()),
             Contains("inputs.targets"));
  CHECK_THAT(problem({one}, scratch.file("b.csv", "TICID\nx\n").string()),
             Contains("column TICID"));
  // A file that tells nothing becomes a unit, which fails with what is wrong.
  CHECK(
      keys(surveys::find_sectors({{scratch.file("noise_lc.fits", "no FITS").string()}, "", ""})) ==
      "file/noise_lc.fits");
}

TEST_CASE("Light curves as text") {
  const Scratch scratch;
  std::string rows = "time_btjd,flux,flux_err,quality\n";
  for (int i = 0; i < 5; ++i) {
    rows += std::to_string(1500.0 + i / 720.0) + "," + std::to_string(10 + i) + ",0.5," +
            (i == 2 ? "128" : "0") + "\n";
  }
  const auto curve = surveys::read_light_curve(
      scratch.file("a.csv", "# TICID = 7\n# SECTOR: 3\n# TEFF = 3400\n# a note\n" + rows).string());
  CHECK(curve.header.tic == 7);
  CHECK(curve.header.sector == 3);
  CHECK(curve.header.teff_k == 3400.0);
  CHECK(curve.flux == std::vector<float>{10, 11, 13, 14});
  CHECK(curve.cadence == std::vector<int>{-1, -1, -1, -1});
  CHECK(surveys::read_light_curve(scratch.file("8_9.csv", rows).string()).header.sector == 9);
  const auto problem = [&](const std::string& name, const std::string& text) {
    return error_of<ConfigError>(
        [&] { (void)surveys::read_light_curve(scratch.file(name, text).string()); });
  };
  CHECK_THAT(problem("b.csv", rows), Contains("TICID"));
  CHECK_THAT(problem("1_1.csv", "time_btjd,flux,quality\n1500,1,0\n"), Contains("flux_err"));
  CHECK_THAT(problem("2_1.csv", "time_btjd,flux,flux_err,quality\n1,1,1,0\n2,1,1,0\n"),
             Contains("120 s"));
}

TEST_CASE("Light curves as NumPy arrays, of every version and order") {
  const Scratch scratch;
  const double step = 1.0 / 720.0;
  const std::vector<double> rows{
      1500,  1500 + step, 1500 + 2 * step, 1500 + 3 * step, 1, 1.5, NAN, 0.75, 0.25, 0.5,
      0.125, NAN};
  std::vector<double> columns;
  for (std::size_t i = 0; i < 4; ++i) {
    columns.insert(columns.end(), {rows[i], rows[4 + i], rows[8 + i]});
  }
  for (const char version : {'\1', '\2', '\3'}) {
    for (const bool fortran : {false, true}) {
      const std::string bytes =
          npy(version, shaped("3, 4", "<f8", fortran ? "True" : "False"), fortran ? columns : rows);
      const auto curve = surveys::read_light_curve(scratch.file("12_34.npy", bytes).string());
      CHECK(curve.header.tic == 12);
      CHECK(curve.header.sector == 34);
      CHECK(std::isnan(curve.header.teff_k));
      CHECK(curve.file_rows == 4);
      CHECK(curve.row == std::vector<int>{0, 1, 3});
      CHECK(curve.time == std::vector<double>{rows[0], rows[1], rows[3]});
      CHECK(curve.flux == std::vector<float>{1.0F, 1.5F, 0.75F});
      CHECK(curve.flux_err[1] == 0.5F);
      CHECK(std::isnan(curve.flux_err[2]));
    }
  }
  (void)scratch.file("array.npy", "of something else");
  (void)scratch.file("7_8.csv", "");
  CHECK(keys(surveys::find_sectors({{(scratch / ".").string()}, "", ""})) == "7/8 12/34");
  CHECK(keys(surveys::find_sectors({{(scratch / "1*.npy").string()}, "", ""})) == "12/34");
}

TEST_CASE("NumPy files that hold anything else are refused in one line") {
  const Scratch scratch;
  const std::vector<double> rows{1500, 1500 + 1.0 / 720.0, 1, 1, 0.5, 0.5};
  const auto problem = [&](const std::string& bytes, const std::string& name = "1_2.npy") {
    return error_of<ConfigError>(
        [&] { (void)surveys::read_light_curve(scratch.file(name, bytes).string()); });
  };
  const std::string good = npy(1, shaped("3, 2"), rows);
  CHECK(problem(good).empty());
  CHECK_THAT(problem(good, "star.npy"), Contains("star.npy") && Contains("TIC_SECTOR.npy"));
  for (const std::size_t bytes : {0U, 5U, 7U, 9U, 20U, 60U}) {
    INFO(bytes);
    CHECK_THAT(problem(good.substr(0, bytes)), Contains("1_2.npy") && Contains("shape (3, cad"));
  }
  CHECK_THAT(problem(good.substr(0, good.size() - 1)), Contains("47 bytes") && Contains("48"));
  CHECK_THAT(problem(good + good), Contains("1_2.npy") && Contains("48"));
  CHECK_THAT(problem(npy(4, shaped("3, 2"), rows)), Contains("version 4"));
  for (const char* type : {"<f4", ">f8", "<i8", "|O"}) {
    CHECK_THAT(problem(npy(1, shaped("3, 2", type), rows)), Contains(type) && Contains("float64"));
  }
  CHECK_THAT(
      problem(npy(1, "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (6,)}", rows)),
      Contains("descr"));
  CHECK_THAT(problem(npy(1, "{'descr': '<f8', 'shape': (3, 2)}", rows)), Contains("fortran_order"));
  for (const char* shape : {"2, 3", "6,", "3, 2, 1", "", "3, -2", "3, 99999999999999999999"}) {
    CHECK_THAT(problem(npy(1, shaped(shape), rows)), Contains("has the shape"));
  }
  CHECK_THAT(problem(npy(1, shaped("3, 2"), {1, 2, 1, 1, 1, 1})), Contains("120 s"));
  CHECK_THAT(problem(npy(1, shaped("3, 3"), {1500, 1500 + 1.0 / 720.0, 1500, 1, 1, 1, 1, 1, 1})),
             Contains("does not increase") || Contains("cadences of"));
}
