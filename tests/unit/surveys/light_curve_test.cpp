#include "skyloom/surveys/light_curve.hpp"

#include <cmath>
#include <limits>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/fits.hpp"
#include "skyloom/io/hdf5.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;

namespace {

const double kNone = std::numeric_limits<double>::quiet_NaN();
const std::string kData = SKYLOOM_TEST_DATA;

/// Six cadences: good, no time, bad bit, no flux, an outlier bit that stays, no error.
Table cadences() {
  Table table(TableSchema{"LIGHTCURVE",
                          {{"TIME", Type::float64, "d", ""},
                           {"CADENCENO", Type::int32, "", ""},
                           {"SAP_FLUX", Type::float32, "", ""},
                           {"PDCSAP_FLUX", Type::float32, "", ""},
                           {"PDCSAP_FLUX_ERR", Type::float32, "", ""},
                           {"QUALITY", Type::int32, "", ""}}});
  for (int i = 0; i < 6; ++i) {
    const std::size_t row = table.add_row();
    table.set(row, "TIME", i == 1 ? kNone : 1400.0 + i / 720.0);
    table.set(row, "CADENCENO", 5000 + i);
    table.set(row, "SAP_FLUX", 1.0);
    table.set(row, "PDCSAP_FLUX", i == 3 ? kNone : 100.0 + i);
    table.set(row, "PDCSAP_FLUX_ERR", i == 5 ? kNone : 2.0);
    table.set(row, "QUALITY", i == 2 ? 8 : i == 4 ? 512 : 0);
  }
  return table;
}

std::vector<io::FitsCard> cards() {
  return {{"EXTNAME", std::string("LIGHTCURVE")},
          {"TICID", std::int64_t{4611686018427}},
          {"SECTOR", std::int64_t{7}},
          {"CAMERA", std::int64_t{2}},
          {"TIMEDEL", 120.0 / 86400.0},
          {"TEFF", kNone},
          {"TESSMAG", 9.5}};
}

std::string refusal(const Table& table, const std::vector<io::FitsCard>& with) {
  const Scratch scratch;
  io::write_fits_table(scratch / "x_lc.fits", table, with);
  return error_of<ConfigError>(
      [&] { (void)surveys::read_light_curve((scratch / "x_lc.fits").string()); });
}

}  // namespace

TEST_CASE("Cadences without time or flux or with a bad quality bit are dropped") {
  const Scratch scratch;
  const std::string path = (scratch / "x_lc.fits").string();
  io::write_fits_table(path, cadences(), cards());
  const surveys::LightCurve curve = surveys::read_light_curve(path);
  CHECK(curve.file_rows == 6);
  CHECK(curve.row == std::vector<int>{0, 4, 5});
  CHECK(curve.cadence == std::vector<int>{5000, 5004, 5005});
  CHECK(curve.flux == std::vector<float>{100.0F, 104.0F, 105.0F});
  CHECK(curve.time[1] == 1400.0 + 4 / 720.0);
  CHECK(curve.flux_err[0] == 2.0F);
  CHECK(std::isnan(curve.flux_err[2]));
  CHECK(surveys::read_light_curve(path, 8191).row == std::vector<int>{0, 5});
  CHECK(surveys::read_light_curve(path, 0).row == std::vector<int>{0, 2, 4, 5});

  const surveys::LightCurveHeader header = surveys::read_light_curve_header(path);
  CHECK(header.tic == 4611686018427);
  CHECK(header.sector == 7);
  CHECK(header.camera == 2);
  CHECK(header.ccd == 0);
  CHECK(header.tess_mag == 9.5);
  CHECK(std::isnan(header.teff_k));
  CHECK(std::isnan(header.ra_deg));
}

