// Small dense algebra, float sums and the quintic spline against direct formulas.

#include "skyloom/numerics/dense.hpp"

#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

#include "skyloom/core/random.hpp"
#include "skyloom/numerics/bspline.hpp"
#include "skyloom/numerics/float_lanes.hpp"

using namespace skyloom::numerics;  // NOLINT(google-build-using-namespace): a test

namespace {

std::vector<double> positive_definite(int n, const skyloom::Rng& rng) {
  const auto size = static_cast<std::size_t>(n);
  std::vector<double> factor(size * size);
  for (std::size_t i = 0; i < factor.size(); ++i) {
    factor[i] = rng.normal(i);
  }
  std::vector<double> a(size * size, 0.0);
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = 0; j < size; ++j) {
      for (std::size_t k = 0; k < size; ++k) {
        a[i * size + j] += factor[i * size + k] * factor[j * size + k];
      }
    }
    a[i * size + i] += 1.0;
  }
  return a;
}

}  // namespace

TEST_CASE("Cholesky solves and inverts") {
  const skyloom::Rng rng(1, "dense", "test");
  for (const int n : {1, 2, 7, 40}) {
    const auto size = static_cast<std::size_t>(n);
    const auto a = positive_definite(n, rng);
    SmallCholesky factor;
    REQUIRE(factor.factor(a, n));
    const auto inverse = factor.inverse();
    double worst = 0.0;
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j < size; ++j) {
        double sum = i == j ? -1.0 : 0.0;
        for (std::size_t k = 0; k < size; ++k) {
          sum += a[i * size + k] * inverse[k * size + j];
        }
        worst = std::max(worst, std::abs(sum));
      }
    }
    CHECK(worst < 1e-10);
  }
  SmallCholesky factor;
  CHECK_FALSE(factor.factor(std::vector<double>{1.0, 2.0, 2.0, 1.0}, 2));
  CHECK_FALSE(factor.factor(std::vector<double>{std::nan("")}, 1));
  CHECK(factor.factor(std::vector<double>{1.0, 1.0, 1.0, 1.0}, 2, 1e-9));
}

TEST_CASE("float sums equal sums in double") {
  const skyloom::Rng rng(2, "float", "test");
  const int width = 37;
  const int rows = 11;
  const int stride = 48;
  const int plane = stride * rows;
  std::vector<float> x(static_cast<std::size_t>(3 * plane));
  std::vector<float> y(static_cast<std::size_t>(6 * plane));
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<float>(rng.normal(i));
  }
  for (std::size_t i = 0; i < y.size(); ++i) {
    y[i] = static_cast<float>(rng.normal(i, 1));
  }
  std::vector<double> g(18);
  products({x.data(), stride}, plane, 3, {y.data(), stride}, plane, 6, false, rows, width, g.data(),
           6);
  for (int a = 0; a < 3; ++a) {
    for (int b = 0; b < 6; ++b) {
      double sum = 0.0;
      for (int r = 0; r < rows; ++r) {
        for (int i = 0; i < width; ++i) {
          sum += static_cast<double>(x[static_cast<std::size_t>(a * plane + r * stride + i)]) *
                 static_cast<double>(y[static_cast<std::size_t>(b * plane + r * stride + i)]);
        }
      }
      CHECK(g[static_cast<std::size_t>(a * 6 + b)] == Approx(sum).margin(1e-4));
    }
  }
  double sum = 0.0;
  for (int r = 0; r < rows; ++r) {
    for (int i = 0; i < width; ++i) {
      const auto at = static_cast<std::size_t>(r * stride + i);
      sum += static_cast<double>(x[at]) * static_cast<double>(y[at]);
    }
  }
  std::vector<float> both(static_cast<std::size_t>(plane), -7.0F);
  CHECK(multiply({x.data(), stride}, {y.data(), stride}, rows, width, both.data(), stride) ==
        Approx(sum).margin(1e-4));
  CHECK(both[static_cast<std::size_t>(stride)] ==
        x[static_cast<std::size_t>(stride)] * y[static_cast<std::size_t>(stride)]);
  // Nothing is written beyond the width.
  CHECK(both[static_cast<std::size_t>(width)] == -7.0F);
  // chi2 and weighted residuals.
  std::vector<float> weighted(static_cast<std::size_t>(plane));
  const double chi2 =
      weighted_residual({x.data(), stride}, {y.data(), stride}, 0.25F, {y.data() + plane, stride},
                        rows, width, weighted.data(), stride);
  double expected = 0.0;
  for (int r = 0; r < rows; ++r) {
    for (int i = 0; i < width; ++i) {
      const auto at = static_cast<std::size_t>(r * stride + i);
      const double residual = static_cast<double>(x[at]) - static_cast<double>(y[at]) - 0.25;
      const double w = static_cast<double>(y[at + static_cast<std::size_t>(plane)]);
      expected += w * residual * residual;
      CHECK(static_cast<double>(weighted[at]) == Approx(w * residual).margin(1e-5));
    }
  }
  CHECK(chi2 == Approx(expected).margin(1e-3));
}

