// The files of the simulated tessellation: read back by the readers of real ones, they hold what
// was drawn.

#include "pipelines/skycells/simulate.hpp"

#include <algorithm>
#include <cmath>

#include "pipelines/skycells/simulate_sky.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/fits.hpp"
#include "skyloom/sky/wcs.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using namespace skyloom::skycells;
using surveys::SkycellFormat;
using surveys::SkycellPlane;

TEST_CASE("Simulated skycells: files read back as they were drawn", "[skycells]") {
  const Scratch scratch;
  simulate({scratch / "survey", "tiny", 5});
  const SimulatedSky sky = make_sky(sky_options("tiny", 5));
  const auto data = scratch / "survey/data";
  const auto list =
      surveys::read_skycell_list((data / "skycell_pixel_mapping/sector_0020/camera_3/ccd_3/"
                                         "tess_s0020_3_3_master_skycells_list.csv")
                                     .string());
  REQUIRE(list.cells.size() == 15);
  const surveys::Skycell& cell = list.cells[3];
  const Box whole{0, cell.width, 0, cell.height};
  const auto path = surveys::find_skycell_plane(data / "ps1_skycells", SkycellFormat::fits, cell.id,
                                                "z", SkycellPlane::image);
  REQUIRE(path);
  const io::FitsFile file(*path);
  CHECK(file.hdu() == 1);
  CHECK(file.text("ZCMPTYPE") == "RICE_1");
  CHECK(file.number("ZTILE2") == 1.0);
  CHECK(file.number("ZBITPIX") == 16.0);
  CHECK(file.number("PC001001") == -1.0);
  CHECK(file.text("SKYCELL") == cell.id.name());
  CHECK(file.text("HIERARCH FPA.FILTER") == "z.00000");
  CHECK_FALSE(file.text("RADESYS"));
  const SimulatedPlane plane = draw_plane(sky, sky.list.cells[3], 2);
  const surveys::SkycellReader image(*path, SkycellFormat::fits, SkycellPlane::image);
  REQUIRE(image.header().integers);
  CHECK(image.header().integers->bzero == plane.scaling.integers.bzero);
  CHECK(image.header().integers->bscale == plane.scaling.integers.bscale);
  CHECK(image.header().integers->blank == plane.scaling.integers.blank);
  CHECK(image.header().exptime_s == plane.scaling.exptime_s);
  const Image<float> flux = image.read_flux(whole);
  int wrong = 0;
  for (int y = 0; y < cell.height; ++y) {
    for (int x = 0; x < cell.width; ++x) {
      const std::int16_t stored = plane.stored(y, x);
      const bool is_blank = stored == plane.scaling.integers.blank;
      const double v = plane.scaling.integers.bzero + plane.scaling.integers.bscale * stored;
      const double expected = plane.scaling.asinh.counts(v) / plane.scaling.exptime_s;
      wrong += is_blank ? !std::isnan(flux(y, x))
                        : std::abs(static_cast<double>(flux(y, x)) - expected) >
                              1e-5 * (1.0 + std::abs(expected));
    }
  }
  CHECK(wrong == 0);
  const auto mask_path = surveys::find_skycell_plane(data / "ps1_skycells", SkycellFormat::fits,
                                                     cell.id, "z", SkycellPlane::mask);
  REQUIRE(mask_path);
  const surveys::SkycellReader mask(*mask_path, SkycellFormat::fits, SkycellPlane::mask);
  const Image<std::uint16_t> bits = mask.read_mask(whole);
  CHECK(std::equal(bits.pixels().begin(), bits.pixels().end(), plane.mask.pixels().begin()));
  const auto names = surveys::skycell_mask_bits(mask);
  CHECK(std::find(names.begin(), names.end(),
                  std::pair<std::string, std::uint16_t>{"STARCORE", 0x1000}) != names.end());
  // Detector pixels of the maps are where the two WCS say, and each belongs to one cell.
  const auto mapping = data / "skycell_pixel_mapping/sector_0020/camera_3/ccd_3";
  const io::FitsFile master(mapping / "tess_s0020_3_3_master_pixels2skycells.fits.gz", 1);
  const sky::Wcs detector(master.cards(), "master");
  const Box grid{0, master.width(), 0, master.height()};
  const auto owner = master.read_integers(grid);
  const sky::Wcs wcs(cell.wcs_cards(), "cell");
  for (const int oversample : {1, 2}) {
    const auto folder =
        oversample == 1 ? mapping
                        : data / "skycell_pixel_mapping/oversampling_2/sector_0020/camera_3/ccd_3";
    const auto map = io::FitsFile(folder / ("tess_s0020_3_3_" + cell.id.name() +
                                            (oversample == 1 ? ".fits.gz" : "_os2.fits.gz")),
                                  1)
                         .read_integers(whole);
    int mapped = 0;
    int off = 0;
    for (int y = 0; y < cell.height; y += 7) {
      for (int x = 0; x < cell.width; x += 7) {
        double u = x;
        double v = y;
        double ra = 0.0;
        double dec = 0.0;
        wcs.to_sky({&u, 1}, {&v, 1}, {&ra, 1}, {&dec, 1});
        detector.to_pixel({&ra, 1}, {&dec, 1}, {&u, 1}, {&v, 1});
        const std::int64_t index = map(y, x);
        if (index >= 0) {
          const std::int64_t width = std::int64_t{oversample} * grid.width();
          off += std::abs((u + 0.5) * oversample - 0.5 - static_cast<double>(index % width)) > 0.51;
          off += std::abs((v + 0.5) * oversample - 0.5 - static_cast<double>(index / width)) > 0.51;
          ++mapped;
        } else if (oversample == 1) {
          off += owner(static_cast<int>(std::lround(v)), static_cast<int>(std::lround(u))) == 3 &&
                 std::abs(u - std::round(u)) < 0.49 && std::abs(v - std::round(v)) < 0.49;
        }
      }
    }
    CHECK(mapped > 500);
    CHECK(off == 0);
  }
  CHECK(io::read_csv(scratch / "survey/truth.csv").rows() == sky.stars.size());
  CHECK_THROWS_AS(simulate({scratch / "other", "huge", 5}), ConfigError);
}
