// The field-wise PSF: norm, light outside, symmetry, storage.

#include "skyloom/sky/field_psf.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/photometry/epsf/star_model.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/core/random.hpp"
#include "skyloom/sky/render.hpp"

using namespace skyloom;
using sky::FieldPsf;
using sky::FieldPsfModel;

namespace {

FieldPsfModel moffat(double fwhm, double beta) {
  FieldPsfModel model;
  model.width = 1000;
  model.height = 800;
  model.beta = beta;
  model.lambda = {std::log(0.5 * fwhm / std::sqrt(std::pow(2.0, 1.0 / beta) - 1.0))};
  model.g1 = {0.0};
  model.g2 = {0.0};
  return model;
}

double sum(const Image<double>& image) {
  double total = 0.0;
  for (const double value : image.pixels()) {
    total += value;
  }
  return total;
}

FieldPsfModel rich_model() {
  FieldPsfModel model = moffat(3.2, 3.0);
  model.order = 1;
  model.lambda = {model.lambda[0], 0.03, -0.02};
  model.g1 = {0.05, 0.02, 0.0};
  model.g2 = {-0.03, 0.0, 0.04};
  model.knots = {0.0, 0.5, 1.0, 1.5, 2.0, 2.5};
  model.q = {0.0, 0.02, 0.05, 0.2, 0.35, 0.5};
  model.node_spacing_pix = 0.9;
  for (int j = -3; j <= 3; ++j) {
    for (int i = -3; i <= 3; ++i) {
      model.node_i.push_back(i);
      model.node_j.push_back(j);
      model.c.push_back(1e-3 * std::cos(i + 0.5 * j));
    }
  }
  model.gp_x = {-0.5, 0.3};
  model.gp_y = {0.1, -0.4};
  model.gp_weight[0] = {1.5, -2.0};
  model.gp_weight[2] = {0.5, 1.0};
  model.gp_length = 0.45;
  model.gp_tau[0] = 0.1;
  model.gp_tau[2] = 0.05;
  return model;
}

}  // namespace

TEST_CASE("a circular Moffat has the known light outside", "[field_psf]") {
  const double alpha = 0.5 * 4.4 / std::sqrt(std::pow(2.0, 1.0 / 3.0) - 1.0);
  CHECK(std::pow(1.0 + 27.0 * 27.0 / (alpha * alpha), -2.0) == Approx(6.2e-4).epsilon(0.02));
  const FieldPsf psf(moffat(4.4, 3.0), 55, 1);
  // The square reaches to 27.5 pixels; reference from a 400-point Gauss-Legendre product rule.
  CHECK(psf.light_outside(500.0, 400.0) == Approx(4.028783e-4).margin(1e-6));
  CHECK(psf.norm() == 1.0);
}

TEST_CASE("stamps hold all light whatever the sub-pixel offset", "[field_psf]") {
  for (const double beta : {2.5, 3.5, 4.5}) {
    for (const double fwhm : {2.0, 3.0}) {
      const FieldPsf psf(moffat(fwhm, beta), 55, 1);
      const double reference = sum(psf.stamp(0, 0, 0.0, 0.0, 401));
      for (const double offset : {0.13, 0.5, -0.37}) {
        CHECK(sum(psf.stamp(0, 0, offset, 0.7 * offset, 401)) == Approx(reference).margin(1e-5));
      }
      const double alpha = std::exp(psf.model().lambda[0]);
      const double outside = std::pow(1.0 + 226.0 * 226.0 / (alpha * alpha), 1.0 - beta);
      CHECK(reference + outside == Approx(1.0).margin(1e-5));
    }
  }
}

TEST_CASE("the norm is the integral with wing and residual", "[field_psf]") {
  const FieldPsf psf(rich_model(), 55, 1);
  CHECK(std::abs(psf.norm() - 1.0) > 0.005);
  const Image<double> stamp = psf.stamp(300.0, 500.0, 0.2, -0.4, 1001);
  // What lies beyond 500 pixels follows from the far power law.
  const double slope = psf.wing_slope();
  const double edge = psf.value(300.0, 500.0, 500.0, 0.0) * std::pow(500.0, -slope);
  const double outside = -edge * 2.0 * 3.14159265 * std::pow(560.0, slope + 2.0) / (slope + 2.0);
  CHECK(sum(stamp) + outside == Approx(1.0).margin(3e-4));
}

