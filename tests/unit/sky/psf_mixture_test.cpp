// Sums of Gaussians as PSFs: the fit, its transform and what stands for a stamp.

#include "skyloom/sky/psf_mixture.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"

namespace sky = skyloom::sky;
using skyloom::Image;

namespace {

sky::PsfStamp moffat(int oversampling = 1) {
  return sky::make_moffat_psf(4.0, 3.5, 25.0, oversampling)->at(0.0, 0.0);
}

double light(const sky::PsfMixture& mixture) {
  double sum = 0.0;
  for (const sky::GaussianTerm& term : mixture.terms) {
    sum += term.weight;
  }
  return sum;
}

/// Two Gaussians without symmetry.
sky::PsfMixture lopsided() {
  return {{{0.7, 0.2, -0.1, {2.2, 0.4, 1.7}}, {0.25, -0.6, 0.5, {6.0, -1.5, 9.0}}}};
}

}  // namespace

TEST_CASE("mixtures fitted to a Moffat stamp have the check values") {
  struct Row {
    std::vector<double> weight, variance;
  };
  // photometry.md 17.1, after 1000 steps.
  const Row rows[] = {{{0.566533, 0.40095025, 0.03251674}, {2.63447966, 8.31802889, 37.20112585}},
                      {{0.24922245, 0.50875744, 0.22342499, 0.01859513},
                       {1.88460219, 4.25287688, 11.39844941, 46.09963401}}};
  for (const Row& row : rows) {
    const auto mixture = sky::fit_psf_mixture(moffat(), static_cast<int>(row.weight.size()));
    REQUIRE(mixture.terms.size() == row.weight.size());
    for (std::size_t k = 0; k < mixture.terms.size(); ++k) {
      const sky::GaussianTerm& term = mixture.terms[k];
      INFO(row.weight.size() << " terms, term " << k);
      CHECK(term.weight == Approx(row.weight[k]).epsilon(1e-6));
      CHECK(term.covariance.xx == Approx(row.variance[k]).epsilon(1e-6));
      CHECK(term.covariance.yy == Approx(row.variance[k]).epsilon(1e-6));
      CHECK(term.covariance.xy == Approx(0.0).margin(1e-6));
      CHECK(term.mean_x == Approx(0.0).margin(1e-6));
      CHECK(term.mean_y == Approx(0.0).margin(1e-6));
    }
  }
}

TEST_CASE("the number of steps is part of a mixture") {
  const auto some = sky::fit_psf_mixture(moffat(), 4, 500);
  const auto all = sky::fit_psf_mixture(moffat(), 4);
  CHECK(std::abs(some.terms[3].covariance.xx - all.terms[3].covariance.xx) > 1e-3);
}

TEST_CASE("a mixture comes back from its own stamp") {
  const auto truth = lopsided();
  Image<float> values(61, 61);
  for (int y = 0; y < 61; ++y) {
    for (int x = 0; x < 61; ++x) {
      values(y, x) = static_cast<float>(truth.at(x - 30, y - 30));
    }
  }
  const auto fitted = sky::fit_psf_mixture({values, 1}, 2, 4000);
  REQUIRE(fitted.terms.size() == 2);
  for (std::size_t k = 0; k < 2; ++k) {
    CHECK(fitted.terms[k].weight == Approx(truth.terms[k].weight).epsilon(1e-3));
    CHECK(fitted.terms[k].mean_x == Approx(truth.terms[k].mean_x).margin(1e-3));
    CHECK(fitted.terms[k].mean_y == Approx(truth.terms[k].mean_y).margin(1e-3));
    CHECK(fitted.terms[k].covariance.xx == Approx(truth.terms[k].covariance.xx).epsilon(1e-3));
    CHECK(fitted.terms[k].covariance.xy == Approx(truth.terms[k].covariance.xy).epsilon(5e-3));
  }
}

