#include "skyloom/core/random.hpp"

#include <cmath>

#include "skyloom/core/hash.hpp"

namespace skyloom {

Rng::Rng(std::uint64_t seed, std::string_view stream, std::string_view unit_key) {
  const std::uint64_t hash = Hash(seed).text(stream).text(unit_key).value();
  key_ = {static_cast<std::uint32_t>(hash), static_cast<std::uint32_t>(hash >> 32)};
}

Rng Rng::stream(std::string_view name) const {
  const std::uint64_t hash =
      Hash((static_cast<std::uint64_t>(key_[1]) << 32) | key_[0]).text(name).value();
  return Rng({static_cast<std::uint32_t>(hash), static_cast<std::uint32_t>(hash >> 32)}, salt_);
}

double Rng::uniform(std::uint64_t draw, std::uint32_t lane) const {
  const auto word = bits(draw, lane);
  const std::uint64_t mantissa = ((static_cast<std::uint64_t>(word[0]) << 32) | word[1]) >> 11;
  return (static_cast<double>(mantissa) + 0.5) * 0x1.0p-53;
}

double Rng::uniform(std::uint64_t draw, double low, double high, std::uint32_t lane) const {
  return low + (high - low) * uniform(draw, lane);
}

double Rng::normal(std::uint64_t draw, std::uint32_t lane) const {
  const auto word = bits(draw, lane);
  const std::uint64_t mantissa = ((static_cast<std::uint64_t>(word[0]) << 32) | word[1]) >> 11;
  const double u = (static_cast<double>(mantissa) + 0.5) * 0x1.0p-53;
  const double angle = 2.0 * M_PI * (static_cast<double>(word[2]) + 0.5) * 0x1.0p-32;
  return std::sqrt(-2.0 * std::log(u)) * std::cos(angle);
}

double Rng::poisson(std::uint64_t draw, double mean, std::uint32_t lane) const {
  if (!(mean > 0.0)) {
    return 0.0;
  }
  Rng trial = *this;
  if (mean < 30.0) {
    trial.salt_ = salt_ ^ 0x50534D4CU;
    const double u = trial.uniform(draw, lane);
    double probability = std::exp(-mean);
    double sum = probability;
    double k = 0.0;
    while (u > sum && k < 1000.0) {
      k += 1.0;
      probability *= mean / k;
      sum += probability;
    }
    return k;
  }
  const double b = 0.931 + 2.53 * std::sqrt(mean);
  const double a = -0.059 + 0.02483 * b;
  const double inv_alpha = 1.1239 + 1.1328 / (b - 3.4);
  const double v_r = 0.9277 - 3.6224 / (b - 2.0);
  for (std::uint32_t attempt = 0;; ++attempt) {
    trial.salt_ = salt_ ^ (0x50000000U + attempt);
    const double u = trial.uniform(draw, lane) - 0.5;
    const auto word = trial.bits(draw, lane);
    const double v = (static_cast<double>(word[2]) + 0.5) * 0x1.0p-32;
    const double us = 0.5 - std::abs(u);
    const double k = std::floor((2.0 * a / us + b) * u + mean + 0.43);
    if (us >= 0.07 && v <= v_r) {
      return k;
    }
    if (k < 0.0 || (us < 0.013 && v > us)) {
      continue;
    }
    if (std::log(v) + std::log(inv_alpha) - std::log(a / (us * us) + b) <=
        -mean + k * std::log(mean) - std::lgamma(k + 1.0)) {
      return k;
    }
  }
}

}  // namespace skyloom
