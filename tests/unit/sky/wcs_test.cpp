#include "skyloom/sky/wcs.hpp"

#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/fits.hpp"

using namespace skyloom;

namespace {

const std::string kData = SKYLOOM_TEST_DATA;

std::string card(std::string text) {
  text.resize(80, ' ');
  return text;
}

std::string header(const std::string& projection, const std::vector<std::string>& more = {}) {
  std::string out = card("CTYPE1  = 'RA---" + projection + "'") +
                    card("CTYPE2  = 'DEC--" + projection + "'") + card("CRVAL1  = 150.25") +
                    card("CRVAL2  = -32.5") + card("CRPIX1  = 1024.5") + card("CRPIX2  = 1000.0") +
                    card("CD1_1   = -1.1E-4") + card("CD1_2   = 2.0E-6") +
                    card("CD2_1   = 3.0E-6") + card("CD2_2   = 1.2E-4");
  for (const std::string& text : more) {
    out += card(text);
  }
  return out + card("END");
}

const std::vector<std::string> kSip{"A_ORDER = 2",      "A_2_0   = 2.0E-6", "A_1_1   = -1.0E-6",
                                    "A_0_2   = 5.0D-7", "B_ORDER = 2",      "B_2_0   = -3.0E-7",
                                    "B_1_1   = 1.5E-6", "B_0_2   = 1.0E-6"};
const std::vector<std::string> kTpv{"PV1_0   = 1.0E-5", "PV1_1   = 1.002", "PV1_2   = 1.0E-4",
                                    "PV1_7   = 3.0E-3", "PV2_1   = 0.999", "PV2_4   = -2.0E-3"};

const std::array<double, 4> kX{0.0, 1023.5, 2000.0, 100.25};
const std::array<double, 4> kY{0.0, 999.0, 1500.5, 1900.75};

void check_sky(const sky::Wcs& wcs, const std::array<double, 8>& expected) {
  std::array<double, 4> ra{};
  std::array<double, 4> dec{};
  wcs.to_sky(kX, kY, ra, dec);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(ra[i] == Approx(expected[2 * i]).margin(1e-9));
    CHECK(dec[i] == Approx(expected[2 * i + 1]).margin(1e-9));
  }
}

double worst_round_trip(const sky::Wcs& wcs) {
  std::vector<double> x;
  std::vector<double> y;
  // More points than WCSLIB is given at a time.
  for (int i = 0; i < 60; ++i) {
    for (int j = 0; j < 50; ++j) {
      x.push_back(34.7 * i);
      y.push_back(40.3 * j);
    }
  }
  std::vector<double> ra(x.size());
  std::vector<double> dec(x.size());
  std::vector<double> x_back(x.size());
  std::vector<double> y_back(x.size());
  wcs.to_sky(x, y, ra, dec);
  wcs.to_pixel(ra, dec, x_back, y_back);
  double worst = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    worst = std::max({worst, std::abs(x[i] - x_back[i]), std::abs(y[i] - y_back[i])});
  }
  return worst;
}

}  // namespace

TEST_CASE("TAN and SIP agree with astropy 5.2") {
  // astropy.wcs.WCS(header).all_pix2world(x, y, 0) of the same cards.
  check_sky(sky::Wcs(header("TAN"), "t"),
            {150.38130106465707, -32.62288199974816, 150.25, -32.5, 150.1239171347138,
             -32.436827725768005, 150.37241030687068, -32.39450071555843});
  check_sky(sky::Wcs(header("TAN-SIP", kSip), "t"),
            {150.38110067451186, -32.622611400748255, 150.25, -32.5, 150.12371779461913,
             -32.436738896767544, 150.37202526083738, -32.394575220110966});
}