TEST_CASE("c -= a^T b for sizes that are no multiples of a vector") {
  const skyloom::Rng rng(3, "products", "test");
  for (const int n : {1, 4, 9, 18}) {
    const int m = n + 3;
    const int rows = 5;
    std::vector<double> a(static_cast<std::size_t>(rows * n));
    std::vector<double> b(static_cast<std::size_t>(rows * m));
    std::vector<double> c(static_cast<std::size_t>(n * m), 1.0);
    for (std::size_t i = 0; i < a.size(); ++i) {
      a[i] = rng.normal(i);
    }
    for (std::size_t i = 0; i < b.size(); ++i) {
      b[i] = rng.normal(i, 1);
    }
    subtract_products(a.data(), n, b.data(), m, rows, n, m, c.data(), m);
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < m; ++j) {
        double expected = 1.0;
        for (int k = 0; k < rows; ++k) {
          expected -=
              a[static_cast<std::size_t>(k * n + i)] * b[static_cast<std::size_t>(k * m + j)];
        }
        CHECK(c[static_cast<std::size_t>(i * m + j)] == Approx(expected).margin(1e-12));
      }
    }
  }
}

TEST_CASE("the quintic spline interpolates and is exact for low polynomials") {
  for (const double f : {0.0, 0.25, 0.5, 0.9}) {
    const auto w = quintic_weights(f);
    double one = 0.0;
    double mean = 0.0;
    double slope_one = 0.0;
    double slope = 0.0;
    for (int k = 0; k < kQuinticTaps; ++k) {
      const auto i = static_cast<std::size_t>(k);
      one += w.value[i];
      mean += w.value[i] * (k - 2);
      slope_one += w.derivative[i];
      slope += w.derivative[i] * (k - 2);
    }
    CHECK(one == Approx(1.0).epsilon(1e-14));
    CHECK(mean == Approx(f).margin(1e-14));
    CHECK(slope_one == Approx(0.0).margin(1e-13));
    CHECK(slope == Approx(1.0).epsilon(1e-13));
    const double h = 1e-5;
    if (f > 0.0) {
      const auto up = quintic_weights(f + h);
      const auto down = quintic_weights(f - h);
      for (std::size_t k = 0; k < 6; ++k) {
        CHECK(w.derivative[k] == Approx((up.value[k] - down.value[k]) / (2 * h)).margin(1e-8));
      }
    }
  }
  const skyloom::Rng rng(4, "spline", "test");
  skyloom::Image<float> image(9, 7);
  for (std::size_t i = 0; i < image.pixels().size(); ++i) {
    image.pixels()[i] = static_cast<float>(rng.normal(i));
  }
  const auto c = quintic_coefficients(image.view(), 12);
  const auto w = quintic_weights(0.0);
  for (int y = 0; y < 7; ++y) {
    for (int x = 0; x < 9; ++x) {
      double sum = 0.0;
      for (int j = 0; j < 6; ++j) {
        for (int i = 0; i < 6; ++i) {
          sum += w.value[static_cast<std::size_t>(i)] * w.value[static_cast<std::size_t>(j)] *
                 c(y + 12 + j - 2, x + 12 + i - 2);
        }
      }
      CHECK(sum == Approx(static_cast<double>(image(y, x))).margin(1e-9));
    }
  }
}
