#include "pipelines/photometry/fit/kernel_problem.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "skyloom/core/errors.hpp"

namespace skyloom::photometry::fit {

namespace {

constexpr double kPriorSigma[kMaxParameters] = {1.0, 1.0, 0.7, 0.5, 0.5, 1.5};

/// Factors `matrix`, which gets a ridge. @throws UnitError numerical
void factor(std::vector<double>& matrix, std::size_t n, numerics::SmallCholesky& result) {
  numerics::add_ridge(matrix, static_cast<int>(n));
  if (!result.factor(matrix, static_cast<int>(n)) &&
      !result.factor(matrix, static_cast<int>(n), 1e-6)) {
    throw UnitError(Reason::numerical, "patch fit: the normal matrix is not positive definite");
  }
}

}  // namespace

double prior_precision(const Scene& scene, const Source& source, int k) {
  if (scene.input().options.shape_prior == ShapePrior::none) {
    return 0.0;
  }
  // The index starts at the same value for everybody: there its prior favours no start.
  const double scale = k == 5 ? 1.0 : source.prior_scale;
  return scale / (kPriorSigma[k] * kPriorSigma[k]);
}

namespace {

/// newton.matrix = normal matrix with the curvatures of the sources, or without where that is not
/// positive definite.
void add_curvature(const Scene& scene, NewtonStep& newton) {
  newton.matrix = newton.normal;
  const std::size_t n = newton.x.size();
  std::size_t first = 0;
  bool any = false;
  for (const Source& source : scene.sources()) {
    if (!source.active) {
      continue;
    }
    const auto np = static_cast<std::size_t>(source.n_parameters);
    for (std::size_t i = 0; i < np; ++i) {
      for (std::size_t k = 0; k < np; ++k) {
        const double c = source.curvature[i * kMaxParameters + k];
        any = any || c != 0.0;
        newton.matrix[(first + i) * n + first + k] += c;
      }
    }
    first += np;
  }
  if (any && !newton.factor.factor(newton.matrix, static_cast<int>(n))) {
    newton.matrix = newton.normal;
  }
}

}  // namespace

void newton_step(Scene& scene, NewtonStep& newton) {
  PatchProblem problem(scene);
  newton.x.clear();
  newton.lower.clear();
  newton.upper.clear();
  problem.pack(newton.x, newton.lower, newton.upper);
  const std::size_t n = newton.x.size();
  newton.gradient.resize(n);
  newton.value = problem.gradient(newton.x, newton.gradient);
  if (!std::isfinite(newton.value)) {
    throw UnitError(Reason::numerical, "patch fit: the objective is not finite");
  }
  newton.normal.resize(n * n);
  newton.step.resize(n);
  newton.sigma.resize(n);
  if (n == 0) {
    return;
  }
  problem.normal_matrix(newton.x, newton.normal);
  newton.matrix = newton.normal;
  factor(newton.matrix, n, newton.factor);
  newton.factor.inverse_diagonal(newton.sigma, newton.scratch);
  for (double& sigma : newton.sigma) {
    sigma = std::sqrt(std::max(1e-24, sigma));
  }
  solve_step(scene, newton);
}

void solve_step(const Scene& scene, NewtonStep& newton) {
  const std::size_t n = newton.x.size();
  if (n == 0) {
    return;
  }
  add_curvature(scene, newton);
  newton.at_bound.assign(n, 0);
  // Parameters pressed against a bound: decoupled, so that the others get their own step.
  for (std::size_t i = 0; i < n; ++i) {
    const double g = newton.gradient[i];
    newton.step[i] = -g;
    if ((newton.x[i] <= newton.lower[i] && g > 0.0) ||
        (newton.x[i] >= newton.upper[i] && g < 0.0)) {
      newton.step[i] = 0.0;
      newton.at_bound[i] = 1;
      for (std::size_t k = 0; k < n; ++k) {
        newton.matrix[i * n + k] = 0.0;
        newton.matrix[k * n + i] = 0.0;
      }
      newton.matrix[i * n + i] = 1.0;
    }
  }
  factor(newton.matrix, n, newton.factor);
  newton.factor.solve(newton.step);
}

std::vector<double> inverse_hessian(const NewtonStep& newton) {
  std::vector<double> inverse = newton.factor.inverse();
  const std::size_t n = newton.x.size();
  for (std::size_t i = 0; i < n; ++i) {
    inverse[i * n + i] *= newton.at_bound[i] != 0 ? 0.0 : 1.0;
  }
  return inverse;
}

std::vector<double> inverse_normal(NewtonStep& newton) {
  newton.matrix = newton.normal;
  factor(newton.matrix, newton.x.size(), newton.factor);
  return newton.factor.inverse();
}

void wake_all(Scene& scene) {
  for (Source& source : scene.sources()) {
    source.active = source.free;
  }
}

int count_active(const Scene& scene) {
  return static_cast<int>(std::count_if(scene.sources().begin(), scene.sources().end(),
                                        [](const Source& s) { return s.active; }));
}

}  // namespace skyloom::photometry::fit
