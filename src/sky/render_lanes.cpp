#include "render_lanes.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "skyloom/numerics/instruction_sets.hpp"

// Fused multiply-adds are allowed in this file alone (its compile
// options): results are equal on machines of one type, which is what a run promises.

namespace skyloom::sky::lanes {

#define SKYLOOM_VARIANTS_OF "sky/render_lanes.inc"
#include "skyloom/numerics/instruction_sets.inc"

const Kernels* kernels(const char* name) {
  return numerics::variant(name, &portable::kKernels, &avx2::kKernels, &avx512::kKernels);
}

const Kernels& kernels() {
  static const Kernels* const kBest =
      numerics::widest(&portable::kKernels, &avx2::kKernels, &avx512::kKernels);
  return *kBest;
}

}  // namespace skyloom::sky::lanes