TEST_CASE("Pixels to sky and back give the same pixels") {
  CHECK(worst_round_trip(sky::Wcs(header("TAN"), "t")) < 1e-8);
  CHECK(worst_round_trip(sky::Wcs(header("TAN-SIP", kSip), "t")) < 1e-7);
  CHECK(worst_round_trip(sky::Wcs(header("TPV", kTpv), "t")) < 1e-7);
}

TEST_CASE("A TPV polynomial under the name TAN is applied") {
  const sky::Wcs named(header("TPV", kTpv), "t");
  const sky::Wcs disguised(header("TAN", kTpv), "t");
  std::array<double, 4> ra{};
  std::array<double, 4> dec{};
  named.to_sky(kX, kY, ra, dec);
  check_sky(disguised, {ra[0], dec[0], ra[1], dec[1], ra[2], dec[2], ra[3], dec[3]});
  CHECK(disguised.elements().distortion == named.elements().distortion);
}

TEST_CASE("A position that does not project is NaN and spoils no other") {
  const sky::Wcs wcs(header("TAN"), "t");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::array<double, 4> ra{150.25, 330.25, nan, 150.3};
  const std::array<double, 4> dec{-32.5, 32.5, 10.0, -32.4};
  std::array<double, 4> x{};
  std::array<double, 4> y{};
  wcs.to_pixel(ra, dec, x, y);
  CHECK(x[0] == Approx(1023.5));
  CHECK(y[0] == Approx(999.0));
  CHECK(std::isnan(x[1]));
  CHECK(std::isnan(y[1]));
  CHECK(std::isnan(x[2]));
  CHECK(std::isfinite(x[3]));
  std::array<double, 4> back_ra{};
  std::array<double, 4> back_dec{};
  wcs.to_sky(x, y, back_ra, back_dec);
  CHECK(back_ra[3] == Approx(150.3).margin(1e-10));
  CHECK(std::isnan(back_dec[2]));
}

TEST_CASE("A cut-out and a copy see the same sky") {
  for (const auto& cards : {header("TAN"), header("TAN-SIP", kSip), header("TPV", kTpv)}) {
    const sky::Wcs parent(cards, "t");
    const sky::Wcs child = sky::Wcs(parent.cropped(100, 50)).cropped(7, -3);
    std::array<double, 4> ra{};
    std::array<double, 4> dec{};
    std::array<double, 4> x{};
    std::array<double, 4> y{};
    parent.to_sky(kX, kY, ra, dec);
    child.to_pixel(ra, dec, x, y);
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(x[i] == Approx(kX[i] - 107.0).margin(1e-7));
      CHECK(y[i] == Approx(kY[i] - 47.0).margin(1e-7));
    }
    CHECK(child.elements().crpix[0] == parent.elements().crpix[0] - 107.0);
    CHECK(child.pixel_scale_arcsec() == Approx(parent.pixel_scale_arcsec()).epsilon(1e-9));
  }
}

TEST_CASE("Elements hold what two headers are compared by") {
  const sky::Wcs plain(header("TAN"), "t");
  CHECK(plain.elements().has_cd);
  CHECK(plain.elements().cd[2] == 3.0e-6);
  CHECK(plain.elements().crval[1] == -32.5);
  CHECK(plain.elements().ctype[0] == "RA---TAN");
  // Root of the determinant of CD, in arcsec.
  CHECK(plain.pixel_scale_arcsec() ==
        Approx(3600.0 * std::sqrt(1.1e-4 * 1.2e-4 + 2e-6 * 3e-6)).epsilon(1e-7));
  const sky::Wcs sip(header("TAN-SIP", kSip), "t");
  auto changed = kSip;
  changed[2] = "A_1_1   = -1.1E-6";
  const sky::Wcs other(header("TAN-SIP", changed), "t");
  REQUIRE(sip.elements().distortion.size() == other.elements().distortion.size());
  CHECK(sip.elements().distortion.size() == plain.elements().distortion.size());
  CHECK(sip.elements().distortion != other.elements().distortion);
  const sky::Wcs pc(card("CTYPE1  = 'RA---TAN'") + card("CTYPE2  = 'DEC--TAN'") +
                        card("CRVAL1  = 10.0") + card("CRVAL2  = 20.0") + card("CRPIX1  = 1.0") +
                        card("CRPIX2  = 1.0") + card("CDELT1  = -0.001") + card("CDELT2  = 0.001") +
                        card("END"),
                    "t");
  CHECK_FALSE(pc.elements().has_cd);
  CHECK(pc.elements().cd[0] == 1.0);
  CHECK(pc.elements().cdelt[0] == -0.001);
  CHECK(pc.pixel_scale_arcsec() == Approx(3.6).epsilon(1e-7));
}

