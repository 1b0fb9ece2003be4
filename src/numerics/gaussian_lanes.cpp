#include "gaussian_lanes.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Products and sums are fused only where the source says so: the compiler is not allowed to
// (-ffp-contract=off).

namespace skyloom::numerics::lanes {

namespace {

#define SKYLOOM_VARIANTS_OF "numerics/gaussian_lanes.inc"
#include "skyloom/numerics/instruction_sets.inc"

}  // namespace

const GaussianKernels* gaussian_kernels(InstructionSet set) {
  return variant(set, &portable::kKernels, &avx2::kKernels, &avx512::kKernels);
}

}  // namespace skyloom::numerics::lanes
