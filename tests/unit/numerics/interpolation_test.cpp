// Splines and gaps of images.

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"
#include "skyloom/numerics/bicubic_spline.hpp"
#include "skyloom/numerics/gap_fill.hpp"

using namespace skyloom;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// A polynomial of degree three in each coordinate.
double cubic(double x, double y) {
  const double p = 1.0 - 0.3 * x + 0.2 * x * x - 0.05 * x * x * x;
  const double q = 0.5 + 0.1 * y - 0.04 * y * y + 0.02 * y * y * y;
  return p * q + 0.7 * x - y;
}

template <class F>
Image<double> sampled(int width, int height, F f) {
  Image<double> out(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      out(y, x) = f(x, y);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("a not-a-knot bicubic spline is exact for cubics, its slopes too", "[spline]") {
  const Image<double> image = sampled(6, 9, cubic);
  const numerics::BicubicSpline spline(image.view());
  for (const auto& [x, y] : {std::pair{0.3, 0.2}, std::pair{4.9, 7.7}, std::pair{2.5, 0.0},
                             std::pair{5.0, 8.0}, std::pair{3.1, 4.4}}) {
    const auto v = spline.at(x, y);
    CHECK(v.value == Approx(cubic(x, y)).margin(1e-11));
    constexpr double kStep = 1e-5;
    CHECK(v.dx == Approx((cubic(x + kStep, y) - cubic(x - kStep, y)) / (2 * kStep)).margin(1e-7));
    CHECK(v.dy == Approx((cubic(x, y + kStep) - cubic(x, y - kStep)) / (2 * kStep)).margin(1e-7));
  }
}

TEST_CASE("the spline goes through its samples and has two continuous derivatives", "[spline]") {
  const Image<double> image =
      sampled(12, 10, [](int x, int y) { return std::sin(1.7 * x) * std::cos(0.9 * y + 0.2 * x); });
  const numerics::BicubicSpline spline(image.view());
  CHECK(spline.at(7.0, 3.0).value == Approx(image(3, 7)).margin(1e-14));
  constexpr double kStep = 1e-4;
  for (int x = 1; x < 11; ++x) {
    const auto slope = [&](double t) { return spline.at(t, 4.3).dx; };
    const double left = (slope(x) - slope(x - kStep)) / kStep;
    const double right = (slope(x + kStep) - slope(x)) / kStep;
    CHECK(left == Approx(right).margin(5e-3));
  }
}

TEST_CASE("nothing lies outside the samples", "[spline]") {
  const Image<double> image(5, 5, 3.0);
  const numerics::BicubicSpline spline(image.view());
  CHECK(spline.at(4.0, 0.0).value == Approx(3.0));
  CHECK(spline.at(4.001, 2.0).value == 0.0);
  CHECK(spline.at(-0.001, 2.0).value == 0.0);
  CHECK_THROWS_AS(numerics::BicubicSpline(Image<double>(3, 5).view()), FatalError);
}

TEST_CASE("gaps of a plane are filled exactly, outside the hull nothing is", "[gaps]") {
  const auto plane = [](int x, int y) { return 2.0 - 0.5 * x + 0.25 * y; };
  Image<double> image = sampled(9, 8, plane);
  for (const auto& [x, y] : {std::pair{4, 4}, std::pair{5, 4}, std::pair{4, 5}, std::pair{1, 6}}) {
    image(y, x) = kNaN;
  }
  for (int y = 0; y < 8; ++y) {
    image(y, 0) = kNaN;
  }
  numerics::fill_gaps(image);
  for (int y = 0; y < 8; ++y) {
    CHECK(std::isnan(image(y, 0)));
    for (int x = 1; x < 9; ++x) {
      CHECK(image(y, x) == Approx(plane(x, y)).margin(1e-9));
    }
  }
  numerics::fill_nearest(image);
  CHECK(image(3, 0) == image(3, 1));
}

TEST_CASE("a single gap has the value of least bending energy", "[gaps]") {
  // With one unknown z the energy is a parabola in z: derivative by hand. Stencils through the gap:
  // six rows and columns of (1, -2, 1) and four squares (1, -1, -1, 1) of weight 2.
  Image<double> image = sampled(7, 7, [](int x, int y) { return 0.1 * x * x * x + y * y - x * y; });
  const auto f = [&](int dx, int dy) { return image(3 + dy, 3 + dx); };
  double rest = 0.0;
  rest += f(-2, 0) - 2 * f(-1, 0) + f(2, 0) - 2 * f(1, 0) - 2 * (f(-1, 0) + f(1, 0));
  rest += f(0, -2) - 2 * f(0, -1) + f(0, 2) - 2 * f(0, 1) - 2 * (f(0, -1) + f(0, 1));
  for (const int a : {-1, 1}) {
    for (const int b : {-1, 1}) {
      rest += 2 * (f(a, b) - f(a, 0) - f(0, b));
    }
  }
  const double expected = -rest / (2 * (1 + 4 + 1) + 4 * 2);
  image(3, 3) = kNaN;
  numerics::fill_gaps(image);
  CHECK(image(3, 3) == Approx(expected).epsilon(1e-10));
}
