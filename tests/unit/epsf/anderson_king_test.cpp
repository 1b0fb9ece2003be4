// The stacked effective PSF: its parts against closed forms, and known profiles recovered.

#include <cmath>
#include <limits>
#include <numbers>

#include <catch2/catch.hpp>

#include "pipelines/photometry/epsf/star_background.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/core/random.hpp"
#include "skyloom/sky/effective_psf.hpp"

#include "support/psf_fields.hpp"

using namespace skyloom;
using namespace skyloom::photometry::epsf;
using namespace skyloom::sky;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kSize = 41;

test::TruePsf moffat(double fwhm) {
  test::MoffatPart part;
  part.fwhm_pix = fwhm;
  part.beta = 3.0;
  part.g1 = 0.05;
  return {{part}};
}

StarStamp stamp_of(const test::TruePsf& psf, double x, double y, double flux, double sigma,
                   std::uint64_t seed) {
  StarStamp stamp{Image<double>(kSize, kSize), Image<double>(kSize, kSize, 1.0), x, y};
  const Rng rng(seed, "stamp", "noise");
  for (int j = 0; j < kSize; ++j) {
    for (int i = 0; i < kSize; ++i) {
      stamp.data(j, i) = flux * psf.pixel(0.0, 0.0, i - x, j - y) +
                         sigma * rng.normal(static_cast<std::uint64_t>(j * kSize + i), 0);
    }
  }
  return stamp;
}

/// Stars on a grid of sub-pixel phases, their starting positions off by up to 0.2 pixels.
std::vector<StarStamp> stars_of(const test::TruePsf& psf, int per_axis, double sigma) {
  std::vector<StarStamp> out;
  const Rng rng(7, "stars", "");
  for (int k = 0; k < per_axis * per_axis; ++k) {
    const double x = 20.0 + (k % per_axis + 0.5) / per_axis - 0.5;
    const double y = 20.0 + (k / per_axis + 0.5) / per_axis - 0.5;
    const auto draw = static_cast<std::uint64_t>(k);
    StarStamp stamp = stamp_of(psf, x, y, 1000.0 * (1 + k % 4), sigma, draw);
    stamp.x += rng.uniform(draw, -0.2, 0.2, 0);
    stamp.y += rng.uniform(draw, -0.2, 0.2, 1);
    out.push_back(std::move(stamp));
  }
  return out;
}

/// Largest difference from the truth of the normalised array at whole pixels, relative to the peak.
double worst_difference(const EffectivePsf& psf, const test::TruePsf& truth) {
  const int half = 10;
  const int centre = (psf.grid.width() - 1) / 2;
  double ours = 0.0;
  double true_sum = 0.0;
  for (int y = -half; y <= half; ++y) {
    for (int x = -half; x <= half; ++x) {
      ours += psf.grid(centre + psf.oversamp * y, centre + psf.oversamp * x);
      true_sum += truth.pixel(0.0, 0.0, x, y);
    }
  }
  double worst = 0.0;
  for (int y = -half; y <= half; ++y) {
    for (int x = -half; x <= half; ++x) {
      const double p = psf.grid(centre + psf.oversamp * y, centre + psf.oversamp * x) / ours;
      worst = std::max(worst, std::abs(p - truth.pixel(0.0, 0.0, x, y) / true_sum));
    }
  }
  return worst / (truth.pixel(0.0, 0.0, 0.0, 0.0) / true_sum);
}

}  // namespace

TEST_CASE("the quartic kernel leaves quartics alone", "[anderson_king]") {
  double sum = 0.0;
  for (const double value : quartic_kernel().pixels()) {
    sum += value;
  }
  CHECK(sum == Approx(1.0).margin(1e-12));
  const auto f = [](double x, double y) {
    return 1.0 + x - y * y + 0.3 * x * x * y + 0.1 * x * x * y * y + 0.05 * x * x * x * x;
  };
  Image<double> image(9, 9);
  for (int y = 0; y < 9; ++y) {
    for (int x = 0; x < 9; ++x) {
      image(y, x) = f(x - 4.0, y - 4.0);
    }
  }
  // The published kernel has six digits.
  CHECK(quartic_smoothed(image)(4, 4) == Approx(f(0.0, 0.0)).margin(2e-4));
  CHECK(quartic_smoothed(image)(3, 5) == Approx(f(1.0, -1.0)).margin(2e-4));
}

TEST_CASE("edges are reflected", "[anderson_king]") {
  Image<double> corner(8, 8);
  corner(0, 0) = 1.0;
  const Image<double> out = quartic_smoothed(corner);
  CHECK(out(0, 0) == Approx(0.441632 + 2.0 * 0.200816 - 0.019592));
  CHECK(out(1, 1) == Approx(-0.019592 - 2.0 * 0.080816 + 0.041632));
}

TEST_CASE("circle sums are exact", "[anderson_king]") {
  const Image<double> ones(21, 21, 1.0);
  for (const double r : {0.3, 1.0, 2.7, 5.5, 9.3}) {
    for (const double offset : {0.0, 0.25, 0.5}) {
      CHECK(circle_sum(ones, 10.0 + offset, 10.0 - 0.3 * offset, r) ==
            Approx(std::numbers::pi * r * r).epsilon(1e-12));
    }
  }
}

