#include "skyloom/core/random.hpp"

#include <cmath>
#include <set>

#include <catch2/catch.hpp>

using skyloom::Rng;

TEST_CASE("Philox4x32-10 gives the published known answers") {
  // Vectors of the Random123 distribution (Salmon et al. 2011), kat_vectors.
  using A = std::array<std::uint32_t, 4>;
  CHECK(skyloom::philox4x32({0, 0, 0, 0}, {0, 0}) ==
        A{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(skyloom::philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                            {0xffffffff, 0xffffffff}) ==
        A{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(skyloom::philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                            {0xa4093822, 0x299f31d0}) ==
        A{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("A generator depends on seed, stream and unit, and on nothing else") {
  const Rng a(1, "noise", "patch-1");
  CHECK(a.uniform(5) == Rng(1, "noise", "patch-1").uniform(5));
  std::set<double> values{a.uniform(5),
                          a.uniform(6),
                          a.uniform(5, 1),
                          Rng(2, "noise", "patch-1").uniform(5),
                          Rng(1, "other", "patch-1").uniform(5),
                          Rng(1, "noise", "patch-2").uniform(5),
                          a.stream("x").uniform(5)};
  CHECK(values.size() == 7);
}

TEST_CASE("Uniform, normal and Poisson numbers have the right moments") {
  const Rng rng(7, "moments", "");
  constexpr int kDraws = 200000;
  const auto moments = [&](auto draw) {
    double sum = 0.0;
    double squares = 0.0;
    for (int i = 0; i < kDraws; ++i) {
      const double value = draw(static_cast<std::uint64_t>(i));
      sum += value;
      squares += value * value;
    }
    const double mean = sum / kDraws;
    return std::pair{mean, squares / kDraws - mean * mean};
  };
  const auto [mean_u, variance_u] = moments([&](auto i) { return rng.uniform(i); });
  // Five standard errors of the mean and of the variance.
  CHECK(std::abs(mean_u - 0.5) < 5 * std::sqrt(1.0 / 12 / kDraws));
  CHECK(std::abs(variance_u - 1.0 / 12) < 5 * std::sqrt(1.0 / 180 / kDraws));
  const auto [mean_n, variance_n] = moments([&](auto i) { return rng.normal(i); });
  CHECK(std::abs(mean_n) < 5 / std::sqrt(kDraws));
  CHECK(std::abs(variance_n - 1.0) < 5 * std::sqrt(2.0 / kDraws));
  for (const double expected : {0.3, 5.0, 29.0, 31.0, 400.0, 1e5}) {
    const auto [mean, variance] = moments([&](auto i) { return rng.poisson(i, expected); });
    CHECK(std::abs(mean - expected) < 5 * std::sqrt(expected / kDraws));
    CHECK(std::abs(variance / expected - 1.0) < 5 * std::sqrt((2.0 + 1.0 / expected) / kDraws));
  }
  CHECK(rng.poisson(0, 0.0) == 0.0);
}
