#include "skyloom/sky/psf.hpp"

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"

using namespace skyloom;
using namespace skyloom::sky;

namespace {

double total(const Image<float>& image) {
  double sum = 0.0;
  for (const float value : image.pixels()) {
    sum += static_cast<double>(value);
  }
  return sum;
}

double gaussian(double x, double y, double sigma) {
  return std::exp(-0.5 * (x * x + y * y) / (sigma * sigma));
}

}  // namespace

TEST_CASE("The Moffat stamp has the values of the closed formula") {
  const auto psf = make_moffat_psf(4.0, 3.5, 24.3);
  const PsfStamp stamp = psf->at(1.0, 2.0);
  REQUIRE(stamp.values.width() == 51);
  REQUIRE(stamp.values.height() == 51);
  CHECK(stamp.half_size_pix() == 25);
  CHECK(stamp.values(25, 25) == Approx(0.04357487).epsilon(1e-6));
  CHECK(stamp.values(25, 26) == Approx(0.036158282).epsilon(1e-6));
  CHECK(stamp.values(26, 26) == Approx(0.030288735).epsilon(1e-6));
  CHECK(stamp.values(25, 50) == Approx(1.6804876e-07).epsilon(1e-6));
  CHECK(total(stamp.values) == Approx(1.0).epsilon(1e-6));
  CHECK(psf->is_constant());
  CHECK(psf->fwhm_pix() == 4.0);
  CHECK(measured_fwhm_pix(stamp) == Approx(4.0).epsilon(0.01));
}

TEST_CASE("An oversampled stamp agrees with the native one at whole pixels") {
  const PsfStamp native = make_moffat_psf(3.0, 2.5, 10.0)->at(0, 0);
  for (const int s : {2, 3, 4}) {
    const PsfStamp fine = make_moffat_psf(3.0, 2.5, 10.0, s)->at(0, 0);
    CHECK(fine.oversampling == s);
    CHECK(fine.half_size_pix() == 10);
    REQUIRE(fine.values.width() % 2 == 1);
    const int centre = fine.values.width() / 2;
    CHECK(fine.values(centre, centre) == native.values(10, 10));
    CHECK(fine.values(centre + 3 * s, centre - 4 * s) == native.values(13, 6));
    CHECK(total(fine.values) == Approx(s * s).epsilon(0.02));
    CHECK(measured_fwhm_pix(fine) == Approx(3.0).epsilon(0.01));
  }
}

TEST_CASE("Gaussians keep their flux however narrow they are") {
  for (const double sigma : {0.3, 1.0, 3.0}) {
    const PsfStamp stamp = make_gaussian_psf({sigma}, {2.0}, 8.0 * sigma + 1.0)->at(0, 0);
    CHECK(total(stamp.values) == Approx(1.0).epsilon(1e-6));
  }
  const auto two = make_gaussian_psf({1.5, 3.75}, {0.85, 0.15}, 25.0);
  const PsfStamp stamp = two->at(0, 0);
  const double pi = std::acos(-1.0);
  const double expected = 0.85 / (2 * pi * 2.25) * gaussian(2, 1, 1.5) +
                          0.15 / (2 * pi * 14.0625) * gaussian(2, 1, 3.75);
  CHECK(stamp.values(26, 27) == Approx(expected).epsilon(1e-6));
  CHECK(make_gaussian_psf({2.0}, {1.0}, 9.0)->fwhm_pix() == Approx(4.70964).epsilon(1e-5));
  CHECK(two->fwhm_pix() > 3.5);
  CHECK(two->fwhm_pix() < 4.0);
}

TEST_CASE("A stamp is cleaned and normalised") {
  Image<float> values(3, 3, 1.0F);
  values(0, 0) = std::numeric_limits<float>::quiet_NaN();
  values(2, 2) = std::numeric_limits<float>::infinity();
  values(1, 1) = 3.0F;
  const PsfStamp plain = make_stamp_psf(values, 1, false)->at(5, 5);
  CHECK(total(plain.values) == Approx(9.0));
  const PsfStamp unit = make_stamp_psf(values, 1, true)->at(5, 5);
  CHECK(unit.values(1, 1) == Approx(1.0 / 3.0));
  CHECK(unit.values(0, 0) == 0.0F);
  CHECK(total(make_stamp_psf(values, 2, true)->at(0, 0).values) == Approx(4.0));
}