TEST_CASE("Light curves that cannot be used are refused in one line") {
  std::vector<io::FitsCard> changed = cards();
  changed[4].second = 20.0 / 86400.0;
  CHECK_THAT(refusal(cadences(), changed), Contains("cadences of 20.0"));
  // Without the card TIMEDEL, or whatever it says, the times count.
  Table fast = cadences();
  for (std::size_t row = 0; row < fast.rows(); ++row) {
    fast.set(row, "TIME", 1400.0 + static_cast<double>(row) * 20.0 / 86400.0);
  }
  CHECK_THAT(refusal(fast, cards()), Contains("cadences of 20.0"));
  changed = cards();
  changed.erase(changed.begin() + 4);
  CHECK_THAT(refusal(fast, changed), Contains("cadences of 20.0"));
  CHECK(refusal(cadences(), changed).empty());
  changed = cards();
  changed.erase(changed.begin() + 1);
  CHECK_THAT(refusal(cadences(), changed), Contains("has no card TICID"));
  changed = cards();
  changed[0].second = std::string("OTHER");
  CHECK_THAT(refusal(cadences(), changed), Contains("has no HDU named LIGHTCURVE"));
  Table table = cadences();
  table.set(5, "TIME", 1400.0);
  CHECK_THAT(refusal(table, cards()), Contains("TIME does not increase at row 5"));
  Table without(TableSchema{"LIGHTCURVE", {{"TIME", Type::float64, "d", ""}}});
  CHECK_THAT(refusal(without, cards()), Contains("has no column PDCSAP_FLUX"));

  const Scratch scratch;
  io::write_fits_table(scratch / "cut_lc.fits", cadences(), cards());
  std::filesystem::resize_file(scratch / "cut_lc.fits",
                               std::filesystem::file_size(scratch / "cut_lc.fits") - 2880);
  CHECK_THAT(error_of<ConfigError>(
                 [&] { (void)surveys::read_light_curve((scratch / "cut_lc.fits").string()); }),
             Contains("cut_lc.fits"));
  CHECK_THAT(error_of<ConfigError>(
                 [&] { (void)surveys::read_light_curve((scratch / "none_lc.fits").string()); }),
             Contains("none_lc.fits"));
}

TEST_CASE("Kept rows of real light curves with synthetic bad rows between them") {
  if (!std::filesystem::exists(kData + "/flares")) {
    WARN("skipped: no folder " << kData);
    return;
  }
  for (const char* target : {"tic2760232_s2", "tic188646744_s55"}) {
    const io::Hdf5File expected(kData + "/flares/expected_" + target + ".h5");
    const surveys::LightCurve curve =
        surveys::read_light_curve(kData + "/flares/" + expected.attribute("/", "fits").value());
    INFO(target);
    CHECK(std::to_string(curve.file_rows) == expected.attribute("/", "n_rows_file").value());
    std::vector<int> row(expected.shape("row")[0]);
    expected.read_rows("row", Type::int32, 0, row.size(), std::as_writable_bytes(std::span(row)));
    CHECK(curve.row == row);
    CHECK(std::isnan(curve.header.teff_k));
  }
}

TEST_CASE("Light curves of other origin, compressed ones too") {
  if (!std::filesystem::exists(kData + "/flares_real")) {
    WARN("skipped: no folder " << kData);
    return;
  }
  const surveys::LightCurve quiet = surveys::read_light_curve(
      kData + "/flares_real/hlsp_tess-data-alerts_tess_phot_00025155310-s01_tess_v1_lc.fits.gz");
  CHECK(quiet.header.tic == 25155310);
  CHECK(quiet.header.sector == 1);
  CHECK(quiet.header.teff_k == Approx(5800.0));
  CHECK(quiet.header.ra_deg == Approx(63.37389));
  CHECK(quiet.file_rows == 20076);
  CHECK(quiet.row.size() > 17000);
  // No background and centroid columns, no temperature.
  const surveys::LightCurve dwarf = surveys::read_light_curve(
      kData + "/flares_real/tess-s0003-0000000029928567-customap-s_lc.fits");
  CHECK(dwarf.header.tess_mag == Approx(8.539));
  CHECK(dwarf.row.size() == 13452);
}