TEST_CASE("noise-free stars give back their profile", "[anderson_king]") {
  // The kernel smooths over five samples: what it takes off the peak falls with the FWHM in
  // samples. Finer grids need more phases.
  struct Case {
    double fwhm;
    int oversamp;
    int per_axis;
    double accuracy;
  };
  for (const Case& c : {Case{3.2, 1, 5, 0.05}, Case{5.5, 1, 5, 0.01}, Case{3.2, 2, 6, 0.012},
                        Case{3.2, 4, 8, 0.025}}) {
    const test::TruePsf truth = moffat(c.fwhm);
    const std::vector<StarStamp> stars = stars_of(truth, c.per_axis, 0.0);
    const EffectivePsf psf = build_effective_psf(stars, {c.oversamp, 30, true, 9});
    INFO("FWHM " << c.fwhm << " oversamp " << c.oversamp << " rounds " << psf.rounds);
    REQUIRE(psf.grid.width() % 2 == 1);
    CHECK(psf.grid.width() >= kSize * c.oversamp + 1);
    CHECK(worst_difference(psf, truth) < c.accuracy);
    const int centre = (psf.grid.width() - 1) / 2;
    const double s = c.oversamp;
    CHECK(circle_sum(psf.grid, centre, centre, 5.5 * s) / (s * s) == Approx(1.0).epsilon(1e-12));
    // Positions are right up to a common shift, of which the centroid of the PSF is the origin.
    double worst = 0.0;
    for (std::size_t k = 0; k < stars.size(); ++k) {
      CHECK_FALSE(psf.stars[k].failed);
      const int i = static_cast<int>(k) % c.per_axis;
      worst = std::max(worst, std::abs(psf.stars[k].x - (20.0 + (i + 0.5) / c.per_axis - 0.5)));
    }
    CHECK(worst < 0.04);
  }
}

TEST_CASE("arrays of several samplings are the same profile", "[anderson_king]") {
  const test::TruePsf truth = moffat(3.2);
  const EffectivePsf fine = build_effective_psf(stars_of(truth, 6, 0.0), {2, 30, true, 9});
  const Image<double> square = central_square(fine, 21);
  REQUIRE(square.width() == 43);
  const int centre = (fine.grid.width() - 1) / 2;
  CHECK(square(21, 21) == fine.grid(centre, centre));
  // Half a pixel off the centre a sample is the light of a pixel there.
  const double ratio = square(21, 22) / square(21, 21);
  CHECK(ratio == Approx(truth.pixel(0, 0, 0.5, 0.0) / truth.pixel(0, 0, 0.0, 0.0)).epsilon(0.01));
  // A square larger than the grid is padded.
  const Image<double> large = central_square(fine, 61);
  CHECK(large.width() == 123);
  CHECK(large(0, 0) == 0.0);
  CHECK(large(61, 61) == fine.grid(centre, centre));
}

TEST_CASE("masked pixels do not count", "[anderson_king]") {
  const test::TruePsf truth = moffat(3.2);
  std::vector<StarStamp> stars = stars_of(truth, 3, 0.0);
  const EffectivePsf clean = build_effective_psf(stars, {1, 30, true, 9});
  const auto spoil = [&](double weight) {
    std::vector<StarStamp> spoilt = stars;
    spoilt[0].data(20, 21) = weight > 0.0 ? 1e5 : kNaN;
    spoilt[0].weight(20, 21) = weight;
    spoilt[4].data(25, 14) = weight > 0.0 ? 1e5 : kNaN;
    spoilt[4].weight(25, 14) = weight;
    return build_effective_psf(spoilt, {1, 30, true, 9});
  };
  const auto difference = [&](const EffectivePsf& other) {
    double worst = 0.0;
    for (std::size_t k = 0; k < clean.grid.pixels().size(); ++k) {
      worst = std::max(worst, std::abs(clean.grid.pixels()[k] - other.grid.pixels()[k]));
    }
    return worst / *std::max_element(clean.grid.pixels().begin(), clean.grid.pixels().end());
  };
  const auto flux_ratio = [](const EffectivePsf& psf) {
    return psf.stars[0].flux / psf.stars[5].flux;
  };
  CHECK(difference(spoil(0.0)) < 0.01);
  CHECK(flux_ratio(spoil(0.0)) == Approx(flux_ratio(clean)).epsilon(0.01));
  CHECK_FALSE(flux_ratio(spoil(1.0)) == Approx(flux_ratio(clean)).epsilon(0.1));
  // The weights of the fits: a wrong pixel of small weight does not move the flux.
  std::vector<StarStamp> light = stars;
  light[1].data(20, 20) *= 3.0;
  light[1].weight(20, 20) = 1e-9;
  const EffectivePsf weighted = build_effective_psf(light, {1, 30, true, 9});
  CHECK(weighted.stars[1].flux / weighted.stars[5].flux ==
        Approx(clean.stars[1].flux / clean.stars[5].flux).epsilon(0.01));
}

