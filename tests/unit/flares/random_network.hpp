#pragma once
// A network of random weights and a random light curve, for tests without data.

#include <cmath>
#include <cstddef>
#include <vector>

#include "skyloom/core/random.hpp"
#include "skyloom/numerics/window_network.hpp"

namespace test {

/// Weights of the size that training starts from (uniform, Glorot), so that logits are of order 1.
inline skyloom::numerics::WindowNetwork random_network(int taps, std::uint64_t seed) {
  using Net = skyloom::numerics::WindowNetwork;
  const auto values = [&](const char* name, int count, int inputs, int outputs) {
    const skyloom::Rng rng(seed, name, "network");
    const double limit = std::sqrt(6.0 / (inputs + outputs));
    std::vector<float> out;
    for (int i = 0; i < count; ++i) {
      out.push_back(static_cast<float>(rng.uniform(static_cast<std::uint64_t>(i), -limit, limit)));
    }
    return out;
  };
  Net net;
  net.taps = taps;
  net.first = values("first", taps * Net::kFirst, taps, taps * Net::kFirst);
  net.first_bias = values("first_bias", Net::kFirst, 16, 16);
  net.second = values("second", Net::kTaps * Net::kFirst * Net::kSecond, 48, 192);
  net.second_bias = values("second_bias", Net::kSecond, 64, 64);
  net.dense = values("dense", Net::kPositions * Net::kSecond * Net::kHidden, 3200, 32);
  net.dense_bias = values("dense_bias", Net::kHidden, 32, 32);
  net.output = values("output", Net::kHidden, 32, 1);
  net.output_bias = 0.3F;
  return net;
}

/// Relative flux - 1 with noise and a few flares.
template <class Real>
std::vector<Real> random_curve(int n, std::uint64_t seed) {
  const skyloom::Rng rng(seed, "curve", "noise");
  std::vector<Real> y;
  for (int i = 0; i < n; ++i) {
    const double flare = i % 173 >= 90 ? 0.4 * std::exp(-0.2 * (i % 173 - 90)) : 0.0;
    y.push_back(static_cast<Real>(0.02 * rng.normal(static_cast<std::uint64_t>(i)) + flare));
  }
  return y;
}

}  // namespace test
