#pragma once
// Cholesky factorisation through LAPACK of dense symmetric positive definite matrices of up to a
// few hundred rows.

#include <optional>
#include <span>
#include <vector>

namespace skyloom::numerics {

class LapackCholesky {
 public:
  /// @param matrix (n, n) symmetric; @return nothing when it is not positive definite or not finite
  [[nodiscard]] static std::optional<LapackCholesky> factor(std::vector<double> matrix, int n);

  /// Replaces b (n,) by the solution of A x = b.
  void solve(std::span<double> b) const;
  /// Inverse (n, n), symmetric.
  [[nodiscard]] std::vector<double> inverse() const;
  /// ln det A.
  [[nodiscard]] double log_determinant() const;
  [[nodiscard]] int size() const { return n_; }

 private:
  LapackCholesky(std::vector<double> factor, int n) : factor_(std::move(factor)), n_(n) {}

  std::vector<double> factor_;
  int n_;
};

/// Solves A v = lambda B v for symmetric A and positive definite B (n * n, both overwritten): row i
/// of A becomes the vector of values[i] with v^T B v = 1, values ascending.
/// @return false when B is not positive definite or an element is not finite
/// @throws FatalError when sizes differ
bool generalised_eigen(std::span<double> a, std::span<double> b, std::span<double> values);

}  // namespace skyloom::numerics
