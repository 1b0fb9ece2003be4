#include "kernel_template.hpp"

#include <cmath>
#include <numbers>

namespace skyloom::flares {
namespace {

// Tovar Mendoza et al. (2022), median of the posterior.
constexpr double kA = 0.9687734504375167;
constexpr double kB = -0.251299705922117;
constexpr double kC = 0.22675974948468916;
constexpr double kDecay[2] = {0.15551880775110513, 1.2150539528490194};
constexpr double kShare[2] = {0.12695865022878844, 1.0 - 0.12695865022878844};
constexpr double kBeginning = -6.0;
constexpr double kTail = 1.2;  // from here on both erfc are 2 in double precision

const double kRootPi = 1.0 / std::numbers::inv_sqrtpi;

double tail_share(int k) {
  const double shift = kB / kC + kC * kDecay[k] / 2.0;
  return kRootPi * kA * kC * kShare[k] * std::exp(shift * shift);
}
const double kTailShare[2] = {tail_share(0), tail_share(1)};

// Davenport et al. (2014), eqs. 1 and 4.
constexpr double kRise[5] = {1.0, 1.941, -0.175, -2.246, -1.125};
constexpr double kFall[2] = {0.6890, 0.3030};
constexpr double kRate[2] = {1.600, 0.2783};

}  // namespace

double mendoza2022(double x) {
  if (x < kBeginning) {
    return 0.0;
  }
  if (x >= kTail) {
    return kTailShare[0] * std::exp(-kDecay[0] * x) + kTailShare[1] * std::exp(-kDecay[1] * x);
  }
  double sum = 0.0;
  for (int k = 0; k < 2; ++k) {
    const double shift = kB / kC + kC * kDecay[k] / 2.0;
    sum += kShare[k] * std::exp(-kDecay[k] * x + shift * shift) *
           std::erfc((kB - x) / kC + kC * kDecay[k] / 2.0);
  }
  return kRootPi / 2.0 * kA * kC * sum;
}

double davenport2014(double x) {
  if (x < -1.0) {
    return 0.0;
  }
  if (x > 0.0) {
    return kFall[0] * std::exp(-kRate[0] * x) + kFall[1] * std::exp(-kRate[1] * x);
  }
  return kRise[0] + x * (kRise[1] + x * (kRise[2] + x * (kRise[3] + x * kRise[4])));
}

double flare_shape(FlareTemplate shape, double x) {
  return shape == FlareTemplate::mendoza2022 ? mendoza2022(x) : davenport2014(x);
}

double flare_area(FlareTemplate shape) {
  if (shape == FlareTemplate::mendoza2022) {
    return kRootPi * kA * kC * std::exp(kB * kB / (kC * kC)) *
           (kShare[0] / kDecay[0] + kShare[1] / kDecay[1]);
  }
  double area = kFall[0] / kRate[0] + kFall[1] / kRate[1];
  for (int k = 0; k < 5; ++k) {
    area += (k % 2 == 0 ? 1.0 : -1.0) * kRise[k] / (k + 1);
  }
  return area;
}

}  // namespace skyloom::flares
