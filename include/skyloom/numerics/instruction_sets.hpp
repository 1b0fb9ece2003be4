#pragma once
// Which of the compiled variants of a kernel this machine can run. Files with variants include
// their loops once per set under `#pragma GCC target` and choose one per process.

#include <cstdint>

namespace skyloom::numerics {

enum class InstructionSet : std::uint8_t {
  portable = 0,
  avx2 = 1,    ///< with fused multiply-add
  avx512 = 2,  ///< F, VL, BW and DQ, and all of avx2
};

/// Whether this machine has it.
inline bool has_instructions(InstructionSet set) {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq");
  return set == InstructionSet::portable || (set == InstructionSet::avx2 ? avx2 : avx512);
#else
  return set == InstructionSet::portable;
#endif
}

/// The widest that this machine has.
inline InstructionSet best_instructions() {
  return has_instructions(InstructionSet::avx512) ? InstructionSet::avx512
         : has_instructions(InstructionSet::avx2) ? InstructionSet::avx2
                                                  : InstructionSet::portable;
}

}  // namespace skyloom::numerics
