#include "celerite_phases.hpp"

#include <math.h>  // NOLINT(modernize-deprecated-headers): its declarations carry the vector forms

#include "skyloom/numerics/instruction_sets.hpp"

// Compiled with relaxed math, without which the compiler does not use the vector forms of exp, cos
// and sin (within 4 units in the last place); arguments and results are finite here. A sine and a
// cosine in one loop would become one scalar call of sincos.

namespace skyloom::numerics {

namespace {

struct Fills {
  void (*exp)(const double*, double, double*, std::size_t);
  void (*cos)(const double*, double, double*, std::size_t);
  void (*sin)(const double*, double, double*, std::size_t);
};

#define SKYLOOM_VARIANTS_OF "numerics/celerite_phases.inc"
#include "skyloom/numerics/instruction_sets.inc"

const Fills& best() {
  static const Fills* const kBest = widest(&portable::kFills, &avx2::kFills, &avx512::kFills);
  return *kBest;
}

}  // namespace

void fill_exp(const double* x, double factor, double* out, std::size_t n) {
  best().exp(x, factor, out, n);
}

void fill_cos(const double* x, double factor, double* out, std::size_t n) {
  best().cos(x, factor, out, n);
}

void fill_sin(const double* x, double factor, double* out, std::size_t n) {
  best().sin(x, factor, out, n);
}

}  // namespace skyloom::numerics
