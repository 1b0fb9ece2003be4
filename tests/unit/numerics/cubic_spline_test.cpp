#include "skyloom/numerics/cubic_spline.hpp"

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>

using skyloom::numerics::CubicSpline;

TEST_CASE("A cubic is reproduced, beyond the nodes too") {
  const std::vector<double> x{-1.0, 0.5, 2.0, 3.0, 7.0};
  const auto cubic = [](double t) { return 2.0 - t + 0.5 * t * t - 0.3 * t * t * t; };
  std::vector<double> y;
  std::transform(x.begin(), x.end(), std::back_inserter(y), cubic);
  const CubicSpline spline(x, y);
  for (const double at : {-2.0, -1.0, 0.0, 1.3, 2.5, 6.9, 7.0, 8.0}) {
    CHECK(spline(at) == Approx(cubic(at)).margin(1e-12));
  }
}

TEST_CASE("The error of the interpolation falls with the fourth power of the step") {
  const auto error = [](int n) {
    std::vector<double> x;
    std::vector<double> y;
    for (int i = 0; i <= n; ++i) {
      x.push_back(3.0 * i / n);
      y.push_back(std::sin(x.back()));
    }
    const CubicSpline spline(x, y);
    double worst = 0.0;
    for (double at = 0.0; at <= 3.0; at += 0.0007) {
      worst = std::max(worst, std::abs(spline(at) - std::sin(at)));
    }
    return worst;
  };
  const double ratio = error(80) / error(160);
  CHECK(ratio > 14.0);
  CHECK(ratio < 18.0);
}
