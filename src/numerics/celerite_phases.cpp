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

namespace portable {
#include "celerite_phases.inc"
}  // namespace portable

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
#include "celerite_phases.inc"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,prefer-vector-width=512")
namespace avx512 {
#include "celerite_phases.inc"
}  // namespace avx512
#pragma GCC pop_options
#endif

const Fills& best() {
  static const Fills* const kBest = [] {
#if defined(__x86_64__)
    if (has_instructions(InstructionSet::avx512)) {
      return &avx512::kFills;
    }
    if (has_instructions(InstructionSet::avx2)) {
      return &avx2::kFills;
    }
#endif
    return &portable::kFills;
  }();
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
