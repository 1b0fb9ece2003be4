// Where files of skycells are found, and real cut-outs of stacks.

#include <cmath>
#include <filesystem>
#include <iostream>
#include <utility>

#include "skyloom/core/table.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/sky/wcs.hpp"
#include "skyloom/surveys/skycell_image.hpp"

#include "unit/io/scratch.hpp"
#include "unit/io/zarr_store.hpp"

using namespace skyloom;
using surveys::SkycellFormat;
using surveys::SkycellPlane;
using surveys::SkycellReader;

namespace {

const std::string kData = SKYLOOM_TEST_DATA;

}  // namespace

TEST_CASE("Skycell files: folders and names", "[skycell]") {
  const Scratch scratch;
  const std::filesystem::path root = scratch / "root";
  const surveys::SkycellId id{635, 0, 9};
  const auto found = [&](SkycellFormat format, const std::string& band, SkycellPlane plane) {
    const auto path = surveys::find_skycell_plane(root, format, id, band, plane);
    return path ? path->lexically_relative(root).string() : "";
  };
  const std::string file = "skycell.0635.009.stk.";
  CHECK(found(SkycellFormat::fits, "r", SkycellPlane::image).empty());
  CHECK(surveys::expected_skycell_plane(root, SkycellFormat::fits, id, "r", SkycellPlane::mask) ==
        root / "0635/009/rings.v3.skycell.0635.009.stk.r.unconv.mask.fits");
  const std::pair<std::string, SkycellPlane> written[] = {
      {"0635/009/rings.v3." + file + "r.unconv.fits", SkycellPlane::image},
      {"0635/rings.v3." + file + "i.unconv.mask.fits", SkycellPlane::mask},
      {"rings.v3.skycell/0635/009/rings.v3." + file + "z.unconv.wt.fits", SkycellPlane::variance},
      {file + "y.unconv.fits.fz", SkycellPlane::image}};
  for (const auto& [path, plane] : written) {
    write_file(root / path, "x");
    const std::string band(1, path[path.find(".unconv") - 1]);
    CHECK(found(SkycellFormat::fits, band, plane) == path);
  }
  CHECK(found(SkycellFormat::fits, "r", SkycellPlane::mask).empty());
  ZarrSpec spec;
  write_zarr(root / "0635/skycell.0635.009/r", spec, [](int, int) { return 1.0; });
  spec.format = 2;
  write_zarr(root / "635/rings.v3.skycell.0635.009/i_mask", spec, [](int, int) { return 1.0; });
  CHECK(found(SkycellFormat::zarr, "r", SkycellPlane::image) == "0635/skycell.0635.009/r");
  CHECK(found(SkycellFormat::zarr, "i", SkycellPlane::mask) ==
        "635/rings.v3.skycell.0635.009/i_mask");
  CHECK(found(SkycellFormat::zarr, "r", SkycellPlane::variance).empty());
}

TEST_CASE("Skycell image: real stack cut-outs", "[skycell]") {
  const std::string folder = kData + "/ps1_real/";
  if (!std::filesystem::exists(folder + "PS1_r.fits")) {
    std::cout << "skipped: " << folder << " is not there\n";
    return;
  }
  const Table reference = io::read_csv(folder + "sep_reference.csv");
  const surveys::Skycell cell = surveys::tessellation_cell({1329, 0, 5});
  int measured = 0;
  for (const auto& [band, exptime] : {std::pair("g", 860.0), std::pair("r", 720.0),
                                      std::pair("i", 1860.0), std::pair("z", 720.0)}) {
    CAPTURE(band);
    const SkycellReader reader(folder + "PS1_" + band + ".fits", SkycellFormat::fits,
                               SkycellPlane::image);
    const surveys::SkycellHeader& header = reader.header();
    CHECK(header.exptime_s == exptime);
    CHECK(header.scaling.linear);
    CHECK_FALSE(header.integers.has_value());
    CHECK(surveys::parse_skycell_name(reader.text("SKYCELL").value_or("")) == cell.id);
    CHECK(reader.text("FPA.FILTER").value_or("").substr(0, 1) == band);
    // The cut-out lies on the pixel grid that the ring table gives the cell.
    const double x0 = cell.crpix[0] - to_number(reader.text("CRPIX1").value_or(""));
    const double y0 = cell.crpix[1] - to_number(reader.text("CRPIX2").value_or(""));
    CHECK((x0 == 811.0 && y0 == 3923.0));
    const double pixel[2][2] = {{0.0, 239.0}, {0.0, 239.0}};
    const double in_cell[2][2] = {{x0, x0 + 239.0}, {y0, y0 + 239.0}};
    double ra[2][2];
    double dec[2][2];
    sky::Wcs(reader.wcs_cards(), band).to_sky(pixel[0], pixel[1], ra[0], dec[0]);
    sky::Wcs(cell.wcs_cards(), band).to_sky(in_cell[0], in_cell[1], ra[1], dec[1]);
    for (int corner = 0; corner < 2; ++corner) {
      CHECK(sky::separation_arcsec(ra[0][corner], dec[0][corner], ra[1][corner], dec[1][corner]) <
            1e-5);
    }
    // Aperture magnitudes of another program, from counts per second and zero point 25.
    const Image<float> flux = reader.read_flux({0, 240, 0, 240});
    for (std::size_t row = 0; row < reference.rows(); ++row) {
      if (reference.texts("survey")[row] != "PS1" || reference.texts("band")[row] != band) {
        continue;
      }
      const double x = reference.numbers("x")[row];
      const double y = reference.numbers("y")[row];
      const double background = reference.numbers("background")[row] / exptime;
      constexpr double kRadius = 8.0;
      double sum = 0.0;
      for (int j = 0; j < 240; ++j) {
        for (int i = 0; i < 240; ++i) {
          sum += std::hypot(i - x, j - y) <= kRadius ? flux(j, i) - background : 0.0;
        }
      }
      const double mag = surveys::kSkycellZeroPoint - 2.5 * std::log10(sum);
      // The other program took a local background, which holds some of the galaxy's light.
      const bool is_galaxy = reference.numbers("source")[row] == 0.0;
      CHECK(std::abs(mag - reference.numbers("mag_ab")[row]) < (is_galaxy ? 0.05 : 0.13));
      ++measured;
    }
  }
  CHECK(measured == 8);
}
