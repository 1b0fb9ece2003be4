// The joint Moffat fit, the choice of order, rejection, gauge and local variation on stars without
// noise.

#include <catch2/catch.hpp>

#include "pipelines/photometry/epsf/local_variation.hpp"
#include "pipelines/photometry/epsf/neighbours.hpp"
#include "pipelines/photometry/epsf/residual.hpp"
#include "pipelines/photometry/epsf/residual_prior.hpp"
#include "skyloom/numerics/lapack.hpp"

#include "unit/epsf/helpers.hpp"

using namespace skyloom;
using namespace skyloom::test;
using namespace skyloom::photometry::epsf;

namespace {

constexpr int kSize = 1000;

std::vector<Star> star_grid(const TruePsf& truth, int per_axis, double flux = 2e4) {
  std::vector<Star> stars;
  for (int k = 0; k < per_axis * per_axis; ++k) {
    const double x = 60.0 + 880.0 * (k % per_axis) / (per_axis - 1) + 0.37 * (k % 3);
    const double y = 60.0 + 880.0 * (k / per_axis) / (per_axis - 1) + 0.23 * (k % 4);
    stars.push_back(noise_free_star(truth, kSize, x, y, flux * (1.0 + k % 5), 5.0));
    stars.back().row.x += 0.2;  // the fit must find its way
    stars.back().row.flux *= 1.1;
  }
  return stars;
}

sky::FieldPsfModel start_model(int order) {
  sky::FieldPsfModel model;
  model.width = kSize;
  model.height = kSize;
  model.order = order;
  const auto terms = static_cast<std::size_t>(sky::shape_terms(order));
  model.lambda.assign(terms, 0.0);
  model.g1.assign(terms, 0.0);
  model.g2.assign(terms, 0.0);
  model.lambda[0] = std::log(3.0);
  model.beta = 3.5;
  return model;
}

double true_lambda(double fwhm, double beta) {
  return std::log(0.5 * fwhm / std::sqrt(std::pow(2.0, 1.0 / beta) - 1.0));
}

}  // namespace

TEST_CASE("Cholesky through LAPACK", "[epsf]") {
  const auto factor = numerics::LapackCholesky::factor({4.0, 2.0, 2.0, 3.0}, 2);
  REQUIRE(factor);
  CHECK(factor->log_determinant() == Approx(std::log(8.0)));
  std::vector<double> b = {2.0, 5.0};
  factor->solve(b);
  CHECK(b[0] == Approx(-0.5));
  CHECK(b[1] == Approx(2.0));
  CHECK(factor->inverse()[1] == Approx(-0.25));
  CHECK(factor->inverse()[2] == Approx(-0.25));
  CHECK_FALSE(numerics::LapackCholesky::factor({1.0, 2.0, 2.0, 1.0}, 2));
}

TEST_CASE("the joint fit recovers a linear field", "[epsf]") {
  const TruePsf truth{{MoffatPart{1.0, 3.6, 3.0, 0.0, 0.0, 0.0, 0.0, 0.04, 0.05, 0.03}}};
  std::vector<Star> stars = star_grid(truth, 5);
  ShapeFit fit = fit_shape(start_model(1), stars, {{1.5, 0.03}, 30, true});
  REQUIRE(fit.ok);
  CHECK(fit.model.lambda[0] == Approx(true_lambda(3.6, 3.0)).margin(2e-3));
  CHECK(fit.model.g1[0] == Approx(0.04).margin(2e-4));
  CHECK(fit.model.g1[1] == Approx(0.05).margin(2e-4));
  CHECK(fit.model.g2[2] == Approx(0.03).margin(2e-4));
  CHECK(fit.model.beta == Approx(3.0).margin(0.01));
  CHECK(stars[3].row.flux == Approx(2e4 * 4.0).epsilon(5e-4));
}

TEST_CASE("leave-one-out finds the order of the field", "[epsf]") {
  const auto order_of = [](const TruePsf& truth) {
    std::vector<Star> stars = star_grid(truth, 5);
    const ShapeFit fit = fit_shape(start_model(0), stars, {{1.5, 0.03}, 20, true});
    return choose_order(fit.model, stars, 2).order;
  };
  CHECK(order_of({{MoffatPart{}}}) == 0);
  CHECK(order_of({{MoffatPart{1.0, 3.6, 3.0, 0.0, 0.0, 0.06, 0.0, 0.0, 0.05, 0.05}}}) == 1);
}

