// Both solvers on problems with known answers: bounds, errors from callbacks, stopping, failures.

#include "skyloom/numerics/least_squares.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include <catch2/catch.hpp>

using namespace skyloom::numerics;  // NOLINT(google-build-using-namespace): a test

namespace {

/// Rosenbrock as a sum of squares: residuals 10 (y - x^2) and 1 - x.
class Rosenbrock : public LeastSquaresProblem {
 public:
  int values = 0;
  int throw_at = -1;
  bool bad = false;

  [[nodiscard]] int size() const override { return 2; }
  double value(std::span<const double> x) override {
    if (++values == throw_at) {
      throw std::runtime_error("from the callback");
    }
    const double a = 10.0 * (x[1] - x[0] * x[0]);
    const double b = 1.0 - x[0];
    return bad ? std::numeric_limits<double>::quiet_NaN() : 0.5 * (a * a + b * b);
  }
  double gradient(std::span<const double> x, std::span<double> g) override {
    const double f = value(x);
    const double a = 10.0 * (x[1] - x[0] * x[0]);
    g[0] = -20.0 * x[0] * a - (1.0 - x[0]);
    g[1] = 10.0 * a;
    return f;
  }
  void normal_matrix(std::span<const double> x, std::span<double> h) override {
    h[0] = 400.0 * x[0] * x[0] + 1.0;
    h[1] = h[2] = -200.0 * x[0];
    h[3] = 100.0;
  }
};

using Minimize = LeastSquaresResult (*)(LeastSquaresProblem&, std::span<const double>,
                                        std::span<const double>, std::span<const double>,
                                        const LeastSquaresOptions&);
const Minimize kSolvers[] = {&minimize_tao, &minimize_lm};
const std::vector<double> kStart{-1.2, 1.0};
const std::vector<double> kLow{-10.0, -10.0};
const std::vector<double> kHigh{10.0, 10.0};

}  // namespace

TEST_CASE("the minimum of Rosenbrock's function is found") {
  for (const Minimize minimize : kSolvers) {
    Rosenbrock problem;
    const auto result = minimize(problem, kStart, kLow, kHigh, {});
    CHECK(result.outcome == Outcome::converged);
    CHECK(result.x[0] == Approx(1.0).margin(1e-5));
    CHECK(result.x[1] == Approx(1.0).margin(1e-5));
    CHECK(result.iterations < 40);
  }
}

TEST_CASE("bounds hold and the rest is minimised inside them") {
  const std::vector<double> high{0.5, 10.0};
  for (const Minimize minimize : kSolvers) {
    Rosenbrock problem;
    const auto result = minimize(problem, kStart, kLow, high, {});
    CHECK(result.x[0] == Approx(0.5).margin(1e-6));
    CHECK(result.x[1] == Approx(0.25).margin(1e-5));
  }
}

TEST_CASE("exceptions of callbacks come out unchanged and the solver stays usable") {
  for (const Minimize minimize : kSolvers) {
    for (const int at : {1, 3}) {
      Rosenbrock problem;
      problem.throw_at = at;
      CHECK_THROWS_WITH(minimize(problem, kStart, kLow, kHigh, {}), "from the callback");
    }
    Rosenbrock good;
    CHECK(minimize(good, kStart, kLow, kHigh, {}).outcome == Outcome::converged);
  }
}

TEST_CASE("NaN is a failure, not a result") {
  for (const Minimize minimize : kSolvers) {
    Rosenbrock problem;
    problem.bad = true;
    const auto result = minimize(problem, kStart, kLow, kHigh, {});
    CHECK(result.outcome == Outcome::failed);
    CHECK_FALSE(result.detail.empty());
  }
}

TEST_CASE("the monitor and the iteration limit end a solve") {
  for (const Minimize minimize : kSolvers) {
    Rosenbrock problem;
    LeastSquaresOptions options;
    options.monitor = [](const Step& step) {
      return step.iteration >= 2 ? Verdict::stop : Verdict::proceed;
    };
    CHECK(minimize(problem, kStart, kLow, kHigh, options).outcome == Outcome::stopped);
    options.monitor = [](const Step& step) {
      return step.iteration >= 2 ? Verdict::converged : Verdict::proceed;
    };
    CHECK(minimize(problem, kStart, kLow, kHigh, options).outcome == Outcome::by_monitor);
    options.monitor = nullptr;
    options.max_iterations = 3;
    const auto result = minimize(problem, kStart, kLow, kHigh, options);
    CHECK(result.outcome == Outcome::max_iterations);
    CHECK(result.iterations == 3);
  }
}
