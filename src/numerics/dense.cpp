#include "skyloom/numerics/dense.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace skyloom::numerics {

namespace {

std::size_t at(int row, int column, int n) {
  return static_cast<std::size_t>(row) * static_cast<std::size_t>(n) +
         static_cast<std::size_t>(column);
}

/// y[0, count) -= factor * x[0, count): the only inner loop, contiguous so that it vectorises.
void axpy_minus(double* y, const double* x, double factor, int count) {
  for (int k = 0; k < count; ++k) {
    y[k] -= factor * x[k];
  }
}

}  // namespace

bool SmallCholesky::factor(std::span<const double> matrix, int n, double ridge) {
  n_ = n;
  lower_.assign(matrix.begin(), matrix.begin() + static_cast<std::ptrdiff_t>(at(n, 0, n)));
  for (int i = 0; i < n; ++i) {
    double& diagonal = lower_[at(i, i, n)];
    diagonal += ridge * std::abs(diagonal);
  }
  // Row by row (Cholesky-Banachiewicz): dot products of contiguous rows.
  for (int i = 0; i < n; ++i) {
    double* row_i = &lower_[at(i, 0, n)];
    for (int j = 0; j <= i; ++j) {
      const double* row_j = &lower_[at(j, 0, n)];
      // Four partial sums: a fixed order that the compiler may put into one vector register.
      double sum[4] = {0.0, 0.0, 0.0, 0.0};
      int k = 0;
      for (; k + 4 <= j; k += 4) {
        for (int l = 0; l < 4; ++l) {
          sum[l] += row_i[k + l] * row_j[k + l];
        }
      }
      for (; k < j; ++k) {
        sum[0] += row_i[k] * row_j[k];
      }
      const double rest = row_i[j] - ((sum[0] + sum[1]) + (sum[2] + sum[3]));
      if (i == j) {
        if (!(rest > 0.0) || !std::isfinite(rest)) {
          n_ = 0;
          return false;
        }
        row_i[i] = std::sqrt(rest);
      } else {
        row_i[j] = rest / row_j[j];
      }
    }
  }
  return true;
}

void SmallCholesky::solve_lower(std::span<double> x) const {
  for (int i = 0; i < n_; ++i) {
    const double* row = &lower_[at(i, 0, n_)];
    double sum = x[static_cast<std::size_t>(i)];
    for (int k = 0; k < i; ++k) {
      sum -= row[k] * x[static_cast<std::size_t>(k)];
    }
    x[static_cast<std::size_t>(i)] = sum / row[i];
  }
}

void SmallCholesky::solve_upper(std::span<double> x) const {
  for (int i = n_ - 1; i >= 0; --i) {
    const double* row = &lower_[at(i, 0, n_)];
    const double value = x[static_cast<std::size_t>(i)] / row[i];
    x[static_cast<std::size_t>(i)] = value;
    axpy_minus(x.data(), row, value, i);
  }
}

void SmallCholesky::solve(std::span<double> x) const {
  solve_lower(x);
  solve_upper(x);
}

void SmallCholesky::solve_lower_rows(std::span<double> x, int columns) const {
  for (int i = 0; i < n_; ++i) {
    double* row_i = &x[at(i, 0, columns)];
    for (int k = 0; k < i; ++k) {
      const double factor = lower_[at(i, k, n_)];
      if (factor != 0.0) {
        axpy_minus(row_i, &x[at(k, 0, columns)], factor, columns);
      }
    }
    const double scale = 1.0 / lower_[at(i, i, n_)];
    for (int c = 0; c < columns; ++c) {
      row_i[c] *= scale;
    }
  }
}

void SmallCholesky::solve_upper_rows(std::span<double> x, int columns) const {
  for (int i = n_ - 1; i >= 0; --i) {
    double* row_i = &x[at(i, 0, columns)];
    const double scale = 1.0 / lower_[at(i, i, n_)];
    for (int c = 0; c < columns; ++c) {
      row_i[c] *= scale;
    }
    for (int k = 0; k < i; ++k) {
      const double factor = lower_[at(i, k, n_)];
      if (factor != 0.0) {
        axpy_minus(&x[at(k, 0, columns)], row_i, factor, columns);
      }
    }
  }
}

std::vector<double> SmallCholesky::inverse() const {
  std::vector<double> result(at(n_, 0, n_), 0.0);
  for (int i = 0; i < n_; ++i) {
    result[at(i, i, n_)] = 1.0;
  }
  if (n_ > 0) {
    solve_lower_rows(result, n_);
    solve_upper_rows(result, n_);
  }
  return result;
}

void SmallCholesky::inverse_diagonal(std::span<double> diagonal,
                                     std::vector<double>& scratch) const {
  // Rows of L^-1 are lower triangular; A^-1 = L^-T L^-1.
  scratch.resize(std::max(scratch.size(), at(n_, 0, n_)));
  std::fill(diagonal.begin(), diagonal.end(), 0.0);
  for (int i = 0; i < n_; ++i) {
    double* row_i = scratch.data() + at(i, 0, n_);
    std::fill(row_i, row_i + i, 0.0);
    row_i[i] = 1.0;
    for (int k = 0; k < i; ++k) {
      const double factor = lower_[at(i, k, n_)];
      if (factor != 0.0) {
        axpy_minus(row_i, scratch.data() + at(k, 0, n_), factor, k + 1);
      }
    }
    const double scale = 1.0 / lower_[at(i, i, n_)];
    for (int c = 0; c <= i; ++c) {
      row_i[c] *= scale;
      diagonal[static_cast<std::size_t>(c)] += row_i[c] * row_i[c];
    }
  }
}

}  // namespace skyloom::numerics
