// The bounded quasi-Newton search on functions with known minima; the periodogram against the
// explicit fit of a sinusoid.

#include "skyloom/numerics/minimise.hpp"

#include <cmath>
#include <numbers>
#include <stdexcept>
#include <vector>

#include <catch2/catch.hpp>

#include "skyloom/core/random.hpp"
#include "skyloom/numerics/periodogram.hpp"

using namespace skyloom::numerics;  // NOLINT(google-build-using-namespace): a test

namespace {

double rosenbrock(std::span<const double> x, std::span<double> g) {
  const double a = x[1] - x[0] * x[0];
  const double b = 1.0 - x[0];
  g[0] = -400.0 * x[0] * a - 2.0 * b;
  g[1] = 200.0 * a;
  return 100.0 * a * a + b * b;
}

const std::vector<double> kStart{-1.2, 1.0};
const std::vector<double> kLow{-10.0, -10.0};
const std::vector<double> kHigh{10.0, 10.0};

}  // namespace

TEST_CASE("a free minimum is found") {
  const Minimum found = minimise(rosenbrock, kStart, kLow, kHigh, {200, 1e-6});
  CHECK(found.converged);
  CHECK(found.x[0] == Approx(1.0).margin(1e-5));
  CHECK(found.x[1] == Approx(1.0).margin(1e-5));
  CHECK(found.evaluations >= found.iterations);
}

TEST_CASE("a minimum on a bound is found, from a start outside") {
  const std::vector<double> high{0.5, 10.0};
  const Minimum found =
      minimise(rosenbrock, std::vector<double>{3.0, 3.0}, kLow, high, {200, 1e-6});
  CHECK(found.converged);
  CHECK(found.x[0] == 0.5);
  CHECK(found.x[1] == Approx(0.25).margin(1e-5));
  CHECK(found.value == Approx(0.25));
}

TEST_CASE("the iteration limit and errors from the function come out") {
  const Minimum early = minimise(rosenbrock, kStart, kLow, kHigh, {3, 1e-6});
  CHECK_FALSE(early.converged);
  CHECK(early.iterations == 3);
  CHECK(early.value < 24.2);
  const Objective fails = [](std::span<const double>, std::span<double>) -> double {
    throw std::runtime_error("from the function");
  };
  CHECK_THROWS_WITH(minimise(fails, kStart, kLow, kHigh, {}), "from the function");
}

TEST_CASE("the periodogram's peak is the best sinusoid") {
  const skyloom::Rng random(3, "periodogram", "sample");
  std::vector<double> t;
  std::vector<double> y;
  for (std::size_t i = 0; i < 203; ++i) {
    t.push_back(1325.0 + 0.13 * (static_cast<double>(i) + 0.5 * random.uniform(2 * i)));
    y.push_back(4.0 + std::sin(2.0 * std::numbers::pi * 0.83 * t.back() + 0.4) +
                2.0 * (random.uniform(2 * i + 1) - 0.5));
  }
  const PeriodogramPeak peak = periodogram_peak(t, y, 0.1, 3.0, 0.01);
  CHECK(peak.frequencies == 291);
  CHECK(peak.frequency == Approx(0.83).epsilon(1e-12));
  CHECK(peak.false_alarm < 1e-12);
  // Residual variance of the fitted a cos + b sin + c by normal equations, solved by Cramer's rule.
  double m[3][4] = {};
  double mean = 0.0;
  for (const double v : y) {
    mean += v / static_cast<double>(y.size());
  }
  double yy = 0.0;
  for (std::size_t i = 0; i < t.size(); ++i) {
    const double x = 2.0 * std::numbers::pi * peak.frequency * t[i];
    const double row[4] = {std::cos(x), std::sin(x), 1.0, y[i] - mean};
    for (int a = 0; a < 3; ++a) {
      for (int b = 0; b < 4; ++b) {
        m[a][b] += row[a] * row[b];
      }
    }
    yy += row[3] * row[3];
  }
  const auto determinant = [&](int column) {
    const auto e = [&](int a, int b) { return b == column ? m[a][3] : m[a][b]; };
    return e(0, 0) * (e(1, 1) * e(2, 2) - e(1, 2) * e(2, 1)) -
           e(0, 1) * (e(1, 0) * e(2, 2) - e(1, 2) * e(2, 0)) +
           e(0, 2) * (e(1, 0) * e(2, 1) - e(1, 1) * e(2, 0));
  };
  double explained = 0.0;
  for (int k = 0; k < 3; ++k) {
    explained += determinant(k) / determinant(-1) * m[k][3];
  }
  CHECK(peak.power == Approx(explained / yy).epsilon(1e-10));
}

TEST_CASE("noise alone has no significant peak, and too little data none at all") {
  const skyloom::Rng random(4, "periodogram", "noise");
  std::vector<double> t;
  std::vector<double> y;
  for (std::size_t i = 0; i < 500; ++i) {
    t.push_back(0.05 * static_cast<double>(i));
    y.push_back(random.uniform(i));
  }
  CHECK(periodogram_peak(t, y, 0.1, 5.0, 0.01).false_alarm > 0.01);
  CHECK(periodogram_peak(std::vector<double>{1.0, 2.0, 3.0}, std::vector<double>{1.0, 2.0, 1.0},
                         0.1, 5.0, 0.01)
            .frequencies == 0);
  CHECK(periodogram_peak(t, std::vector<double>(500, 1.1), 0.1, 5.0, 0.01).frequencies == 0);
}
