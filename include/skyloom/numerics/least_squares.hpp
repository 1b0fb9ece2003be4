#pragma once
// Bounded nonlinear least squares with a Gauss-Newton normal matrix made by the caller. Two solvers
// with one interface: PETSc/TAO's bounded Newton line search (type bnls, truncated conjugate
// gradients with Jacobi), and our own projected Levenberg-Marquardt method as yard-stick and
// fall-back. Dense, on one process (PETSC_COMM_SELF).

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace skyloom::numerics {

/// f(x) = chi^2 / 2 with gradient and Gauss-Newton matrix. A solver asks for value, then gradient,
/// then matrix, the latter two at the point of the last value or gradient; exceptions thrown here
/// come out of the solver unchanged.
class LeastSquaresProblem {
 public:
  virtual ~LeastSquaresProblem() = default;
  [[nodiscard]] virtual int size() const = 0;
  /// f(x) alone; cheaper than gradient().
  virtual double value(std::span<const double> x) = 0;
  /// f(x), and df/dx into `gradient` (n,).
  virtual double gradient(std::span<const double> x, std::span<double> gradient) = 0;
  /// J^T W J at x into `matrix` (n * n, both triangles). gradient(x) was called before.
  virtual void normal_matrix(std::span<const double> x, std::span<double> matrix) = 0;
};

enum class Verdict { proceed, converged, stop };

/// What the monitor sees after every accepted step.
struct Step {
  int iteration = 0;
  double value = 0.0;
  std::span<const double> x;
};

struct LeastSquaresOptions {
  int max_iterations = 60;
  double gradient_absolute = 1e-6;
  double gradient_relative = 1e-8;
  /// Rises of f below this count as no rise (rounding of sums over float images).
  double value_noise = 0.0;
  /// Parameters belonging together (same number, ascending); LM limits the step of each group as a
  /// whole. Empty = one group each.
  std::vector<int> group;
  /// Largest change per iteration of each parameter (LM); empty = none.
  std::vector<double> step_limit;
  /// Called after each accepted step and once at the start; decides when to end.
  std::function<Verdict(const Step&)> monitor;
};

enum class Outcome {
  converged,       ///< a tolerance was met
  by_monitor,      ///< the monitor said converged
  stopped,         ///< the monitor said stop
  max_iterations,  ///< the limit was reached
  no_progress,     ///< line search or damping found no lower point: at the noise of f, or stuck
  failed,          ///< NaN, Inf or an error inside the library
};

struct LeastSquaresResult {
  std::vector<double> x;
  double value = 0.0;
  int iterations = 0;
  Outcome outcome = Outcome::failed;
  std::string detail;  ///< text of the library when it failed
};

/// TAO bnls. Bounds by `lower` and `upper` (n,). PETSc must be initialised; options with the prefix
/// "patch_" override. An error inside PETSc is Outcome::failed; the process stays usable.
LeastSquaresResult minimize_tao(LeastSquaresProblem& problem, std::span<const double> start,
                                std::span<const double> lower, std::span<const double> upper,
                                const LeastSquaresOptions& options);

/// Projected Levenberg-Marquardt: damping of the diagonal (Marquardt 1963), parameters at a bound
/// with an outward gradient held.
LeastSquaresResult minimize_lm(LeastSquaresProblem& problem, std::span<const double> start,
                               std::span<const double> lower, std::span<const double> upper,
                               const LeastSquaresOptions& options);

/// Adds to the diagonal what keeps a factorisation alive without moving a minimum: 1e-9 h_ii +
/// 2e-12 max h.
void add_ridge(std::span<double> matrix, int n);

}  // namespace skyloom::numerics