TEST_CASE("Impossible PSFs are errors") {
  CHECK_THROWS_AS(make_moffat_psf(0.0, 3.5, 5.0), ConfigError);
  CHECK_THROWS_AS(make_moffat_psf(4.0, 1.0, 5.0), ConfigError);
  CHECK_THROWS_AS(make_moffat_psf(4.0, 2.0, 0.0), ConfigError);
  CHECK_THROWS_AS(make_gaussian_psf({1.0}, {}, 5.0), ConfigError);
  CHECK_THROWS_AS(make_gaussian_psf({-1.0}, {1.0}, 5.0), ConfigError);
  CHECK_THROWS_AS(make_stamp_psf(Image<float>(4, 4, 1.0F), 1, true), ConfigError);
  CHECK_THROWS_AS(make_stamp_psf(Image<float>(3, 3, 0.0F), 1, true), ConfigError);
  PsfexModel model;
  model.planes.assign(5, Image<float>(3, 3, 1.0F));
  model.degree = 2;
  CHECK_THROWS_AS(make_psfex_psf(model, 0, 0), ConfigError);
}

TEST_CASE("A PSFEx polynomial is evaluated term by term") {
  PsfexModel model;
  model.degree = 2;
  model.x_zero = 100.0;
  model.y_zero = 200.0;
  model.x_scale = 50.0;
  model.y_scale = 25.0;
  for (int plane = 0; plane < 6; ++plane) {
    model.planes.emplace_back(3, 3, 0.0F);
    model.planes.back()(1, 1) = std::pow(10.0F, static_cast<float>(plane));
  }
  // 0-based (34, 9) in a cut-out beginning at (90, 240) is 1-based (125, 250): u = 0.5, v = 2.
  const auto psf = make_psfex_psf(model, 90.0, 240.0);
  const double expected = 1.0 + 10.0 * 0.5 + 100.0 * 0.25 + 1000.0 * 2 + 1e4 * 1.0 + 1e5 * 4.0;
  CHECK(psf->at(34.0, 9.0).values(1, 1) == Approx(expected));
  CHECK_FALSE(psf->is_constant());
}

TEST_CASE("A PSFEx model of another sampling step is resampled with its flux") {
  const double sigma = 1.6;
  for (const double step : {0.5, 0.7, 1.3}) {
    PsfexModel model;
    model.step_pix = step;
    model.planes.emplace_back(61, 61);
    double sum = 0.0;
    for (int y = 0; y < 61; ++y) {
      for (int x = 0; x < 61; ++x) {
        sum += gaussian((x - 30) * step, (y - 30) * step, sigma);
      }
    }
    for (int y = 0; y < 61; ++y) {
      for (int x = 0; x < 61; ++x) {
        model.planes[0](y, x) =
            static_cast<float>(gaussian((x - 30) * step, (y - 30) * step, sigma) / sum);
      }
    }
    const auto psf = make_psfex_psf(model, 0, 0);
    const PsfStamp stamp = psf->at(0, 0);
    REQUIRE(stamp.values.width() == 2 * static_cast<int>(30 * step) + 1);
    CHECK(total(stamp.values) == Approx(1.0).epsilon(1e-5));
    const int c = stamp.values.width() / 2;
    const double norm = 1.0 / (2.0 * std::acos(-1.0) * sigma * sigma);
    // Half a per cent of the centre: the ripple of a Lanczos-3 kernel on samples this coarse.
    CHECK(stamp.values(c, c) == Approx(norm).epsilon(0.005));
    CHECK(stamp.values(c + 1, c + 2) == Approx(norm * gaussian(2, 1, sigma)).margin(0.005 * norm));
    CHECK(psf->fwhm_pix() == Approx(2.35482 * sigma).epsilon(0.01));
    CHECK(psf->is_constant());
  }
}
