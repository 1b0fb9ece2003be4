#include "skyloom/numerics/periodogram.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

#include "skyloom/numerics/instruction_sets.hpp"

namespace skyloom::numerics {

namespace {

constexpr std::size_t kLanes = 8;
/// Aligned as doubles are, since memory of a vector is.
typedef double Lanes __attribute__((vector_size(kLanes * sizeof(double)), aligned(8)));  // NOLINT

/// Phases of 8 points: now, and their advance per frequency.
struct Block {
  Lanes cosine, sine, step_cosine, step_sine, y, one;
};

/// Sums over the points of cos, sin, cos^2, cos sin, y cos, y sin.
struct Sums {
  double c, s, cc, cs, yc, ys;
};

#define SKYLOOM_VARIANTS_OF "numerics/periodogram_sums.inc"
#include "skyloom/numerics/instruction_sets.inc"

using SumsAndAdvance = void (*)(Block*, std::size_t, Sums&);

SumsAndAdvance best() {
  return widest(&portable::sums_and_advance, &avx2::sums_and_advance, &avx512::sums_and_advance);
}

std::vector<Block> make_blocks(std::span<const double> time, std::span<const double> y, double mean,
                               double first, double step) {
  const std::size_t n = time.size();
  const double middle = 0.5 * (time.front() + time.back());
  std::vector<Block> blocks((n + kLanes - 1) / kLanes, Block{});
  for (std::size_t i = 0; i < n; ++i) {
    Block& b = blocks[i / kLanes];
    const std::size_t l = i % kLanes;
    const double turn = 2.0 * std::numbers::pi * (time[i] - middle);
    b.cosine[l] = std::cos(turn * first);
    b.sine[l] = std::sin(turn * first);
    b.step_cosine[l] = std::cos(turn * step);
    b.step_sine[l] = std::sin(turn * step);
    b.y[l] = y[i] - mean;
    b.one[l] = 1.0;
  }
  return blocks;
}

/// Fraction of the variance explained by the sinusoid (eq. 5 of the paper, equal weights).
double power_of(const Sums& s, double n, double yy) {
  const double c = s.c / n;
  const double d = s.s / n;
  const double cc = s.cc / n - c * c;
  const double ss = 1.0 - s.cc / n - d * d;
  const double cs = s.cs / n - c * d;
  const double yc = s.yc / n;
  const double ys = s.ys / n;
  const double determinant = cc * ss - cs * cs;
  if (!(determinant > 1e-12)) {
    return 0.0;
  }
  return (ss * yc * yc + cc * ys * ys - 2.0 * cs * yc * ys) / (determinant * yy / n);
}

double false_alarm(double power, double last, std::span<const double> time) {
  const auto n = static_cast<double>(time.size());
  double mean = 0.0;
  for (const double t : time) {
    mean += t / n;
  }
  double spread = 0.0;
  for (const double t : time) {
    spread += (t - mean) * (t - mean) / n;
  }
  const double independent = last * std::sqrt(4.0 * std::numbers::pi * spread);
  const double log_tail = 0.5 * (n - 4.0) * std::log1p(-power);
  const double ln_rate =
      std::log(independent) + log_tail + 0.5 * std::log(std::max(0.5 * n * power, 1e-300));
  const double single = std::exp(0.5 * (n - 3.0) * std::log1p(-power));
  return -std::expm1(std::log1p(-std::min(single, 1.0 - 1e-16)) - std::exp(ln_rate));
}

}  // namespace

PeriodogramPeak periodogram_peak(std::span<const double> time, std::span<const double> y,
                                 double first, double last, double step) {
  assert(time.size() == y.size() && step > 0.0);
  PeriodogramPeak peak;
  const auto n = static_cast<double>(time.size());
  double mean = 0.0;
  for (const double v : y) {
    mean += v;
  }
  mean /= n;
  double yy = 0.0;
  for (const double v : y) {
    yy += (v - mean) * (v - mean);
  }
  if (time.size() < 4 || !(yy > 1e-28 * n * mean * mean) || last < first) {
    return peak;
  }
  std::vector<Block> blocks = make_blocks(time, y, mean, first, step);
  peak.frequencies = 1 + static_cast<int>(std::floor((last - first) / step));
  const SumsAndAdvance sums_and_advance = best();
  for (int k = 0; k < peak.frequencies; ++k) {
    Sums sums{};
    sums_and_advance(blocks.data(), blocks.size(), sums);
    const double power = power_of(sums, n, yy);
    if (power > peak.power) {
      peak.power = power;
      peak.frequency = first + k * step;
    }
  }
  peak.false_alarm =
      peak.power > 0.0 ? false_alarm(std::min(peak.power, 1.0 - 1e-16), last, time) : 1.0;
  return peak;
}

}  // namespace skyloom::numerics
