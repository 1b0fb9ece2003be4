#include "gaussian_lanes.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// The same source three times; see sky/render_lanes.cpp. Products and sums are fused only where the
// source says so: the compiler is not allowed to (-ffp-contract=off).

namespace skyloom::numerics::lanes {

namespace {

namespace portable {
#define SKYLOOM_LANES 4
#include "gaussian_lanes.inc"
#undef SKYLOOM_LANES
}  // namespace portable

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
#define SKYLOOM_LANES 8
#include "gaussian_lanes.inc"
#undef SKYLOOM_LANES
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,prefer-vector-width=512")
namespace avx512 {
#define SKYLOOM_LANES 16
#include "gaussian_lanes.inc"
#undef SKYLOOM_LANES
}  // namespace avx512
#pragma GCC pop_options
#endif

}  // namespace

const GaussianKernels* gaussian_kernels(InstructionSet set) {
  if (!has_instructions(set)) {
    return nullptr;
  }
#if defined(__x86_64__)
  if (set == InstructionSet::avx512) {
    return &avx512::kKernels;
  }
  if (set == InstructionSet::avx2) {
    return &avx2::kKernels;
  }
#endif
  return &portable::kKernels;
}

}  // namespace skyloom::numerics::lanes
