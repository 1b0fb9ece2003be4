#include "pipelines/photometry/epsf/star_lanes.hpp"

#include "skyloom/numerics/instruction_sets.hpp"

namespace skyloom::photometry::epsf {
namespace {

#define SKYLOOM_VARIANTS_OF "pipelines/photometry/epsf/star_lanes.inc"
#include "skyloom/numerics/instruction_sets.inc"

}  // namespace

void sum_wing(const LaneProfile& profile, const LaneRule& rule, const float* a, const float* b,
              std::size_t count, const LaneSums& sums) {
  static const auto kSum = numerics::widest(&portable::sum, &avx2::sum, &avx512::sum);
  kSum(profile, rule, a, b, count, sums);
}

}  // namespace skyloom::photometry::epsf
