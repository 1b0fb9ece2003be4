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

constexpr int kWeightings = 4;
constexpr double kSettled = 1e-9;  // relative change of chi^2

struct Point {
  double x = 0.0;
  double fraction = 0.0;
  double trials = 0.0;
  double weight = 0.0;
};

/// 1 / variance of a fraction of so many trials when c is expected.
double binomial_weight(double c, double trials) {
  return trials / (c * (1.0 - c) + 0.5 / trials);
}

/// Parameters (ln steepness, middle[, ceiling]).
class Logistic final : public numerics::LeastSquaresProblem {
 public:
  Logistic(std::vector<Point> points, bool free_ceiling)
      : points_(std::move(points)), n_(free_ceiling ? 3 : 2) {}

  /// Errors that the curve itself expects: those of the observed fractions are smallest where
  /// chance made them extreme.
  void weight_by(std::span<const double> p) {
    for (Point& point : points_) {
      point.weight = binomial_weight(ceiling(p) * rise(p, point.x), point.trials);
    }
  }
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
    return 1.0 / (1.0 + std::exp(-std::exp(p[0]) * (x - p[1])));
  }
  [[nodiscard]] std::array<double, 3> slopes(std::span<const double> p, double x) const {
    const double r = rise(p, x);
    const double s = ceiling(p) * r * (1.0 - r) * std::exp(p[0]);
    return {s * (x - p[1]), -s, r};
  }

  std::vector<Point> points_;
  int n_;
};

/// @param crossing where the fractions first reach 0.5, NaN when they do not
CompletenessCurve fitted(std::vector<Point> points, double crossing, CompletenessCurve out) {
  const double last = points.back().x;
  std::vector<double> x{std::log(kLinearSteepness),
                        std::isnan(crossing) ? kLinearMiddle : crossing};
  std::vector<double> lower{-14.0, -1e7};
  std::vector<double> upper{14.0, 1e7};
  numerics::LeastSquaresOptions options;
  options.max_iterations = 200;
  options.step_limit = {1.0, std::max(1.0, std::abs(x[1]))};
  if (out.logarithmic) {
    x = {std::log(kLogSteepness), std::isnan(crossing) ? last : crossing, 0.9};
    lower = {-5.0, -20.0, 1e-3};
    upper = {6.0, 20.0, 1.0};
    options.step_limit = {1.0, 0.5, 0.2};
  }
  double before = std::numeric_limits<double>::infinity();
  options.monitor = [&](const numerics::Step& step) {
    const bool settled = before - step.value <= kSettled * step.value;
    before = step.value;
    return settled ? numerics::Verdict::converged : numerics::Verdict::proceed;
  };
  Logistic problem(std::move(points), out.logarithmic);
  for (int weighting = 0; weighting < kWeightings; ++weighting) {
    if (weighting > 0) {
      problem.weight_by(x);
    }
    before = std::numeric_limits<double>::infinity();
    const numerics::LeastSquaresResult found =
        numerics::minimize_lm(problem, x, lower, upper, options);
    x = found.x;
    out.converged = found.outcome != numerics::Outcome::failed &&
                    found.outcome != numerics::Outcome::max_iterations;
  }
  out.steepness = std::exp(x[0]);
  out.middle = x[1];
  out.ceiling = out.logarithmic ? x[2] : kFixedCeiling;
  return out;
}

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
    const auto n = static_cast<double>(counts.trials[b]);
    const double fraction = static_cast<double>(counts.recovered[b]) / n;
    points.push_back(
        {logarithmic ? middle : std::pow(10.0, middle), fraction, n, binomial_weight(fraction, n)});
    trials += counts.trials[b];
    recovered += counts.recovered[b];
    if (std::isnan(crossing) && fraction >= 0.5) {
      crossing = points.back().x;
    }
  }
  if (points.size() < 4 || recovered == 0 || recovered == trials) {
    return out;
  }
  return fitted(std::move(points), crossing, out);
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
