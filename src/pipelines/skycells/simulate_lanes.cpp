#include "pipelines/skycells/simulate_lanes.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "skyloom/numerics/instruction_sets.hpp"

namespace skyloom::skycells {
namespace {

#define SKYLOOM_VARIANTS_OF "pipelines/skycells/simulate_lanes.inc"
#include "skyloom/numerics/instruction_sets.inc"
#undef SKYLOOM_VARIANTS_OF

}  // namespace

void store_row(const StoreRule& rule, const Rng& noise, int x0, int y, std::span<const float> truth,
               std::span<std::uint16_t> mask, std::span<std::int16_t> stored) {
  static const auto chosen =
      numerics::widest(&portable::store_row, &avx2::store_row, &avx512::store_row);
  chosen(rule, noise, x0, y, truth, mask, stored);
}

}  // namespace skyloom::skycells
