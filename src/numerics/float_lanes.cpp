#include "skyloom/numerics/float_lanes.hpp"

#include "skyloom/numerics/instruction_sets.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace skyloom::numerics {

namespace {

struct Kernels {
  void (*products)(Rows, std::ptrdiff_t, int, Rows, std::ptrdiff_t, int, bool, int, int, double*,
                   int);
  double (*multiply)(Rows, Rows, int, int, float*, std::ptrdiff_t);
  void (*add_scaled)(Rows, float, int, int, float*, std::ptrdiff_t);
  double (*weighted_residual)(Rows, Rows, float, Rows, int, int, float*, std::ptrdiff_t);
  void (*subtract_products)(const double*, std::ptrdiff_t, const double*, std::ptrdiff_t, int, int,
                            int, double*, std::ptrdiff_t);
};

#define SKYLOOM_VARIANTS_OF "numerics/float_lanes.inc"
#include "skyloom/numerics/instruction_sets.inc"

const Kernels& best() {
  static const Kernels* const kBest =
      widest(&portable::kKernels, &avx2::kKernels, &avx512::kKernels);
  return *kBest;
}

}  // namespace

void products(Rows x, std::ptrdiff_t x_plane, int nx, Rows y, std::ptrdiff_t y_plane, int ny,
              bool only_upper, int rows, int width, double* out, int ld) {
  best().products(x, x_plane, nx, y, y_plane, ny, only_upper, rows, width, out, ld);
}

double multiply(Rows x, Rows y, int rows, int width, float* out, std::ptrdiff_t out_stride) {
  return best().multiply(x, y, rows, width, out, out_stride);
}

void add_scaled(Rows x, float factor, int rows, int width, float* y, std::ptrdiff_t y_stride) {
  best().add_scaled(x, factor, rows, width, y, y_stride);
}

double weighted_residual(Rows data, Rows model, float sky, Rows weight, int rows, int width,
                         float* weighted, std::ptrdiff_t weighted_stride) {
  return best().weighted_residual(data, model, sky, weight, rows, width, weighted, weighted_stride);
}

void subtract_products(const double* a, std::ptrdiff_t lda, const double* b, std::ptrdiff_t ldb,
                       int rows, int n, int m, double* c, std::ptrdiff_t ldc) {
  best().subtract_products(a, lda, b, ldb, rows, n, m, c, ldc);
}

}  // namespace skyloom::numerics
