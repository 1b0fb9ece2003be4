#pragma once
// Small dense symmetric linear algebra in double: Cholesky factor, solves, inverse. Row-major
// square matrices of order n in spans of n * n; only the lower triangle is read unless said
// otherwise. Meant for orders up to a few hundred, where calls into LAPACK cost more than the
// arithmetic.

#include <span>
#include <vector>

namespace skyloom::numerics {

/// Cholesky factor of a symmetric positive definite matrix.
class SmallCholesky {
 public:
  /// Factors `matrix` (n * n, lower triangle) after adding `ridge * a_ii` to the diagonal.
  /// @return false when a pivot is not positive; the object is then unusable until the next call
  bool factor(std::span<const double> matrix, int n, double ridge = 0.0);
  [[nodiscard]] int size() const { return n_; }
  /// x := A^-1 x.
  void solve(std::span<double> x) const;
  /// x := L^-1 x, for Schur complements.
  void solve_lower(std::span<double> x) const;
  /// x := L^-T x.
  void solve_upper(std::span<double> x) const;
  /// X := L^-1 X for `columns` right-hand sides stored as rows of unknowns: X is (n, columns).
  void solve_lower_rows(std::span<double> x, int columns) const;
  /// X := L^-T X, same layout.
  void solve_upper_rows(std::span<double> x, int columns) const;
  /// A^-1, full matrix (n * n).
  [[nodiscard]] std::vector<double> inverse() const;
  /// Diagonal of A^-1 into `diagonal` (n), a sixth of the work. @param scratch resized to n * n
  void inverse_diagonal(std::span<double> diagonal, std::vector<double>& scratch) const;

 private:
  int n_ = 0;
  std::vector<double> lower_;
};

}  // namespace skyloom::numerics