TEST_CASE("a mixture has the light of its stamp, however fine that is and whatever it holds") {
  auto stamp = moffat();
  for (float& value : stamp.values.pixels()) {
    value *= 0.97F;
  }
  const auto native = sky::fit_psf_mixture(stamp, 3, 100);
  CHECK(light(native) == Approx(0.97).epsilon(1e-6));
  const auto fine = sky::fit_psf_mixture(moffat(3), 3, 100);
  CHECK(fine.terms[1].covariance.xx == Approx(native.terms[1].covariance.xx).epsilon(1e-6));
  CHECK(light(fine) == Approx(1.0).epsilon(1e-6));
  // Negative samples count in the sum and not in the shape; one bright sample swallows a term.
  stamp.values(3, 3) = -0.02F;
  CHECK(light(sky::fit_psf_mixture(stamp, 3, 100)) == Approx(0.95).epsilon(1e-5));
  stamp.values(25, 40) = 0.5F;
  const auto few = sky::fit_psf_mixture(stamp, 6);
  CHECK(few.terms.size() < 6);
  for (const sky::GaussianTerm& term : few.terms) {
    CHECK(std::isfinite(term.weight));
    CHECK(term.covariance.xx > 0.0);
  }
}

TEST_CASE("the transform of a mixture is that of its finely sampled stamp") {
  const auto mixture = lopsided();
  const auto stamp = sky::make_mixture_psf(mixture, 30.0)->at(0.0, 0.0);
  REQUIRE(stamp.oversampling == 2);
  CHECK(stamp.half_size_pix() == 30);
  for (const sky::GridShape shape : {sky::GridShape{23, 64, 25}, sky::GridShape{31, 90, 60}}) {
    const sky::DftGrid grid(shape);
    const auto analytic = sky::mixture_transform(mixture, grid);
    const auto sampled = sky::psf_transform(stamp, grid);
    REQUIRE(analytic.size() == sampled.size());
    double worst = 0.0;
    for (std::size_t i = 0; i < analytic.size(); ++i) {
      worst = std::max(worst, static_cast<double>(std::abs(analytic[i] - sampled[i])));
    }
    CHECK(worst * shape.period * shape.period < 2e-6);
  }
}

TEST_CASE("a stamp keeps itself and carries the mixture for galaxies") {
  const auto base = sky::make_moffat_psf(4.0, 3.5, 25.0);
  const auto hybrid = sky::with_mixture(base, lopsided(), sky::kVeryWidePix);
  const auto stamp = hybrid->at(3.0, 4.0);
  CHECK(std::equal(stamp.values.pixels().begin(), stamp.values.pixels().end(),
                   base->at(0.0, 0.0).values.pixels().begin()));
  REQUIRE(stamp.mixture != nullptr);
  CHECK(stamp.mixture->terms.size() == 2);
  CHECK(stamp.mixture_from_pix == sky::kVeryWidePix);
  CHECK(hybrid->is_constant());
  CHECK(hybrid->fwhm_pix() == 4.0);
  CHECK(base->at(0.0, 0.0).mixture == nullptr);
  // A narrow Gaussian needs finer sampling.
  const auto narrow = sky::make_mixture_psf({{{1.0, 0.0, 0.0, {0.4, 0.0, 0.4}}}}, 10.0);
  CHECK(narrow->at(0.0, 0.0).oversampling == 4);
  CHECK(narrow->fwhm_pix() == Approx(2.35482 * std::sqrt(0.4)).epsilon(0.01));
  CHECK(narrow->at(0.0, 0.0).mixture_from_pix == 0.0);
}

TEST_CASE("mixtures that cannot be are errors") {
  CHECK_THROWS_AS(sky::fit_psf_mixture(moffat(), 0), skyloom::ConfigError);
  CHECK_THROWS_AS(sky::fit_psf_mixture({Image<float>(5, 5, 0.0F), 1}, 2), skyloom::ConfigError);
  Image<float> point(5, 5, 0.0F);
  point(2, 2) = 1.0F;
  CHECK_THROWS_AS(sky::fit_psf_mixture({point, 1}, 2), skyloom::ConfigError);
  CHECK_THROWS_AS(sky::make_mixture_psf({}, 25.0), skyloom::ConfigError);
  CHECK_THROWS_AS(sky::make_mixture_psf(lopsided(), 0.0), skyloom::ConfigError);
}
