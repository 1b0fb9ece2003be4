#include "skyloom/numerics/lapack.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

#include "skyloom/core/errors.hpp"

extern "C" {
void dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info);
void dpotrs_(const char* uplo, const int* n, const int* nrhs, const double* a, const int* lda,
             double* b, const int* ldb, int* info);
void dpotri_(const char* uplo, const int* n, double* a, const int* lda, int* info);
void dsygv_(const int* itype, const char* jobz, const char* uplo, const int* n, double* a,
            const int* lda, double* b, const int* ldb, double* w, double* work, const int* lwork,
            int* info);
}

namespace skyloom::numerics {

std::optional<LapackCholesky> LapackCholesky::factor(std::vector<double> matrix, int n) {
  if (n < 0 || matrix.size() != static_cast<std::size_t>(n) * static_cast<std::size_t>(n)) {
    throw FatalError("LapackCholesky: the matrix is not square");
  }
  if (!std::all_of(matrix.begin(), matrix.end(), [](double v) { return std::isfinite(v); })) {
    return std::nullopt;
  }
  if (n > 0) {
    int info = 0;
    dpotrf_("L", &n, matrix.data(), &n, &info);
    if (info != 0) {
      return std::nullopt;
    }
  }
  return LapackCholesky(std::move(matrix), n);
}

void LapackCholesky::solve(std::span<double> b) const {
  if (b.size() != static_cast<std::size_t>(n_)) {
    throw FatalError("LapackCholesky: the right-hand side has another size");
  }
  if (n_ > 0) {
    const int one = 1;
    int info = 0;
    dpotrs_("L", &n_, &one, factor_.data(), &n_, b.data(), &n_, &info);
  }
}

std::vector<double> LapackCholesky::inverse() const {
  std::vector<double> matrix = factor_;
  if (n_ > 0) {
    int info = 0;
    dpotri_("L", &n_, matrix.data(), &n_, &info);
    if (info != 0) {
      throw FatalError("LapackCholesky: the inverse of a factored matrix failed");
    }
  }
  const auto n = static_cast<std::size_t>(n_);
  for (std::size_t column = 0; column < n; ++column) {
    for (std::size_t row = column + 1; row < n; ++row) {
      matrix[row * n + column] = matrix[column * n + row];
    }
  }
  return matrix;
}

double LapackCholesky::log_determinant() const {
  double sum = 0.0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(n_); ++i) {
    sum += std::log(factor_[i * static_cast<std::size_t>(n_) + i]);
  }
  return 2.0 * sum;
}

bool generalised_eigen(std::span<double> a, std::span<double> b, std::span<double> values) {
  const int n = static_cast<int>(values.size());
  if (a.size() != values.size() * values.size() || b.size() != a.size()) {
    throw FatalError("generalised_eigen: sizes differ");
  }
  const auto finite = [](double v) { return std::isfinite(v); };
  if (!std::all_of(a.begin(), a.end(), finite) || !std::all_of(b.begin(), b.end(), finite)) {
    return false;
  }
  if (n == 0) {
    return true;
  }
  const int itype = 1;
  // What the reduction to tridiagonal form asks for at least; more helps large matrices only.
  constexpr int kSmall = 16;
  std::array<double, 3 * kSmall> small{};
  std::vector<double> large(n > kSmall ? static_cast<std::size_t>(3 * n) : 0);
  double* work = n > kSmall ? large.data() : small.data();
  const int lwork = 3 * n;
  int info = 0;
  dsygv_(&itype, "V", "L", &n, a.data(), &n, b.data(), &n, values.data(), work, &lwork, &info);
  return info == 0;
}

}  // namespace skyloom::numerics
