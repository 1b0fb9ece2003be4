// The O(N) Gaussian process against dense algebra on small samples, its gradient against
// differences.

#include "skyloom/numerics/celerite.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <new>
#include <numbers>
#include <vector>

#include <catch2/catch.hpp>

#include "skyloom/core/random.hpp"
#include "skyloom/numerics/celerite_terms.hpp"
#include "skyloom/numerics/dense.hpp"

using namespace skyloom::numerics;  // NOLINT(google-build-using-namespace): a test

namespace {

std::size_t allocations = 0;

}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) {  // NOLINT
    return p;
  }
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept {
  std::free(p);
}  // NOLINT
void operator delete(void* p, std::size_t) noexcept {
  std::free(p);
}  // NOLINT

namespace {

using std::exp;

struct Case {
  KernelFamily family;
  std::vector<double> theta;
};

/// Rotation with two good modes, one with a first mode of huge and a second of tiny quality, two
/// SHOs underdamped and overdamped.
const std::vector<Case> kCases{
    {KernelFamily::rotation_sho, {-4.5, -0.5, 0.4, 1.1, -0.7, -5.0, 0.3, -6.0}},
    {KernelFamily::rotation_sho, {-5.0, 0.8, -3.0, 4.0, 0.5, -4.5, -0.5, -5.5}},
    {KernelFamily::sho2, {-4.5, -0.3, 0.5, -5.0, 0.7, -6.0}},
    {KernelFamily::sho2, {-4.5, 0.9, -2.0, -5.0, 0.7, -6.0}}};

/// Covariance of a damped oscillator by its closed form (Foreman-Mackey et al. 2017, eq. 23).
double oscillator(double tau, double variance, double w0, double q) {
  const double root = std::sqrt(std::abs(1.0 - 1.0 / (4.0 * q * q)));
  const double x = root * w0 * tau;
  const double wave = q > 0.5 ? std::cos(x) + std::sin(x) / (2.0 * root * q)
                              : std::cosh(x) + std::sinh(x) / (2.0 * root * q);
  return variance * exp(-0.5 * w0 * tau / q) * wave;
}

double covariance(const Case& c, double tau) {
  constexpr double kPi = std::numbers::pi;
  const std::vector<double>& t = c.theta;
  if (c.family == KernelFamily::sho2) {
    const double w1 = 2.0 * kPi / exp(t[1]);
    return oscillator(tau, exp(2.0 * t[0]), w1, 0.5 * w1 * exp(t[2])) +
           oscillator(tau, exp(2.0 * t[3]), 2.0 * kPi / exp(t[4]), 0.25);
  }
  const double first = exp(2.0 * t[0]) / (1.0 + exp(t[4]));
  const double q2 = 0.5 + exp(t[2]);
  const double q1 = q2 + exp(t[3]);
  const double w1 = 4.0 * kPi * q1 / (exp(t[1]) * std::sqrt(4.0 * q1 * q1 - 1.0));
  const double w2 = 8.0 * kPi * q2 / (exp(t[1]) * std::sqrt(4.0 * q2 * q2 - 1.0));
  return oscillator(tau, first, w1, q1) + oscillator(tau, exp(t[4]) * first, w2, q2) +
         oscillator(tau, exp(2.0 * t[5]), 2.0 * kPi / exp(t[6]), 0.25);
}

struct Sample {
  std::vector<double> t, y, variance, scale, wanted;
};

/// Uneven times with a gap, noise of different sizes; wanted times between, on and outside them.
Sample make_sample(std::size_t n) {
  Sample s;
  const skyloom::Rng random(7, "celerite", "sample");
  for (std::size_t i = 0; i < n; ++i) {
    const double u = random.uniform(2 * i);
    s.t.push_back(-3.0 + 0.06 * (static_cast<double>(i) + 0.6 * u) + (i > n / 2 ? 1.3 : 0.0));
    s.y.push_back(0.01 * std::sin(9.0 * s.t.back()) + 0.004 * (random.uniform(2 * i + 1) - 0.5));
    s.variance.push_back(1e-6 * (1.0 + u));
    s.scale.push_back(i % 3 == 0 ? 0.25 : 1.0);
  }
  s.wanted = s.t;
  for (const double t : {-4.0, -3.2, -1.01, 0.03, 0.5, 1.0, 9.0}) {
    s.wanted.push_back(t);
  }
  std::sort(s.wanted.begin(), s.wanted.end());
  return s;
}

struct Dense {
  double log_like = 0.0;
  double constant = 0.0;
  std::vector<double> mean, variance;
};

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

Dense dense_answer(const Sample& s, const Case& c) {
  const std::size_t n = s.t.size();
  std::vector<double> matrix(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      matrix[i * n + j] = covariance(c, std::abs(s.t[i] - s.t[j]));
    }
    matrix[i * n + i] += (s.variance[i] + exp(2.0 * c.theta.back())) * s.scale[i];
  }
  SmallCholesky cholesky;
  REQUIRE(cholesky.factor(matrix, static_cast<int>(n)));
  std::vector<double> y = s.y;
  std::vector<double> one(n, 1.0);
  cholesky.solve_lower(y);
  cholesky.solve_lower(one);
  Dense answer;
  answer.constant = dot(y, one) / dot(one, one);
  double log_det = 0.0;
  std::vector<double> unit(n);
  for (std::size_t i = 0; i < n; ++i) {  // L^-1 e_i has 1 / l_ii at place i
    std::fill(unit.begin(), unit.end(), 0.0);
    unit[i] = 1.0;
    cholesky.solve_lower(unit);
    log_det -= 2.0 * std::log(unit[i]);
    y[i] -= answer.constant * one[i];
  }
  answer.log_like =
      -0.5 * (dot(y, y) + log_det + static_cast<double>(n) * std::log(2.0 * std::numbers::pi));
  for (const double t : s.wanted) {
    std::vector<double> k(n);
    for (std::size_t i = 0; i < n; ++i) {
      k[i] = covariance(c, std::abs(t - s.t[i]));
    }
    cholesky.solve_lower(k);
    answer.mean.push_back(answer.constant + dot(k, y));
    answer.variance.push_back(covariance(c, 0.0) - dot(k, k));
  }
  return answer;
}

