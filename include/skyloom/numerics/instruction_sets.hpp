#pragma once
// Which of the compiled variants of a kernel this machine can run. Files with variants make them
// with instruction_sets.inc and choose one per process.

#include <cstdint>
#include <string_view>
#include <utility>

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

/// The variant (a pointer) for a set; null when the machine does not have it.
template <class T>
T variant(InstructionSet set, T portable, T avx2, T avx512) {
  return !has_instructions(set)          ? nullptr
         : set == InstructionSet::avx512 ? avx512
         : set == InstructionSet::avx2   ? avx2
                                         : portable;
}

/// The same by name ("portable", "avx2", "avx512"), for tests; null also for other names.
template <class T>
T variant(std::string_view name, T portable, T avx2, T avx512) {
  for (const auto& [set, of_set] :
       {std::pair{InstructionSet::portable, "portable"}, std::pair{InstructionSet::avx2, "avx2"},
        std::pair{InstructionSet::avx512, "avx512"}}) {
    if (name == of_set) {
      return variant(set, portable, avx2, avx512);
    }
  }
  return nullptr;
}

/// The variant for the widest set of this machine.
template <class T>
T widest(T portable, T avx2, T avx512) {
  return variant(best_instructions(), portable, avx2, avx512);
}

}  // namespace skyloom::numerics