TEST_CASE("a wing that is linear in s is a Moffat of another beta", "[field_psf]") {
  FieldPsfModel model = moffat(3.0, 3.0);
  const double tilt = 0.3;
  for (int k = 0; k < 8; ++k) {
    model.knots.push_back(0.35 * k);
    model.q.push_back(tilt * 0.35 * k);
  }
  const FieldPsf bent(model, 55, 1);
  FieldPsfModel plain = moffat(3.0, 3.0);
  plain.beta = 3.0 - tilt / 2.0;
  const FieldPsf expected(plain, 55, 1);
  const double scale = bent.value(0, 0, 0.0, 0.0) / expected.value(0, 0, 0.0, 0.0);
  CHECK(scale == Approx(1.0).epsilon(1e-5));  // both have the same integral
  for (const double r : {1.0, 3.0, 8.0, 20.0}) {
    CHECK(bent.value(0, 0, r, 0.3) == Approx(expected.value(0, 0, r, 0.3)).epsilon(1e-5));
  }
}

TEST_CASE("an oversampled stamp is the same model between the pixels", "[field_psf]") {
  const FieldPsf psf(rich_model(), 55, 2);
  const sky::PsfStamp stamp = psf.at(700.0, 100.0);
  REQUIRE(stamp.values.width() == 111);
  CHECK(stamp.half_size_pix() == 27);
  CHECK(stamp.values(55, 55) == Approx(psf.value(700.0, 100.0, 0.0, 0.0)));
  CHECK(stamp.values(57, 52) == Approx(psf.value(700.0, 100.0, -1.5, 1.0)));
  CHECK_FALSE(psf.is_constant());
  CHECK(psf.shape(100.0, 100.0).lambda != psf.shape(900.0, 100.0).lambda);
}

TEST_CASE("parameters restore the model bit by bit", "[field_psf]") {
  const FieldPsf psf(rich_model(), 55, 2);
  const auto copy = FieldPsf::from_parameters(psf.parameters());
  CHECK(copy->parameters() == psf.parameters());
  const sky::PsfStamp a = psf.at(123.0, 456.0);
  const sky::PsfStamp b = copy->at(123.0, 456.0);
  CHECK(std::equal(a.values.pixels().begin(), a.values.pixels().end(), b.values.pixels().begin()));
  FieldPsf::Parameters broken = psf.parameters();
  broken.pop_back();
  CHECK_THROWS_AS(FieldPsf::from_parameters(broken), ConfigError);
}

TEST_CASE("bad models are refused", "[field_psf]") {
  CHECK_THROWS_AS(FieldPsf(moffat(3.0, 0.9), 55, 1), ConfigError);
  CHECK_THROWS_AS(FieldPsf(moffat(3.0, 3.0), 54, 1), ConfigError);
  FieldPsfModel model = moffat(3.0, 3.0);
  model.order = 1;
  CHECK_THROWS_AS(FieldPsf(model, 55, 1), ConfigError);
}

TEST_CASE("width and growth of the profile", "[field_psf]") {
  const FieldPsf psf(moffat(6.0, 3.0), 55, 1);
  CHECK(psf.fwhm_pix() == Approx(6.0).epsilon(0.02));  // the pixel widens it slightly
  CHECK(psf.fwhm_pix() > 6.0);
  const std::vector<double> growth = sky::growth_curve(psf.stamp(0, 0, 0, 0, 55));
  CHECK(std::is_sorted(growth.begin(), growth.end()));
  CHECK(growth.back() == Approx(1.0 - psf.light_outside(0, 0)));
}

TEST_CASE("derivatives agree with differences", "[field_psf]") {
  using photometry::epsf::StarModel;
  const FieldPsf psf(rich_model(), 1, 1);
  const sky::PsfShape shape = psf.shape(400.0, 300.0);
  const StarModel star(psf, shape, photometry::epsf::norm_kappa_slope(psf));
  const double step = 1e-4;
  for (const double u : {0.3, 2.2, 7.1}) {
    const double v = 1.1 - 0.4 * u;
    const auto values = star.at<true>(u, v);
    const auto difference = [&](sky::PsfShape up, sky::PsfShape down) {
      return (StarModel(psf, up).p(u, v) - StarModel(psf, down).p(u, v)) / (2.0 * step);
    };
    const double scale = values.p;
    CHECK(values.p == Approx(psf.value(400.0, 300.0, u, v)).epsilon(1e-5));
    CHECK(values.pu ==
          Approx((star.p(u + step, v) - star.p(u - step, v)) / (2 * step)).margin(2e-3 * scale));
    CHECK(values.pv ==
          Approx((star.p(u, v + step) - star.p(u, v - step)) / (2 * step)).margin(2e-3 * scale));
    CHECK(values.lambda == Approx(difference({shape.lambda + step, shape.g1, shape.g2},
                                             {shape.lambda - step, shape.g1, shape.g2}))
                               .margin(2e-3 * scale));
    CHECK(values.g1 == Approx(difference({shape.lambda, shape.g1 + step, shape.g2},
                                         {shape.lambda, shape.g1 - step, shape.g2}))
                           .margin(2e-3 * scale));
    CHECK(values.g2 == Approx(difference({shape.lambda, shape.g1, shape.g2 + step},
                                         {shape.lambda, shape.g1, shape.g2 - step}))
                           .margin(2e-3 * scale));
    const auto with_kappa = [&](double change) {
      FieldPsfModel model = rich_model();
      model.beta = 1.0 + (model.beta - 1.0) * std::exp(change);
      const FieldPsf other(model, 1, 1);
      return StarModel(other, shape).p(u, v);
    };
    CHECK(values.kappa ==
          Approx((with_kappa(step) - with_kappa(-step)) / (2 * step)).margin(2e-3 * scale));
  }
}