double log_like(CeleriteProcess& process, KernelFamily family, const std::vector<double>& theta) {
  const KernelPoint point = kernel_point(family, theta);
  return process.log_likelihood(point.kernel, point.white_variance);
}

CeleriteProcess process_of(const Sample& s) {
  CeleriteProcess process;
  process.set_data(s.t, s.y, s.variance, s.scale);
  return process;
}

}  // namespace

TEST_CASE("likelihood, mean and variance equal dense algebra") {
  for (const std::size_t n : {1U, 2U, 7U, 60U}) {
    const Sample s = make_sample(n);
    CeleriteProcess process = process_of(s);
    for (const Case& c : kCases) {
      const Dense expected = dense_answer(s, c);
      const KernelPoint point = kernel_point(c.family, c.theta);
      CAPTURE(n, c.theta);
      CHECK(log_like(process, c.family, c.theta) == Approx(expected.log_like).margin(1e-8));
      CHECK(process.mean() == Approx(expected.constant).margin(1e-12));
      std::vector<double> mean(s.wanted.size());
      std::vector<double> variance(s.wanted.size());
      REQUIRE(process.predict(point.kernel, point.white_variance, s.wanted, mean, variance));
      for (std::size_t k = 0; k < mean.size(); ++k) {
        CHECK(mean[k] == Approx(expected.mean[k]).margin(1e-12));
        CHECK(variance[k] == Approx(expected.variance[k]).margin(1e-15));
        CHECK(variance[k] >= 0.0);
        CHECK(variance[k] <= point.kernel.variance());
      }
    }
  }
}

TEST_CASE("the gradient equals differences of the likelihood") {
  const Sample s = make_sample(60);
  CeleriteProcess process = process_of(s);
  for (const Case& c : kCases) {
    const KernelPoint point = kernel_point(c.family, c.theta);
    CeleriteGradient raw;
    const double value = process.log_likelihood(point.kernel, point.white_variance, raw);
    CHECK(value == Approx(log_like(process, c.family, c.theta)).epsilon(1e-14));
    std::vector<double> gradient(c.theta.size());
    point.chain(raw, gradient);
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      CAPTURE(c.theta, i);
      constexpr double kStep = 1e-3;
      const auto moved = [&](double by) {
        std::vector<double> theta = c.theta;
        theta[i] += by;
        return log_like(process, c.family, theta);
      };
      // Differences of fourth order.
      const double expected =
          (8.0 * (moved(kStep) - moved(-kStep)) - (moved(2.0 * kStep) - moved(-2.0 * kStep))) /
          (12.0 * kStep);
      CHECK(gradient[i] == Approx(expected).epsilon(1e-6).margin(1e-6));
    }
  }
}

TEST_CASE("a shift of the data changes the constant only") {
  Sample s = make_sample(60);
  const Case& c = kCases[0];
  CeleriteProcess process = process_of(s);
  const double before = log_like(process, c.family, c.theta);
  const double constant = process.mean();
  for (double& y : s.y) {
    y += 0.1;
  }
  process = process_of(s);
  CHECK(log_like(process, c.family, c.theta) == Approx(before).epsilon(1e-10));
  CHECK(process.mean() == Approx(constant + 0.1).epsilon(1e-12));
}

TEST_CASE("an impossible covariance has no likelihood, and its gradient is 0") {
  const Sample s = make_sample(20);
  CeleriteProcess process = process_of(s);
  const auto refused = [&](const CeleriteKernel& kernel) {
    CeleriteGradient gradient;
    gradient.white_variance = 1.0;
    const double value = process.log_likelihood(kernel, 1e-8, gradient);
    std::vector<double> out(s.wanted.size());
    std::vector<double> variance(s.wanted.size());
    return std::isinf(value) && value < 0.0 && gradient.white_variance == 0.0 &&
           gradient.coefficient[0][0] == 0.0 &&
           !process.predict(kernel, 1e-8, s.wanted, out, variance);
  };
  CHECK(refused({1, {Oscillator{false, {-1.0, 0.0, 1.0, 1.0}}}}));
  CHECK(refused({1, {Oscillator{false, {1.0, NAN, 1.0, 1.0}}}}));
  CHECK_FALSE(refused({1, {Oscillator{false, {1.0, 0.0, 1.0, 1.0}}}}));
}

TEST_CASE("evaluations do not allocate") {
  const Sample s = make_sample(60);
  CeleriteProcess process = process_of(s);
  const KernelPoint warm = kernel_point(kCases[0].family, kCases[0].theta);
  CeleriteGradient gradient;
  process.log_likelihood(warm.kernel, warm.white_variance, gradient);
  std::vector<double> out(warm.jacobian[0][0].size());
  const std::size_t before = allocations;
  const KernelPoint point = kernel_point(kCases[1].family, kCases[1].theta);
  process.log_likelihood(point.kernel, point.white_variance, gradient);
  process.log_likelihood(point.kernel, point.white_variance);
  point.chain(gradient, out);
  CHECK(allocations == before);
}
