#pragma once
// Bounded minimisation of a smooth function with its gradient by a limited-memory quasi-Newton
// method: PETSc/TAO's blmvm (Benson & More 2001, limited-memory variable-metric algorithm for
// bound-constrained problems). On one process (PETSC_COMM_SELF). Least squares have
// least_squares.hpp.

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace skyloom::numerics {

/// f(x), with df/dx written to `gradient` (n,). Must return a finite number; a large one with
/// gradient 0 marks a point outside the domain. Exceptions come out of minimise() unchanged.
using Objective = std::function<double(std::span<const double> x, std::span<double> gradient)>;

struct MinimiseOptions {
  int max_iterations = 200;
  double gradient_absolute = 1e-4;  ///< norm of the projected gradient that ends the search
};

struct Minimum {
  std::vector<double> x;
  double value = 0.0;
  int iterations = 0;
  int evaluations = 0;
  bool converged = false;  ///< the tolerance was met
  std::string detail;      ///< why not
};

/// Searches from `start` (n,), moved into the bounds first. A line search that finds no lower point
/// ends it where it is. PETSc must be initialised; options with the prefix "minimise_" override.
/// @param lower, upper (n,)   @throws FatalError without PETSc
Minimum minimise(const Objective& objective, std::span<const double> start,
                 std::span<const double> lower, std::span<const double> upper,
                 const MinimiseOptions& options);

}  // namespace skyloom::numerics
