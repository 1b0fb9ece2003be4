#include "skyloom/surveys/psf_file.hpp"

#include "skyloom/core/errors.hpp"
#include "skyloom/io/fits.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;

namespace {

const std::string kData = SKYLOOM_TEST_DATA;

double total(const Image<float>& image) {
  double sum = 0.0;
  for (const float value : image.pixels()) {
    sum += static_cast<double>(value);
  }
  return sum;
}

}  // namespace

TEST_CASE("PSFEx models of both layouts are evaluated in CCD coordinates") {
  if (!std::filesystem::exists(kData + "/decam")) {
    WARN("skipped: no folder " << kData);
    return;
  }
  const auto psf = surveys::load_psf(kData + "/decam/decam-520206-S16-psfex.fits", 34.0, 1464.0);
  CHECK(psf->fwhm_pix() == Approx(5.94086742));
  CHECK_FALSE(psf->is_constant());
  // X = 70, Y = 1500 (1-based CCD) is pixel (35, 35) of the cut-out; values from numpy on the file.
  const sky::PsfStamp stamp = psf->at(35.0, 35.0);
  REQUIRE(stamp.values.width() == 63);
  CHECK(total(stamp.values) == Approx(1.0011436465720482).epsilon(1e-6));
  CHECK(stamp.values(31, 31) == Approx(0.027504505515250802).epsilon(1e-6));
  CHECK(stamp.values(31, 32) == Approx(0.02443924609664967).epsilon(1e-6));
  CHECK(stamp.values(30, 31) == Approx(0.023907492139071992).epsilon(1e-6));
  CHECK(stamp.values(25, 40) == Approx(0.00018927818541371918).epsilon(1e-4));
  CHECK(stamp.values(40, 25) == Approx(7.305495028096783e-05).epsilon(1e-4));

  const auto columns =
      surveys::load_psf(kData + "/decam_multi/c4d_150110_053718_ooi_z_ls9-psfex.fits", 0.0, 0.0);
  CHECK(columns->fwhm_pix() == Approx(4.8822031));
  // Where both polynomial variables are 0 only the first plane remains.
  CHECK(columns->at(727.5, -1023.08412099).values(31, 31) == Approx(0.04276289).epsilon(1e-6));
  CHECK(total(columns->at(727.5, -1023.08412099).values) == Approx(1.0220908).epsilon(1e-6));
}

TEST_CASE("A stamp in an image is normalised, oversampled or not") {
  const Scratch scratch;
  Image<float> values(9, 9, 1.0F);
  values(4, 4) = 20.0F;
  io::write_fits_image(scratch / "s.fits", values.view(), {});
  const auto psf = surveys::load_psf((scratch / "s.fits").string(), 0, 0);
  CHECK(total(psf->at(3, 3).values) == Approx(1.0));
  io::write_fits_image(scratch / "o.fits", values.view(), {{"OVERSAMP", std::int64_t{3}}});
  const auto fine = surveys::load_psf((scratch / "o.fits").string(), 0, 0);
  CHECK(fine->at(0, 0).oversampling == 3);
  CHECK(total(fine->at(0, 0).values) == Approx(9.0));
}

TEST_CASE("A file that holds no PSF is named") {
  const Scratch scratch;
  const auto message = [&](const std::string& name) {
    return error_of<ConfigError>([&] { (void)surveys::load_psf((scratch / name).string(), 0, 0); });
  };
  CHECK_THAT(message("none.fits"), Contains("none.fits") && Contains("does not exist"));
  io::write_fits_image(scratch / "even.fits", Image<float>(4, 4, 1.0F).view(), {});
  CHECK_THAT(message("even.fits"), Contains("even.fits") && Contains("odd"));
  io::write_fits_image(scratch / "half.fits", Image<float>(5, 5, 1.0F).view(), {{"OVERSAMP", 1.5}});
  CHECK_THAT(message("half.fits"), Contains("half.fits") && Contains("OVERSAMP"));
  Table table(TableSchema{"t", {{"a", Type::int32, "", ""}}});
  table.add_row();
  io::write_fits_table(scratch / "t.fits", table, {});
  CHECK_THAT(message("t.fits"), Contains("t.fits") && Contains("PSF_MASK"));
  Table psfex(TableSchema{"p", {{"PSF_MASK", Type::float32, "", "", {3, 5, 5}}}});
  psfex.add_row();
  io::write_fits_table(scratch / "p.fits", psfex, {});
  CHECK_THAT(message("p.fits"), Contains("p.fits") && Contains("POLDEG1"));
}
