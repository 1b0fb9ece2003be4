#include "kernel_network_lanes.hpp"

#include "skyloom/numerics/instruction_sets.hpp"

// The same source for several instruction sets. Fused multiply-adds are allowed in this file alone
// (its compile options): results are equal on machines of one type, which is what a run promises.

namespace skyloom::flares::lanes {

namespace reference {
#define SKYLOOM_REAL double
#define SKYLOOM_LANES 2
#define SKYLOOM_LANES_NAME "portable"
#include "kernel_network_lanes.inc"
#undef SKYLOOM_REAL
#undef SKYLOOM_LANES
#undef SKYLOOM_LANES_NAME
}  // namespace reference

#define SKYLOOM_REAL float
#define SKYLOOM_VARIANTS_OF "pipelines/flares/detect/kernel_network_lanes.inc"
#include "skyloom/numerics/instruction_sets.inc"

const Kernels<float>* kernels(const char* name) {
  return numerics::variant(name, &portable::kKernels, &avx2::kKernels, &avx512::kKernels);
}

template <>
const Kernels<float>& best<float>() {
  static const Kernels<float>* const kBest =
      numerics::widest(&portable::kKernels, &avx2::kKernels, &avx512::kKernels);
  return *kBest;
}

template <>
const Kernels<double>& best<double>() {
  return reference::kKernels;
}

}  // namespace skyloom::flares::lanes