TEST_CASE("all pixels of a stamp at once are those one by one", "[field_psf]") {
  using photometry::epsf::PixelValues;
  using photometry::epsf::StampValues;
  using photometry::epsf::StarModel;
  for (const bool rich : {false, true}) {
    const FieldPsf psf(rich ? rich_model() : moffat(4.4, 3.5), 1, 1);
    const StarModel star(psf, psf.shape(400.0, 300.0), photometry::epsf::norm_kappa_slope(psf));
    const Box box{373, 428, 273, 328};
    const double x = 400.3;
    const double y = 299.6;
    StampValues values;
    star.fill<true>(box, x, y, values);
    const double peak = star.p(0.0, 0.0);
    std::size_t k = 0;
    for (int j = box.y0; j < box.y1; ++j) {
      for (int i = box.x0; i < box.x1; ++i, ++k) {
        const PixelValues one = star.at<true>(i - x, j - y);
        // Of the table of derivatives that one pixel uses, 1e-4 is known.
        REQUIRE(double(values.p[k]) == Approx(one.p).margin(3e-6 * peak));
        REQUIRE(double(values.pu[k]) == Approx(one.pu).margin(1e-4 * peak));
        REQUIRE(double(values.pv[k]) == Approx(one.pv).margin(1e-4 * peak));
        REQUIRE(double(values.lambda[k]) == Approx(one.lambda).margin(2e-4 * peak));
        REQUIRE(double(values.g1[k]) == Approx(one.g1).margin(2e-4 * peak));
        REQUIRE(double(values.g2[k]) == Approx(one.g2).margin(2e-4 * peak));
        REQUIRE(double(values.kappa[k]) == Approx(one.kappa).margin(2e-5 * peak));
      }
    }
  }
}

TEST_CASE("a varying PSF is a sum of a few planes", "[field_psf]") {
  const FieldPsf psf(rich_model(), 41, 1);
  const auto planes = psf.planes();
  REQUIRE((planes.size() == 10 || planes.size() == 20));
  std::vector<double> weight(planes.size());
  std::vector<sky::PointSource> points;
  for (const auto& plane : planes) {
    points.emplace_back(plane);
  }
  const Rng rng(1, "planes", "test");
  for (std::uint64_t n = 0; n < 20; ++n) {
    const double x = rng.uniform(n, 0.0, 1000.0, 0);
    const double y = rng.uniform(n, 0.0, 800.0, 1);
    const sky::PsfStamp exact = psf.at(x, y);
    psf.plane_weights(x, y, weight);
    const float peak = exact.values(20, 20);
    float worst = 0.0F;
    for (std::size_t p = 0; p < exact.values.pixels().size(); ++p) {
      double value = 0.0;
      for (std::size_t k = 0; k < weight.size(); ++k) {
        value += weight[k] * static_cast<double>(planes[k].values.pixels()[p]);
      }
      worst = std::max(worst, std::abs(static_cast<float>(value) - exact.values.pixels()[p]));
    }
    INFO("place " << x << ", " << y);
    CHECK(worst < 4e-5F * peak);
    // A star read from the sum of the splines, within the box it was made for.
    const int side = 2 * 11 + 1;
    std::vector<float> direct(side * 32 * 3);
    std::vector<float> summed(direct.size());
    sky::RenderScratch scratch;
    const Box box{0, side, 0, side};
    sky::PointSource(exact).render(11.3, 10.6, true, {direct.data(), 32, side * 32, box}, scratch);
    sky::PointSource::combined(points, weight, 11)
        .render(11.3, 10.6, true, {summed.data(), 32, side * 32, box}, scratch);
    float difference = 0.0F;
    for (std::size_t p = 0; p < direct.size(); ++p) {
      difference = std::max(difference, std::abs(direct[p] - summed[p]));
    }
    CHECK(difference < 1e-4F * peak);
  }
  CHECK(FieldPsf(moffat(4.0, 3.0), 41, 1).planes().empty());
}
