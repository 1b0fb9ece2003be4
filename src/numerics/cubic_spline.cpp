#include "skyloom/numerics/cubic_spline.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

namespace skyloom::numerics {
namespace {

/// Solves A m = b in place by elimination with row exchange. Dense, since the tables have at most a
/// few dozen nodes. @param matrix (n, n)
void solve(std::vector<double>& matrix, std::vector<double>& m) {
  const std::size_t n = m.size();
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < n; ++i) {
      pivot = std::abs(matrix[i * n + k]) > std::abs(matrix[pivot * n + k]) ? i : pivot;
    }
    for (std::size_t j = 0; j < n && pivot != k; ++j) {
      std::swap(matrix[k * n + j], matrix[pivot * n + j]);
    }
    std::swap(m[k], m[pivot]);
    for (std::size_t i = k + 1; i < n; ++i) {
      const double factor = matrix[i * n + k] / matrix[k * n + k];
      for (std::size_t j = k; j < n; ++j) {
        matrix[i * n + j] -= factor * matrix[k * n + j];
      }
      m[i] -= factor * m[k];
    }
  }
  for (std::size_t k = n; k-- > 0;) {
    for (std::size_t j = k + 1; j < n; ++j) {
      m[k] -= matrix[k * n + j] * m[j];
    }
    m[k] /= matrix[k * n + k];
  }
}

}  // namespace

CubicSpline::CubicSpline(std::span<const double> x, std::span<const double> y)
    : x_(x.begin(), x.end()), y_(y.begin(), y.end()), second_(x.size(), 0.0) {
  const std::size_t n = x_.size();
  assert(n >= 4 && y_.size() == n);
  std::vector<double> matrix(n * n, 0.0);
  const auto h = [&](std::size_t i) { return x_[i + 1] - x_[i]; };
  for (std::size_t i = 1; i + 1 < n; ++i) {
    matrix[i * n + i - 1] = h(i - 1);
    matrix[i * n + i] = 2.0 * (h(i - 1) + h(i));
    matrix[i * n + i + 1] = h(i);
    second_[i] = 6.0 * ((y_[i + 1] - y_[i]) / h(i) - (y_[i] - y_[i - 1]) / h(i - 1));
  }
  matrix[0] = h(1);
  matrix[1] = -(h(0) + h(1));
  matrix[2] = h(0);
  matrix[n * n - 1] = h(n - 3);
  matrix[n * n - 2] = -(h(n - 3) + h(n - 2));
  matrix[n * n - 3] = h(n - 2);
  solve(matrix, second_);
}

double CubicSpline::operator()(double at) const {
  const auto upper = std::upper_bound(x_.begin() + 1, x_.end() - 1, at);
  const std::size_t i = static_cast<std::size_t>(upper - x_.begin()) - 1;
  const double h = x_[i + 1] - x_[i];
  const double a = (x_[i + 1] - at) / h;
  const double b = (at - x_[i]) / h;
  return a * y_[i] + b * y_[i + 1] +
         ((a * a * a - a) * second_[i] + (b * b * b - b) * second_[i + 1]) * h * h / 6.0;
}

}  // namespace skyloom::numerics
