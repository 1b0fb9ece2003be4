#include <cmath>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/photometry/zeropoint/kernel.hpp"

namespace {

using namespace skyloom::photometry::zeropoint;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kMag = 1.0857362047581296;

/// A star whose zero point is `zp`, with a relative flux error.
Star star_of(double zp, double relative_error, double flux = 100.0) {
  return {zp - 2.5 * std::log10(flux), flux, relative_error * flux, true};
}

/// Clipping of values whose errors are unknown.
std::vector<std::uint8_t> clip_plain(const std::vector<double>& values, const Options& options) {
  return clip(values, std::vector<double>(values.size(), kNaN), options);
}

TEST_CASE("the weighted median is the first value that reaches half of the weight") {
  const std::vector<double> values{3.0, 1.0, 2.0};
  CHECK(weighted_median(values, std::vector<double>{1.0, 1.0, 1.0}) == 2.0);
  CHECK(weighted_median(values, std::vector<double>{5.0, 1.0, 1.0}) == 3.0);
  CHECK(weighted_median(values, std::vector<double>{1.0, 2.0, 1.0}) == 1.0);
  CHECK(std::isnan(weighted_median({}, {})));
}

TEST_CASE("clipping drops outliers, and what was clipped early comes back") {
  const Options three{3.0, 10};
  std::vector<double> values{0.0, 1.0, 2.0, 3.0, 4.0, 100.0};
  CHECK(clip_plain(values, three) == std::vector<std::uint8_t>{1, 1, 1, 1, 1, 0});
  CHECK(clip_plain(values, {3.0, 0}) == std::vector<std::uint8_t>(6, 1));
  // All but one equal: no scatter, nothing is clipped.
  values.assign(6, 1.0);
  values[2] = 9.0;
  CHECK(clip_plain(values, three) == std::vector<std::uint8_t>(6, 1));
  values = {0.0, 0.0, 0.1, 1.0, 8.0, 9.0};
  // Round 1: median 0.55, MAD 0.55, sigma 0.815: 8 and 9 go. Round 2: median 0.05, MAD 0.05,
  // sigma 0.074, limit 0.222: 1.0 goes. Round 3: median 0, MAD 0: stop.
  CHECK(clip_plain(values, three) == std::vector<std::uint8_t>{1, 1, 1, 0, 0, 0});
  CHECK(clip_plain(values, {3.0, 1}) == std::vector<std::uint8_t>{1, 1, 1, 1, 0, 0});
  CHECK(clip_plain({}, three).empty());
}

TEST_CASE("a clipped value returns when the centre moves towards it") {
  const std::vector<double> values{5.0, 6.0, 9.0, 9.0, 13.0, 14.0, 22.0, 26.0};
  // Median 11, MAD 4: from 5.07 to 16.93.
  CHECK(clip_plain(values, {1.0, 1}) == std::vector<std::uint8_t>{0, 1, 1, 1, 1, 1, 0, 0});
  // Of these the median is 9, the MAD 3: from 4.55 to 13.45, and then nothing changes.
  CHECK(clip_plain(values, {1.0, 10}) == std::vector<std::uint8_t>{1, 1, 1, 1, 1, 0, 0, 0});
}

TEST_CASE("a value's own error widens its limit") {
  // Median 2.5; scatter of the five with the smaller errors 1.4826. The last is 9.5 away, its limit
  // 3 hypot(1.4826, 2) = 7.5 or 3 hypot(1.4826, 4) = 12.8.
  const std::vector<double> values{0.0, 1.0, 2.0, 3.0, 4.0, 12.0};
  CHECK(clip(values, std::vector<double>{0.1, 0.1, 0.1, 0.1, 0.1, 2.0}, {3.0, 1}) ==
        std::vector<std::uint8_t>{1, 1, 1, 1, 1, 0});
  CHECK(clip(values, std::vector<double>{0.1, 0.1, 0.1, 0.1, 0.1, 4.0}, {3.0, 1}) ==
        std::vector<std::uint8_t>{1, 1, 1, 1, 1, 1});
}

TEST_CASE("a zero point counts its stars and ignores fits that did not converge") {
  std::vector<Star> stars;
  for (const double zp : {24.98, 24.99, 25.00, 25.01, 25.02, 27.0}) {
    stars.push_back(star_of(zp, 0.01));
  }
  stars.push_back(star_of(20.0, 0.01));
  stars.back().converged = false;
  const ZeroPoint zp = measure(stars, {3.0, 10});
  CHECK(zp.n_raw == 6);
  CHECK(zp.n_kept == 5);
  CHECK(zp.n_clipped == 1);
  CHECK(zp.n_nonconverged == 1);
  CHECK(zp.zp_mag == Approx(25.0).epsilon(1e-12));
  CHECK(zp.scatter_mag == Approx(1.4826 * 0.01).epsilon(1e-9));
  CHECK(zp.stars[5].clipped);
  CHECK_FALSE(zp.stars[5].kept);
  CHECK_FALSE(zp.stars[6].clipped);
  CHECK_FALSE(zp.stars[6].kept);
  CHECK(zp.stars[0].err_mag == Approx(0.01 * kMag).epsilon(1e-9));
}

TEST_CASE("one star of very high signal does not decide, a faint one counts less") {
  std::vector<Star> stars{star_of(25.02, 1e-6)};
  for (const double zp : {24.98, 24.99, 25.00, 25.01}) {
    stars.push_back(star_of(zp, 0.002));
  }
  CHECK(measure(stars, {3.0, 10}).zp_mag == Approx(25.0).epsilon(1e-12));
  // Two of five with errors far above the scatter: the other three decide among themselves.
  stars = {star_of(25.00, 0.001), star_of(25.01, 0.001), star_of(25.02, 0.001), star_of(25.03, 0.2),
           star_of(25.04, 0.2)};
  CHECK(measure(stars, {5.0, 10}).zp_mag == Approx(25.01).epsilon(1e-12));
}

TEST_CASE("the photon noise of faint stars is no scatter of the zero point") {
  std::vector<Star> stars;
  for (int i = -5; i <= 5; ++i) {
    stars.push_back(star_of(25.0 + 0.001 * i, 0.001));
    stars.push_back(star_of(25.0 + 0.04 * i, 0.15));
  }
  const ZeroPoint zp = measure(stars, {3.0, 10});
  CHECK(zp.n_kept == 22);
  CHECK(zp.zp_mag == Approx(25.0).margin(1e-9));
  CHECK(zp.scatter_mag == Approx(1.4826 * 0.003).epsilon(1e-6));
}

TEST_CASE("without errors the plain median serves, without stars there is no zero point") {
  std::vector<Star> stars{star_of(24.0, kNaN), star_of(25.0, kNaN)};
  CHECK(measure(stars, {3.0, 10}).zp_mag == Approx(24.5));
  CHECK(std::isnan(measure({}, {3.0, 10}).zp_mag));
  stars[0].converged = stars[1].converged = false;
  const ZeroPoint none = measure(stars, {3.0, 10});
  CHECK(std::isnan(none.zp_mag));
  CHECK(none.n_nonconverged == 2);
}

TEST_CASE("magnitudes carry flux error and scatter, and are missing without a positive flux") {
  ZeroPoint zp;
  zp.zp_mag = 25.1;
  zp.scatter_mag = 0.02;
  const Magnitude m = magnitude(100.0, 3.0, zp);
  CHECK(m.mag == Approx(20.1).epsilon(1e-12));
  CHECK(m.err_mag == Approx(std::hypot(0.03 * kMag, 0.02)).epsilon(1e-9));
  CHECK(std::isnan(magnitude(0.0, 1.0, zp).mag));
  CHECK(std::isnan(magnitude(-5.0, 1.0, zp).err_mag));
  CHECK(std::isnan(magnitude(kNaN, 1.0, zp).mag));
  CHECK(std::isnan(magnitude(100.0, 1.0, ZeroPoint{}).mag));
}

}  // namespace
