#pragma once
// Inverse of a small symmetric positive definite matrix of fixed size.

#include <array>
#include <cmath>
#include <cstddef>

namespace skyloom::photometry::epsf {

template <std::size_t N>
using SmallMatrix = std::array<std::array<double, N>, N>;

/// Replaces a symmetric positive definite matrix by its inverse (Gauss-Jordan after scaling the
/// diagonal to 1). @return false when it is not positive definite to working precision
template <std::size_t N>
bool invert(SmallMatrix<N>& matrix) {
  std::array<double, N> scale{};
  for (std::size_t i = 0; i < N; ++i) {
    if (!(matrix[i][i] > 0.0) || !std::isfinite(matrix[i][i])) {
      return false;
    }
    scale[i] = 1.0 / std::sqrt(matrix[i][i]);
  }
  for (std::size_t i = 0; i < N; ++i) {
    for (std::size_t j = 0; j < N; ++j) {
      matrix[i][j] *= scale[i] * scale[j];
    }
  }
  for (std::size_t k = 0; k < N; ++k) {
    const double pivot = matrix[k][k];
    if (!(pivot > 1e-13)) {
      return false;
    }
    matrix[k][k] = 1.0;
    for (std::size_t j = 0; j < N; ++j) {
      matrix[k][j] /= pivot;
    }
    for (std::size_t i = 0; i < N; ++i) {
      if (i != k) {
        const double factor = matrix[i][k];
        matrix[i][k] = 0.0;
        for (std::size_t j = 0; j < N; ++j) {
          matrix[i][j] -= factor * matrix[k][j];
        }
      }
    }
  }
  for (std::size_t i = 0; i < N; ++i) {
    for (std::size_t j = 0; j < N; ++j) {
      matrix[i][j] *= scale[i] * scale[j];
    }
  }
  return true;
}

}  // namespace skyloom::photometry::epsf