TEST_CASE("A header without a celestial WCS is named") {
  for (const auto& cards : {card("END"), card("CTYPE1  = 'WAVE'") + card("CTYPE2  = 'LINEAR'")}) {
    try {
      (void)sky::Wcs(cards, "frame.fits");
      FAIL("no error");
    } catch (const ConfigError& error) {
      CHECK_THAT(error.what(), Catch::Contains("frame.fits") && Catch::Contains("WCS"));
    }
  }
}

TEST_CASE("Separations are exact near and far") {
  CHECK(sky::separation_arcsec(10.0, 0.0, 10.0, 1.0 / 3600.0) == Approx(1.0).epsilon(1e-9));
  CHECK(sky::separation_arcsec(359.9999, 60.0, 0.0001, 60.0) == Approx(0.36).epsilon(1e-6));
  CHECK(sky::separation_arcsec(0.0, 0.0, 180.0, 0.0) == Approx(180.0 * 3600.0));
  CHECK(sky::separation_arcsec(12.0, -45.0, 12.0, -45.0) == 0.0);
}

TEST_CASE("The WCS of DECam agrees with positions fitted by the Tractor") {
  const std::string folder = kData + "/decam";
  if (!std::filesystem::exists(folder)) {
    WARN("skipped: no folder " << folder);
    return;
  }
  const std::string image = folder + "/decam-520206-S16-image-sub.fits";
  const sky::Wcs wcs(io::FitsFile(image).cards(), image);
  CHECK(wcs.elements().ctype[0] == "RA---TPV");
  const Table fits = io::read_csv(folder + "/tractor_reference_fit.csv");
  const std::vector<double> ra = fits.numbers("ra");
  const std::vector<double> dec = fits.numbers("dec");
  const std::vector<double> x = fits.numbers("x");
  const std::vector<double> y = fits.numbers("y");
  std::vector<double> x_here(ra.size());
  std::vector<double> y_here(ra.size());
  wcs.to_pixel(ra, dec, x_here, y_here);
  REQUIRE(ra.size() > 4);
  double worst = 0.0;
  for (std::size_t i = 0; i < ra.size(); ++i) {
    worst = std::max({worst, std::abs(x[i] - x_here[i]), std::abs(y[i] - y_here[i])});
  }
  CHECK(worst < 0.001);

  // astropy 5.2 on another exposure of the same camera.
  const std::string other = kData + "/decam_multi/c4d_181214_050844_ooi_g_ls9.S9.fits";
  const sky::Wcs tpv(io::FitsFile(other).cards(), other);
  const std::array<double, 3> px{0.0, 99.0, 50.0};
  const std::array<double, 3> py{0.0, 99.0, 20.5};
  std::array<double, 3> pra{};
  std::array<double, 3> pdec{};
  tpv.to_sky(px, py, pra, pdec);
  CHECK(pra[0] == Approx(110.30796841024937).margin(1e-9));
  CHECK(pdec[1] == Approx(23.916354328436498).margin(1e-9));
  CHECK(pra[2] == Approx(110.30961972824208).margin(1e-9));
  CHECK(tpv.pixel_scale_arcsec() == Approx(0.263).margin(0.003));
}