TEST_CASE("galaxies among the stars are rejected", "[epsf]") {
  const TruePsf truth{{MoffatPart{}}};
  std::vector<Star> stars = star_grid(truth, 6);
  MoffatPart wide;
  wide.fwhm_pix = 4.3;
  for (const std::size_t k : {5U, 17U, 30U}) {
    stars[k] = noise_free_star({{wide}}, kSize, stars[k].row.x, stars[k].row.y, 3e4, 5.0);
  }
  sky::FieldPsfModel model = start_model(0);
  for (int pass = 0; pass < 5; ++pass) {
    model = fit_shape(model, stars, {{1.5, 0.03}, 20, true}).model;
    if (reject_by_shape(stars, 4.0) == 0) {
      break;
    }
  }
  CHECK(count_core(stars) == 33);
  CHECK_FALSE(stars[5].row.used);
  CHECK(stars[17].row.reason == Rejected::shape);
  CHECK_FALSE(stars[30].row.used);
}

namespace {

/// Three rounds of star fits and residual solves; the flux scale after each.
std::vector<double> flux_scale(bool gauge, sky::FieldPsfModel& model) {
  // 98 % of a Moffat and 2 % of a wider one: a smooth ring that a single Moffat cannot make.
  TruePsf truth{{MoffatPart{0.9, 3.4, 3.5}, MoffatPart{0.1, 7.0, 3.5}}};
  std::vector<Star> stars = star_grid(truth, 4, 1e5);
  model = fit_shape(start_model(0), stars, {{1.5, 0.03}, 20, true}).model;
  const Options options;
  model = with_residual_basis(model, options);
  HyperParameters hyper;
  std::vector<double> scale;
  for (int round = 0; round < 3; ++round) {
    fit_stars(sky::FieldPsf(model, 1, 1), stars, {1.5, 0.01}, 8);
    const ResidualSolution solution =
        solve_residual(sky::FieldPsf(model, 1, 1), stars, options, 1.5, 5.0, hyper, gauge);
    if (!solution.ok) {
      break;
    }
    model = solution.model;
    hyper = solution.hyper;
    const sky::FieldPsf psf(model, 55, 1);
    fit_stars(psf, stars, {1.5, 0.01}, 8);
    scale.push_back(stars[0].row.flux / 1e5);
  }
  return scale;
}

}  // namespace

TEST_CASE("residual and wing complete the Moffat, and the gauge keeps them in place", "[epsf]") {
  sky::FieldPsfModel model;
  const std::vector<double> scale = flux_scale(true, model);
  REQUIRE(scale.size() == 3);
  CHECK(scale[2] == Approx(1.0).margin(1e-3));
  CHECK(std::abs(scale[2] - scale[1]) < 3e-4);
  // Without the constraints the residual may take over the Moffat itself.
  const auto overlap = [](const sky::FieldPsfModel& m) {
    const PriorGeometry geometry = prior_geometry(m);
    double largest = 0.0;
    for (const std::vector<double>& column : geometry.gauge) {
      double sum = 0.0;
      for (std::size_t k = 0; k < column.size(); ++k) {
        sum += column[k] * m.c[k];
      }
      largest = std::max(largest, std::abs(sum) / geometry.centre);
    }
    return largest;
  };
  CHECK(overlap(model) < 1e-3);
  sky::FieldPsfModel free_model;
  flux_scale(false, free_model);
  CHECK(overlap(free_model) > 10.0 * overlap(model));
}

TEST_CASE("local variation is found where it is and only there", "[epsf]") {
  MoffatPart patchy;
  patchy.wave = 0.05;
  const auto variation = [](const MoffatPart& part) {
    std::vector<Star> stars = star_grid({{part}}, 7);
    const ShapeFit fit = fit_shape(start_model(0), stars, {{1.5, 0.01}, 20, true});
    return fit_local_variation(fit.model, stars);
  };
  const LocalVariation none = variation(MoffatPart{});
  CHECK(none.gain < 3.0);
  CHECK_FALSE(none.used);
  const LocalVariation waves = variation(patchy);
  CHECK(waves.gain > 20.0);
  REQUIRE(waves.used);
  // At the stars the process reproduces the excess shapes that it was given.
  const sky::FieldPsf with(waves.model, 1, 1);
  const double expected = std::log(1.0 + 0.05 * std::sin(2.5 * 3.14159265 * scaled(206.0, kSize)) *
                                             std::cos(2.5 * 3.14159265 * scaled(500.0, kSize)));
  const double mean = waves.model.lambda[0];
  CHECK(with.shape(206.0, 500.0).lambda - mean == Approx(expected).margin(0.015));
}

TEST_CASE("a real wing is not clipped from a Moffat start", "[epsf]") {
  const TruePsf truth{{MoffatPart{1.0, 3.6, 1.85}}};  // falls as r^-3.7
  std::vector<Star> stars = star_grid(truth, 4);
  const ShapeFit fit = fit_shape(start_model(0), stars, {{1.5, 0.03}, 3, false});
  const sky::FieldPsf psf(fit.model, 1, 1);
  fit_stars(psf, stars, {1.5, 0.01}, 4);
  CHECK(clip_pixels(psf, stars, 1.5, 0.6) < 0.01);
}
