#include "pipelines/photometry/epsf/local_variation.hpp"

#include <cmath>
#include <cstddef>
#include <utility>

#include "skyloom/numerics/lapack.hpp"

namespace skyloom::photometry::epsf {
namespace {

constexpr std::array<double, 5> kLength = {0.2, 0.3, 0.45, 0.7, 1.0};
constexpr std::array<double, 6> kTau = {0.003, 0.006, 0.012, 0.025, 0.05, 0.1};
constexpr std::array<double, 3> kFloor = {0.005, 0.003, 0.003};
constexpr double kMinGain = 3.0;

struct Points {
  std::vector<double> x;
  std::vector<double> y;
  std::array<std::vector<double>, 3> value;
  std::array<std::vector<double>, 3> variance;
};

struct Trial {
  double likelihood = -1e300;
  std::vector<double> weight;
};

/// Correlation of the shapes of any two stars; the lower triangle as LAPACK sees it.
std::vector<double> correlation(const Points& points, double length) {
  const std::size_t n = points.x.size();
  std::vector<double> matrix(n * n, 0.0);
  const double rate = 0.5 / (length * length);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = i; j < n; ++j) {
      const double dx = points.x[i] - points.x[j];
      const double dy = points.y[i] - points.y[j];
      matrix[i * n + j] = std::exp(-rate * (dx * dx + dy * dy));
    }
  }
  return matrix;
}

/// Likelihood without local variation: every star for itself.
double likelihood_alone(const Points& points, std::size_t component) {
  double sum = 0.0;
  for (std::size_t i = 0; i < points.x.size(); ++i) {
    const double value = points.value[component][i];
    const double variance = points.variance[component][i];
    sum -= 0.5 * (value * value / variance + std::log(variance));
  }
  return sum;
}

Trial try_process(const Points& points, std::size_t component,
                  const std::vector<double>& correlated, double tau) {
  const std::size_t n = points.x.size();
  std::vector<double> matrix = correlated;
  for (double& value : matrix) {
    value *= tau * tau;
  }
  for (std::size_t i = 0; i < n; ++i) {
    matrix[i * n + i] += points.variance[component][i];
  }
  Trial trial;
  const auto factor = numerics::LapackCholesky::factor(std::move(matrix), static_cast<int>(n));
  if (!factor) {
    return trial;
  }
  trial.weight = points.value[component];
  factor->solve(trial.weight);
  double chi2 = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    chi2 += points.value[component][i] * trial.weight[i];
  }
  trial.likelihood = -0.5 * chi2 - 0.5 * factor->log_determinant();
  return trial;
}

}  // namespace

LocalVariation fit_local_variation(const sky::FieldPsfModel& model,
                                   const std::vector<Star>& stars) {
  LocalVariation result;
  result.model = model;
  Points points;
  for (const Star& star : stars) {
    if (!star.row.used || star.row.wing) {
      continue;
    }
    points.x.push_back(2.0 * star.row.x / model.width - 1.0);
    points.y.push_back(2.0 * star.row.y / model.height - 1.0);
    for (std::size_t a = 0; a < 3; ++a) {
      points.value[a].push_back(star.excess[a]);
      points.variance[a].push_back(star.excess_error[a] * star.excess_error[a] +
                                   kFloor[a] * kFloor[a]);
    }
  }
  std::array<std::vector<double>, 3> weights;
  for (const double length : kLength) {
    double gain = 0.0;
    std::array<double, 3> tau{};
    std::array<std::vector<double>, 3> weight;
    const std::vector<double> correlated = correlation(points, length);
    for (std::size_t a = 0; a < 3; ++a) {
      const double none = likelihood_alone(points, a);
      double best = none;
      for (const double trial_tau : kTau) {
        Trial trial = try_process(points, a, correlated, trial_tau);
        if (trial.likelihood > best) {
          best = trial.likelihood;
          tau[a] = trial_tau;
          weight[a] = std::move(trial.weight);
        }
      }
      gain += best - none;
    }
    if (gain > result.gain) {
      result.gain = gain;
      result.length = length;
      result.tau = tau;
      weights = std::move(weight);
    }
  }
  result.used = result.gain > kMinGain;
  if (result.used) {
    result.model.gp_x = points.x;
    result.model.gp_y = points.y;
    result.model.gp_length = result.length;
    for (std::size_t a = 0; a < 3; ++a) {
      result.model.gp_tau[a] = result.tau[a];
      result.model.gp_weight[a] = std::move(weights[a]);
    }
  }
  return result;
}

}  // namespace skyloom::photometry::epsf
