#include "kernel_completeness.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "skyloom/numerics/least_squares.hpp"

namespace skyloom::flares {
namespace {

constexpr double kFixedCeiling = 0.96;
constexpr double kLinearSteepness = 0.37;  // [1/s]
constexpr double kLinearMiddle = 4.5;      // [s]
constexpr double kLogSteepness = 5.0;      // [1/dex]

struct Point {
  double x = 0.0;
  double fraction = 0.0;
  double weight = 0.0;
};

/// Parameters (steepness, middle[, ceiling]).
class Logistic final : public numerics::LeastSquaresProblem {
 public:
  Logistic(std::vector<Point> points, bool free_ceiling)
      : points_(std::move(points)), n_(free_ceiling ? 3 : 2) {}

  [[nodiscard]] int size() const override { return n_; }
  double value(std::span<const double> p) override {
    double sum = 0.0;
    for (const Point& point : points_) {
      const double off = ceiling(p) * rise(p, point.x) - point.fraction;
      sum += 0.5 * point.weight * off * off;
    }
    return sum;
  }
  double gradient(std::span<const double> p, std::span<double> gradient) override {
    std::fill(gradient.begin(), gradient.end(), 0.0);
    for (const Point& point : points_) {
      const std::array<double, 3> slope = slopes(p, point.x);
      const double off = ceiling(p) * rise(p, point.x) - point.fraction;
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        gradient[i] += point.weight * off * slope[i];
      }
    }
    return value(p);
  }
  void normal_matrix(std::span<const double> p, std::span<double> matrix) override {
    std::fill(matrix.begin(), matrix.end(), 0.0);
    const auto n = static_cast<std::size_t>(n_);
    for (const Point& point : points_) {
      const std::array<double, 3> slope = slopes(p, point.x);
      for (std::size_t i = 0; i < n * n; ++i) {
        matrix[i] += point.weight * slope[i / n] * slope[i % n];
      }
    }
  }

 private:
  [[nodiscard]] double ceiling(std::span<const double> p) const {
    return n_ == 3 ? p[2] : kFixedCeiling;
  }
  static double rise(std::span<const double> p, double x) {
    return 1.0 / (1.0 + std::exp(-p[0] * (x - p[1])));
  }
  [[nodiscard]] std::array<double, 3> slopes(std::span<const double> p, double x) const {
    const double r = rise(p, x);
    const double s = ceiling(p) * r * (1.0 - r);
    return {s * (x - p[1]), -s * p[0], r};
  }

  std::vector<Point> points_;
  int n_;
};

}  // namespace

int LogBins::bin_of(double value) const {
  if (!(value > 0.0)) {
    return -1;
  }
  const double at = std::floor((std::log10(value) - low) / width);
  return static_cast<int>(std::clamp(at, 0.0, static_cast<double>(count - 1)));
}

Counts::Counts(const LogBins& of)
    : bins(of),
      trials(static_cast<std::size_t>(of.count), 0),
      recovered(static_cast<std::size_t>(of.count), 0) {}

void Counts::add(double value, std::int64_t of_trials, std::int64_t of_recovered) {
  const int bin = bins.bin_of(value);
  if (bin >= 0) {
    trials[static_cast<std::size_t>(bin)] += of_trials;
    recovered[static_cast<std::size_t>(bin)] += of_recovered;
  }
}

void Counts::add(const Counts& other) {
  for (std::size_t i = 0; i < trials.size(); ++i) {
    trials[i] += other.trials[i];
    recovered[i] += other.recovered[i];
  }
}

double fraction_error(std::int64_t recovered, std::int64_t trials) {
  if (trials <= 0) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const auto n = static_cast<double>(trials);
  const double c = static_cast<double>(recovered) / n;
  return std::sqrt((c * (1.0 - c) + 0.5 / n) / n);
}

double CompletenessCurve::at(double value) const {
  const double x = logarithmic ? std::log10(value) : value;
  return ceiling / (1.0 + std::exp(-steepness * (x - middle)));
}

double CompletenessCurve::log10_half() const {
  if (!converged || !(ceiling > 0.5) || !(steepness > 0.0)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const double x = middle - std::log(ceiling / 0.5 - 1.0) / steepness;
  return logarithmic ? x : x > 0.0 ? std::log10(x) : std::numeric_limits<double>::quiet_NaN();
}

CompletenessCurve fit_curve(const Counts& counts, bool logarithmic) {
  CompletenessCurve out;
  out.logarithmic = logarithmic;
  std::vector<Point> points;
  std::int64_t trials = 0;
  std::int64_t recovered = 0;
  double crossing = std::numeric_limits<double>::quiet_NaN();
  for (int bin = 0; bin < counts.bins.count; ++bin) {
    const auto b = static_cast<std::size_t>(bin);
    if (counts.trials[b] == 0) {
      continue;
    }
    const double middle = counts.bins.middle(bin);
    const double error = fraction_error(counts.recovered[b], counts.trials[b]);
    points.push_back(
        {logarithmic ? middle : std::pow(10.0, middle),
         static_cast<double>(counts.recovered[b]) / static_cast<double>(counts.trials[b]),
         1.0 / (error * error)});
    trials += counts.trials[b];
    recovered += counts.recovered[b];
    if (std::isnan(crossing) && points.back().fraction >= 0.5) {
      crossing = middle;
    }
  }
  if (points.size() < 4 || recovered == 0 || recovered == trials) {
    return out;
  }
  const double highest = counts.bins.edge(counts.bins.count);
  std::vector<double> start{kLinearSteepness, kLinearMiddle};
  std::vector<double> lower{1e-6, -1e6};
  std::vector<double> upper{1e6, 1e7};
  if (logarithmic) {
    start = {kLogSteepness, std::isnan(crossing) ? points.back().x : crossing, 0.9};
    lower = {1e-3, counts.bins.low - 5.0, 1e-3};
    upper = {200.0, highest + 5.0, 1.0};
  }
  Logistic problem(std::move(points), logarithmic);
  numerics::LeastSquaresOptions options;
  options.max_iterations = 200;
  const numerics::LeastSquaresResult found =
      numerics::minimize_lm(problem, start, lower, upper, options);
  out.steepness = found.x[0];
  out.middle = found.x[1];
  out.ceiling = logarithmic ? found.x[2] : kFixedCeiling;
  out.converged = found.outcome != numerics::Outcome::failed &&
                  found.outcome != numerics::Outcome::max_iterations &&
                  std::isfinite(out.steepness) && std::isfinite(out.middle);
  return out;
}

std::vector<double> smoothed_fractions(const Counts& counts, std::int64_t least) {
  const int n = counts.bins.count;
  std::vector<double> out;
  for (int bin = 0; bin < n; ++bin) {
    std::int64_t trials = 0;
    std::int64_t recovered = 0;
    for (int reach = 0; reach < n && trials < least; ++reach) {
      for (int at = bin - reach; at <= bin + reach; at += std::max(1, 2 * reach)) {
        if (at >= 0 && at < n) {
          trials += counts.trials[static_cast<std::size_t>(at)];
          recovered += counts.recovered[static_cast<std::size_t>(at)];
        }
      }
    }
    out.push_back(trials == 0 ? 0.0 : static_cast<double>(recovered) / static_cast<double>(trials));
  }
  return out;
}

}  // namespace skyloom::flares
