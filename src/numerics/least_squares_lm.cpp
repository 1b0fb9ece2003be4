#include <algorithm>
#include <cmath>
#include <cstddef>

#include "skyloom/numerics/dense.hpp"
#include "skyloom/numerics/least_squares.hpp"

namespace skyloom::numerics {

void add_ridge(std::span<double> matrix, int n) {
  const auto size = static_cast<std::size_t>(n);
  double largest = 0.0;
  for (std::size_t i = 0; i < size; ++i) {
    largest = std::max(largest, matrix[i * size + i]);
  }
  for (std::size_t i = 0; i < size; ++i) {
    double& h = matrix[i * size + i];
    h += 1e-9 * (h + 1e-3 * largest) + 1e-12 * largest;
  }
}

namespace {

/// The state of one run; the loop is in minimize_lm.
class Marquardt {
 public:
  Marquardt(LeastSquaresProblem& problem, std::span<const double> start,
            std::span<const double> lower, std::span<const double> upper,
            const LeastSquaresOptions& options)
      : problem_(problem),
        lower_(lower),
        upper_(upper),
        options_(options),
        n_(start.size()),
        x_(start.begin(), start.end()),
        trial_(n_),
        gradient_(n_),
        step_(n_),
        matrix_(n_ * n_),
        damped_(n_ * n_) {
    for (std::size_t i = 0; i < n_; ++i) {
      x_[i] = std::clamp(x_[i], lower[i], upper[i]);
    }
    value_ = problem_.gradient(x_, gradient_);
  }

  void linearise() { problem_.normal_matrix(x_, matrix_); }

  [[nodiscard]] bool flat() const {
    double norm = 0.0;
    for (std::size_t i = 0; i < n_; ++i) {
      norm = held(i) ? norm : std::hypot(norm, gradient_[i]);
    }
    return norm <= options_.gradient_absolute + options_.gradient_relative * std::abs(value_);
  }

  /// Tries damping until a step is accepted. @return false when none was
  bool advance() {
    bool first = true;
    for (int attempt = 0; attempt < 16; ++attempt) {
      if (propose()) {
        const double trial_value =
            first ? problem_.gradient(trial_, trial_gradient()) : problem_.value(trial_);
        if (std::isfinite(trial_value) && trial_value <= value_ + options_.value_noise) {
          if (!first) {
            problem_.gradient(trial_, trial_gradient());
          }
          value_ = trial_value;
          x_ = trial_;
          gradient_ = next_gradient_;
          lambda_ = std::max(lambda_ * 0.1, 1e-12);
          return true;
        }
        first = false;
      }
      lambda_ *= 8.0;
    }
    problem_.gradient(x_, gradient_);
    return false;
  }

  [[nodiscard]] const std::vector<double>& x() const { return x_; }
  [[nodiscard]] double value() const { return value_; }

 private:
  [[nodiscard]] bool held(std::size_t i) const {
    return (x_[i] <= lower_[i] && gradient_[i] > 0.0) || (x_[i] >= upper_[i] && gradient_[i] < 0.0);
  }

  std::vector<double>& trial_gradient() {
    next_gradient_.resize(n_);
    return next_gradient_;
  }

  /// trial_ = x_ + damped step inside bounds and limits. @return false when not solvable
  bool propose() {
    damped_ = matrix_;
    for (std::size_t i = 0; i < n_; ++i) {
      double& diagonal = damped_[i * n_ + i];
      diagonal += lambda_ * diagonal;
      step_[i] = -gradient_[i];
      if (held(i)) {
        for (std::size_t k = 0; k < n_; ++k) {
          damped_[i * n_ + k] = 0.0;
          damped_[k * n_ + i] = 0.0;
        }
        diagonal = 1.0;
        step_[i] = 0.0;
      }
    }
    add_ridge(damped_, static_cast<int>(n_));
    if (!factor_.factor(damped_, static_cast<int>(n_))) {
      return false;
    }
    factor_.solve(step_);
    limit_step();
    for (std::size_t i = 0; i < n_; ++i) {
      trial_[i] = std::clamp(x_[i] + step_[i], lower_[i], upper_[i]);
    }
    return true;
  }

  void limit_step() {
    if (options_.step_limit.empty()) {
      return;
    }
    for (std::size_t i = 0; i < n_;) {
      std::size_t end = i + 1;
      while (!options_.group.empty() && end < n_ && options_.group[end] == options_.group[i]) {
        ++end;
      }
      double scale = 1.0;
      for (std::size_t k = i; k < end; ++k) {
        const double size = std::abs(step_[k]);
        scale = size * scale > options_.step_limit[k] ? options_.step_limit[k] / size : scale;
      }
      for (std::size_t k = i; k < end; ++k) {
        step_[k] *= scale;
      }
      i = end;
    }
  }

  LeastSquaresProblem& problem_;
  std::span<const double> lower_;
  std::span<const double> upper_;
  const LeastSquaresOptions& options_;
  std::size_t n_;
  std::vector<double> x_;
  std::vector<double> trial_;
  std::vector<double> gradient_;
  std::vector<double> next_gradient_;
  std::vector<double> step_;
  std::vector<double> matrix_;
  std::vector<double> damped_;
  SmallCholesky factor_;
  double value_ = 0.0;
  double lambda_ = 1e-3;
};

}  // namespace

LeastSquaresResult minimize_lm(LeastSquaresProblem& problem, std::span<const double> start,
                               std::span<const double> lower, std::span<const double> upper,
                               const LeastSquaresOptions& options) {
  Marquardt run(problem, start, lower, upper, options);
  LeastSquaresResult result;
  result.outcome = Outcome::max_iterations;
  for (int iteration = 0;; ++iteration) {
    result.iterations = iteration;
    if (!std::isfinite(run.value())) {
      result.outcome = Outcome::failed;
      result.detail = "objective is not finite";
      break;
    }
    if (options.monitor) {
      const Verdict verdict = options.monitor({iteration, run.value(), run.x()});
      if (verdict != Verdict::proceed) {
        result.outcome = verdict == Verdict::stop ? Outcome::stopped : Outcome::by_monitor;
        break;
      }
    }
    if (run.flat()) {
      result.outcome = Outcome::converged;
      break;
    }
    if (iteration >= options.max_iterations) {
      break;
    }
    run.linearise();
    if (!run.advance()) {
      result.outcome = Outcome::no_progress;
      break;
    }
  }
  result.x = run.x();
  result.value = run.value();
  return result;
}

}  // namespace skyloom::numerics
