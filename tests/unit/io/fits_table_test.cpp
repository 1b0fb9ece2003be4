#include <cmath>
#include <limits>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/fits.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;

namespace {

const std::string kData = SKYLOOM_TEST_DATA;

Table sample(std::size_t rows) {
  Table table(TableSchema{"SOURCES",
                          {{"id", Type::text, "", "name"},
                           {"flag", Type::boolean, "", ""},
                           {"n", Type::int32, "", "count"},
                           {"source_id", Type::int64, "", ""},
                           {"mag", Type::float32, "mag", "AB magnitude"},
                           {"ra", Type::float64, "deg", "right ascension"},
                           {"stamp", Type::float32, "adu", "pixels", {2, 3}}}});
  table.add_rows(rows);
  std::vector<float> stamp(6);
  for (std::size_t i = 0; i < rows; ++i) {
    table.set(i, "id", std::string(i % 5, 'a'));
    table.set(i, "flag", i % 2 == 1);
    table.set(i, "n", static_cast<int>(i) - 5);
    table.set(i, "source_id", std::int64_t{869663330491814144} + static_cast<std::int64_t>(i));
    table.set(i, "mag", i == 1 ? std::numeric_limits<double>::quiet_NaN() : 20.5);
    table.set(i, "ra", i == 0 ? std::numeric_limits<double>::quiet_NaN() : 1.0 / 3.0);
    for (std::size_t j = 0; j < 6; ++j) {
      stamp[j] = static_cast<float>(10 * i + j);
    }
    table.set(i, "stamp", std::span<const float>(stamp));
  }
  return table;
}

}  // namespace

TEST_CASE("A table reads back with names, units, shapes and values") {
  const Scratch scratch;
  const Table table = sample(2000);
  io::write_fits_table(scratch / "t.fits", table, {{"ORIGIN", "skyloom"}, {"ZP", 25.1}});
  const Table back = io::read_fits_table(scratch / "t.fits");
  CHECK(back.schema() == table.schema());
  CHECK(back.get<std::string>("id") == table.get<std::string>("id"));
  CHECK(back.get<std::uint8_t>("flag") == table.get<std::uint8_t>("flag"));
  CHECK(back.get<std::int32_t>("n") == table.get<std::int32_t>("n"));
  CHECK(back.get<std::int64_t>("source_id") == table.get<std::int64_t>("source_id"));
  CHECK(std::isnan(back.get<float>("mag")[1]));
  CHECK(std::isnan(back.get<double>("ra")[0]));
  CHECK(back.get<double>("ra")[1999] == 1.0 / 3.0);
  CHECK(back.get<float>("stamp") == table.get<float>("stamp"));
  CHECK(io::fits_number(scratch / "t.fits", -1, "ZP") == 25.1);
  CHECK_FALSE(io::fits_number(scratch / "t.fits", 1, "NOTHING").has_value());
}

TEST_CASE("Tables without rows or with text arrays are written too") {
  const Scratch scratch;
  io::write_fits_table(scratch / "empty.fits", sample(0), {});
  CHECK(io::read_fits_table(scratch / "empty.fits").rows() == 0);
  Table words(TableSchema{"w", {{"pair", Type::text, "", "", {2}}}});
  words.add_rows(2);
  auto& values = words.get<std::string>("pair");
  values = {"a", "longer", "", "b"};
  io::write_fits_table(scratch / "w.fits", words, {});
  const Table back = io::read_fits_table(scratch / "w.fits");
  CHECK(back.columns()[0].shape == std::vector<std::size_t>{2});
  CHECK(back.get<std::string>("pair") == values);
}

TEST_CASE("A table that cannot be read is named") {
  const Scratch scratch;
  io::write_fits_image(scratch / "i.fits", Image<float>(3, 3).view(), {});
  const auto message = [](const std::filesystem::path& path, int hdu) {
    return error_of<ConfigError>([&] { (void)io::read_fits_table(path, hdu); });
  };
  CHECK_THAT(message(scratch / "i.fits", -1), Contains("i.fits") && Contains("has no table"));
  CHECK_THAT(message(scratch / "i.fits", 0), Contains("is an image"));
  io::write_fits_table(scratch / "t.fits", sample(3000), {});
  std::filesystem::resize_file(scratch / "t.fits", 20000);
  CHECK_THAT(message(scratch / "t.fits", -1), Contains("t.fits") && Contains("cannot be read"));
}

TEST_CASE("PSFEx tables are readable in both layouts") {
  if (!std::filesystem::exists(kData)) {
    WARN("skipped: no folder " << kData);
    return;
  }
  const std::string cards = kData + "/decam/decam-520206-S16-psfex.fits";
  const Table old_layout = io::read_fits_table(cards);
  CHECK(old_layout.name() == "PSF_DATA");
  CHECK(old_layout.columns()[0].shape == std::vector<std::size_t>{6, 63, 63});
  CHECK(io::fits_number(cards, -1, "POLZERO1").value() == Approx(1026.53061676));
  // Central sample of the constant plane, as astropy shows it.
  const Table columns =
      io::read_fits_table(kData + "/decam_multi/c4d_150110_053718_ooi_z_ls9-psfex.fits");
  CHECK(columns.get<double>("polzero1")[0] == 728.5);
  CHECK(columns.get<float>("psf_mask")[31 * 63 + 31] == Approx(0.04276289F).epsilon(1e-6));
  CHECK(columns.get<std::string>("polname1")[0] == "X_IMAGE");
}

TEST_CASE("a copy of some columns keeps headers and numbers; a file that is cut off is known") {
  const Scratch scratch;
  io::write_fits_table(scratch / "all.fits", sample(40), {{"EXTNAME", std::string("SOURCES")}},
                       {{"OBJECT", std::string("M 31")}, {"RUN", std::int64_t{7}}});
  io::copy_fits_columns(scratch / "all.fits", scratch / "some.fits", "SOURCES",
                        {"RA", "n", "absent"});
  const Table some = io::read_fits_table(scratch / "some.fits");
  const Table all = io::read_fits_table(scratch / "all.fits");
  REQUIRE(some.columns().size() == 2);
  CHECK(some.columns()[0].name == "n");
  CHECK(some.get<std::int32_t>("n") == all.get<std::int32_t>("n"));
  CHECK(some.columns()[1].unit == "deg");
  CHECK(some.get<double>("ra")[39] == all.get<double>("ra")[39]);
  const io::FitsFile primary(scratch / "some.fits", 0);
  CHECK(primary.text("OBJECT") == "M 31");
  CHECK(primary.number("RUN") == 7.0);
  CHECK(primary.hdu_count() == 2);
  CHECK_THAT(error_of<ConfigError>([&] {
               io::copy_fits_columns(scratch / "all.fits", scratch / "x.fits", "OTHER", {"n"});
             }),
             Contains("OTHER"));

  io::check_fits_sums(scratch / "some.fits");  // has none
  const std::string bytes = io::read_text(scratch / "some.fits");
  for (const std::size_t size : {bytes.size() / 2, bytes.size() - 1, bytes.size() - 2880}) {
    CHECK_FALSE(error_of<ConfigError>([&] {
                  io::check_fits_sums(scratch.file("cut.fits", bytes.substr(0, size)));
                }).empty());
  }
}
