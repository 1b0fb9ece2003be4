#include "kernel_network_lanes.hpp"

#include <cstring>
#include <initializer_list>

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
}  // namespace reference

#define SKYLOOM_REAL float
namespace portable {
#define SKYLOOM_LANES 4
#include "kernel_network_lanes.inc"
#undef SKYLOOM_LANES
#undef SKYLOOM_LANES_NAME
}  // namespace portable

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
#define SKYLOOM_LANES 8
#define SKYLOOM_LANES_NAME "avx2"
#include "kernel_network_lanes.inc"
#undef SKYLOOM_LANES
#undef SKYLOOM_LANES_NAME
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,prefer-vector-width=512")
namespace avx512 {
#define SKYLOOM_LANES 16
#define SKYLOOM_LANES_NAME "avx512"
#include "kernel_network_lanes.inc"
#undef SKYLOOM_LANES
#undef SKYLOOM_LANES_NAME
}  // namespace avx512
#pragma GCC pop_options
#endif

const Kernels<float>* kernels(const char* name) {
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

template <>
const Kernels<float>& best<float>() {
  static const Kernels<float>* const kBest = [] {
    for (const char* name : {"avx512", "avx2"}) {
      if (const Kernels<float>* found = kernels(name)) {
        return found;
      }
    }
    return &portable::kKernels;
  }();
  return *kBest;
}

template <>
const Kernels<double>& best<double>() {
  return reference::kKernels;
}

}  // namespace skyloom::flares::lanes
