#include "render_lanes.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstring>

#include "skyloom/numerics/instruction_sets.hpp"

// The same source three times. Fused multiply-adds are allowed in this file alone (its compile
// options): results are equal on machines of one type, which is what a run promises.

namespace skyloom::sky::lanes {

namespace portable {
#define SKYLOOM_LANES 4
#define SKYLOOM_LANES_NAME "portable"
#include "render_lanes.inc"
#undef SKYLOOM_LANES
#undef SKYLOOM_LANES_NAME
}  // namespace portable

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
#define SKYLOOM_LANES 8
#define SKYLOOM_LANES_NAME "avx2"
#include "render_lanes.inc"
#undef SKYLOOM_LANES
#undef SKYLOOM_LANES_NAME
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,prefer-vector-width=512")
namespace avx512 {
#define SKYLOOM_LANES 16
#define SKYLOOM_LANES_NAME "avx512"
#include "render_lanes.inc"
#undef SKYLOOM_LANES
#undef SKYLOOM_LANES_NAME
}  // namespace avx512
#pragma GCC pop_options
#endif

const Kernels* kernels(const char* name) {
#if defined(__x86_64__)
  using numerics::InstructionSet;
  if (std::strcmp(name, "avx512") == 0) {
    return numerics::has_instructions(InstructionSet::avx512) ? &avx512::kKernels : nullptr;
  }
  if (std::strcmp(name, "avx2") == 0) {
    return numerics::has_instructions(InstructionSet::avx2) ? &avx2::kKernels : nullptr;
  }
#endif
  return std::strcmp(name, "portable") == 0 ? &portable::kKernels : nullptr;
}

const Kernels& kernels() {
  static const Kernels* const kBest = [] {
    const Kernels* best = kernels("avx512");
    best = best != nullptr ? best : kernels("avx2");
    return best != nullptr ? best : kernels("portable");
  }();
  return *kBest;
}

}  // namespace skyloom::sky::lanes
