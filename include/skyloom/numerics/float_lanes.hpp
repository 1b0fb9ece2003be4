#pragma once
// Sums over float images for normal equations, in the widest vectors of the machine. Float products
// with one vector of partial sums per row block, added in a fixed order: relative error about 1e-6,
// enough for a Hessian; what cancels (chi2) is summed in double.

#include <cstddef>

namespace skyloom::numerics {

/// Views of the same size: `rows` rows of `width` floats each, row r at data + r * stride.
struct Rows {
  const float* data;
  std::ptrdiff_t stride;
};

/// out[a * ld + b] = sum of x_a * y_b, a < nx, b < ny (`only_upper`: b >= a; other
/// elements may be written as well).
/// Image a of x begins at x.data + a * x_plane.
void products(Rows x, std::ptrdiff_t x_plane, int nx, Rows y, std::ptrdiff_t y_plane, int ny,
              bool only_upper, int rows, int width, double* out, int ld);

/// out = x * y elementwise. @return the sum of out
double multiply(Rows x, Rows y, int rows, int width, float* out, std::ptrdiff_t out_stride);

/// y += factor * x.
void add_scaled(Rows x, float factor, int rows, int width, float* y, std::ptrdiff_t y_stride);

/// residual = data - model - sky, weighted = weight * residual; returns the sum of
/// weight * residual^2, row sums in double.
double weighted_residual(Rows data, Rows model, float sky, Rows weight, int rows, int width,
                         float* weighted, std::ptrdiff_t weighted_stride);

/// c(i, j) -= sum_k a(k, i) * b(k, j) in double: a (rows, n) with leading dimension lda and so on.
void subtract_products(const double* a, std::ptrdiff_t lda, const double* b, std::ptrdiff_t ldb,
                       int rows, int n, int m, double* c, std::ptrdiff_t ldc);

}  // namespace skyloom::numerics