TEST_CASE("stars that cannot be fitted are dropped", "[anderson_king]") {
  const test::TruePsf truth = moffat(3.2);
  std::vector<StarStamp> stars = stars_of(truth, 3, 0.0);
  const EffectivePsf without = build_effective_psf(stars, {1, 30, true, 9});
  StarStamp edge = stamp_of(truth, 1.0, 20.0, 4000.0, 0.0, 3);  // its box leaves the stamp
  StarStamp dark = stars.front();                               // no light at all
  for (double& value : dark.data.pixels()) {
    value = -1.0;
  }
  stars.push_back(edge);
  stars.push_back(dark);
  const EffectivePsf psf = build_effective_psf(stars, {1, 30, true, 9});
  CHECK(psf.stars[9].failed);
  CHECK(psf.stars[10].failed);
  for (std::size_t k = 0; k < 9; ++k) {
    CHECK_FALSE(psf.stars[k].failed);
  }
  const int centre = (psf.grid.width() - 1) / 2;
  CHECK(psf.grid(centre, centre) == Approx(without.grid(centre, centre)).epsilon(2e-3));
  CHECK_THROWS_AS(build_effective_psf({edge}, {1, 30, true, 9}), UnitError);
  CHECK_THROWS_AS(build_effective_psf({dark}, {1, 30, true, 9}), UnitError);
  CHECK_THROWS_AS(build_effective_psf({}, {1, 30, true, 9}), UnitError);
}

TEST_CASE("a wing replaces noise by the profile's own tail", "[anderson_king]") {
  const test::TruePsf truth = moffat(3.2);
  Image<double> array(55, 55);
  const Rng rng(3, "wing", "noise");
  for (int y = 0; y < 55; ++y) {
    for (int x = 0; x < 55; ++x) {
      array(y, x) = truth.pixel(0.0, 0.0, x - 27, y - 27) +
                    2e-4 * rng.normal(static_cast<std::uint64_t>(55 * y + x), 0);
    }
  }
  const Image<double> before = array;
  const WingFit wing = replace_wing(array, 1);
  CHECK(wing.radius_pix > 6.0);
  CHECK(wing.radius_pix < 20.0);
  CHECK(wing.slope == Approx(-6.0).margin(1.0));  // twice beta
  CHECK(array(27, 27) == before(27, 27));
  double light = 0.0;
  double expected = 0.0;
  for (int y = 0; y < 55; ++y) {
    for (int x = 0; x < 55; ++x) {
      if (std::hypot(x - 27, y - 27) > wing.radius_pix) {
        CHECK(array(y, x) > 0.0);
        light += array(y, x);
        expected += truth.pixel(0.0, 0.0, x - 27, y - 27);
      }
    }
  }
  CHECK(light == Approx(expected).margin(0.005));
  // Nothing to replace where everything is significant.
  Image<double> smooth(21, 21);
  for (int y = 0; y < 21; ++y) {
    for (int x = 0; x < 21; ++x) {
      smooth(y, x) = std::exp(-0.01 * ((x - 10) * (x - 10) + (y - 10) * (y - 10)));
    }
  }
  CHECK(replace_wing(smooth, 1).radius_pix == 0.0);
}

TEST_CASE("the local background is the clipped median of its annulus", "[star_background]") {
  Options options;
  options.star_local_bkg_annulus_rin_pix = 10.0;
  options.star_local_bkg_annulus_rout_pix = 15.0;
  Image<double> data(41, 41, 5.0);
  Image<double> weight(41, 41, 1.0);
  int pixels = 0;
  for (int y = 0; y < 41; ++y) {
    for (int x = 0; x < 41; ++x) {
      const double r = std::hypot(x - 20.2, y - 19.7);
      data(y, x) += (x + y) % 2 == 0 ? 0.5 : -0.5;
      if (r < 10.0 || r > 15.0) {
        data(y, x) = 1000.0;  // must not be looked at
      } else {
        ++pixels;
      }
    }
  }
  data(20, 32) = 500.0;  // clipped
  data(32, 20) = kNaN;
  weight(8, 20) = 0.0;
  const LocalBackground local = local_background(data, weight, 20.2, 19.7, options);
  CHECK(local.status == "ok");
  CHECK(local.n_pixels == pixels - 3);
  CHECK(std::abs(local.value - 5.0) <= 0.5);
  options.star_local_bkg_minpix = pixels - 2;  // enough before the clipping, not after
  CHECK(local_background(data, weight, 20.2, 19.7, options).status == "fallback_zero");
  CHECK(local_background(data, weight, 20.2, 19.7, options).value == 0.0);
  options.star_local_bkg_annulus_rout_pix = 300.0;
  options.star_local_bkg_annulus_rin_pix = 300.0;
  CHECK(local_background(data, weight, 20.0, 20.0, options).rout_pix == 19.0);
  CHECK(local_background(data, weight, 20.0, 20.0, options).rin_pix == 18.0);
  options.star_local_bkg_subtract = false;
  CHECK(local_background(data, weight, 20.0, 20.0, options).status == "disabled");
}
