// The linear algebra of the patch fit against brute force: gradient, Schur complement, covariances.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/photometry/fit/kernel_errors.hpp"
#include "pipelines/photometry/fit/kernel_scene.hpp"
#include "pipelines/photometry/fit/kernel_solve.hpp"

#include "support/fit_patch.hpp"

namespace fit = skyloom::photometry::fit;
using skyloom::test::make_patch;
using skyloom::test::small;

namespace {

/// All free sources active, boxes placed, everything evaluated.
void prepare(fit::Scene& scene) {
  fit::place_sources(scene);
  for (auto& source : scene.sources()) {
    source.active = source.free;
  }
  scene.evaluate(true);
}

}  // namespace

TEST_CASE("the gradient is that of chi2 / 2 minimised over fluxes and skies") {
  auto patch = make_patch(5, small());
  fit::Workspace workspace;
  fit::Scene scene(patch.input, workspace);
  prepare(scene);
  const int n = scene.active_parameters();
  std::vector<double> g(static_cast<std::size_t>(n));
  scene.gradient(g);
  std::vector<double> h(g.size() * g.size());
  scene.normal_matrix(h);
  std::size_t i = 0;
  for (auto& source : scene.sources()) {
    for (int k = 0; k < source.n_parameters; ++k, ++i) {
      const auto p = static_cast<std::size_t>(k);
      const double centre = source.value[p];
      // A step of a tenth of an error, larger than the rounding of chi2.
      const double sigma = 1.0 / std::sqrt(h[i * g.size() + i] + 1e-6);
      const double step = std::min(0.03, 0.3 * sigma);
      source.value[p] = centre + step;
      const double up = 0.5 * scene.evaluate(false);
      source.value[p] = centre - step;
      const double down = 0.5 * scene.evaluate(false);
      source.value[p] = centre;
      const double numeric = (up - down) / (2.0 * step);
      INFO("parameter " << k << " of type " << static_cast<int>(source.type));
      CHECK(g[i] * sigma == Approx(numeric * sigma).epsilon(0.01).margin(0.02));
    }
  }
}

TEST_CASE("the normal matrix is the Schur complement of the full one") {
  auto patch = make_patch(6, small());
  fit::Workspace workspace;
  fit::Scene scene(patch.input, workspace);
  prepare(scene);
  const auto n = static_cast<std::size_t>(scene.active_parameters());
  std::vector<double> h(n * n);
  scene.normal_matrix(h);
  // Brute force in double from the rendered images.
  std::vector<double> expected(n * n, 0.0);
  for (int b = 0; b < scene.n_bands(); ++b) {
    const auto& frame = scene.frames()[static_cast<std::size_t>(b)];
    const std::size_t pixels =
        static_cast<std::size_t>(frame.width) * static_cast<std::size_t>(frame.height);
    std::vector<std::vector<double>> linear;
    std::vector<std::vector<double>> columns;
    for (const auto& source : scene.sources()) {
      const auto block = scene.block(source, static_cast<std::size_t>(b));
      for (int m = 0; m < source.n_images; ++m) {
        std::vector<double> image(pixels, 0.0);
        const double scale = m == 0 ? 1.0 : source.flux[static_cast<std::size_t>(b)];
        for (int y = block.clip.y0; y < block.clip.y1; ++y) {
          for (int x = block.clip.x0; x < block.clip.x1; ++x) {
            image[static_cast<std::size_t>(y * frame.width + x)] =
                scale * static_cast<double>(
                            block.data[m * block.plane + (y - block.clip.y0) * block.stride + x -
                                       block.clip.x0]);
          }
        }
        (m == 0 ? linear : columns).push_back(std::move(image));
      }
    }
    linear.emplace_back(pixels, 1.0);
    const auto dot = [](const std::vector<double>& a, const std::vector<double>& c) {
      double sum = 0.0;
      for (std::size_t i = 0; i < a.size(); ++i) {
        sum += a[i] * c[i];
      }
      return sum;
    };
    const std::size_t l = linear.size();
    std::vector<double> a(l * l);
    for (std::size_t i = 0; i < l; ++i) {
      for (std::size_t j = 0; j < l; ++j) {
        a[i * l + j] = dot(linear[i], linear[j]);
      }
    }
    skyloom::numerics::SmallCholesky factor;
    REQUIRE(factor.factor(a, static_cast<int>(l)));
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<double> row(l);
      for (std::size_t k = 0; k < l; ++k) {
        row[k] = dot(columns[i], linear[k]);
      }
      factor.solve(row);
      for (std::size_t j = 0; j < n; ++j) {
        double value = dot(columns[i], columns[j]);
        for (std::size_t k = 0; k < l; ++k) {
          value -= row[k] * dot(columns[j], linear[k]);
        }
        expected[i * n + j] += value;
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const double scale = std::sqrt(expected[i * n + i] * expected[j * n + j]);
      REQUIRE(std::abs(h[i * n + j] - expected[i * n + j]) < 2e-4 * scale + 1e-9);
    }
  }
}

TEST_CASE("covariances of fluxes agree with the inverse of the full matrix") {
  auto patch = make_patch(7, small());
  for (auto& frame : patch.input.frames) {
    frame.gain_e_per_flux = 0.0;
  }
  fit::Workspace workspace;
  fit::Scene scene(patch.input, workspace);
  prepare(scene);
  const auto n = static_cast<std::size_t>(scene.active_parameters());
  std::vector<double> h(n * n);
  scene.normal_matrix(h);
  const std::vector<double> prior(n, 4.0);
  for (std::size_t i = 0; i < n; ++i) {
    h[i * n + i] += prior[i];
  }
  skyloom::numerics::SmallCholesky factor;
  REQUIRE(factor.factor(h, static_cast<int>(n)));
  const auto inverse = factor.inverse();
  // Without source noise the sandwich is the inverse itself.
  const auto cov = fit::covariance(scene, inverse, inverse, prior);
  for (std::size_t i = 0; i < n; ++i) {
    CHECK(cov.theta[i * n + i] == Approx(inverse[i * n + i]).epsilon(2e-4));
  }
  for (int b = 0; b < scene.n_bands(); ++b) {
    const auto& band = scene.band(b);
    const auto l = static_cast<std::size_t>(band.size());
    std::vector<double> coupling(l * n);
    scene.coupling_matrix(scene.gram(), band, b, coupling);
    for (std::size_t i = 0; i < l; ++i) {
      std::vector<double> unit(l, 0.0);
      unit[i] = 1.0;
      band.factor.solve(unit);
      std::vector<double> projected(n, 0.0);
      for (std::size_t k = 0; k < l; ++k) {
        for (std::size_t j = 0; j < n; ++j) {
          projected[j] += unit[k] * coupling[k * n + j];
        }
      }
      std::vector<double> solved = projected;
      factor.solve(solved);
      double expected = unit[i];
      for (std::size_t j = 0; j < n; ++j) {
        expected += projected[j] * solved[j];
      }
      CHECK(cov.linear[static_cast<std::size_t>(b)][i * l + i] == Approx(expected).epsilon(5e-4));
    }
  }
}
