#pragma once
// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3"). A generator is a key made of the run's seed, a stream name and the stable key
// of a unit; a number is a pure function of key and draw. Nothing depends on rank, order or
// history.

#include <array>
#include <cstdint>
#include <string_view>

namespace skyloom {

/// The bare block function: ten rounds of Philox4x32 on a counter with a key. In the header, so
/// that loops over draws become vector code.
inline std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                               std::array<std::uint32_t, 2> key) {
  constexpr std::uint64_t kMultiplier0 = 0xD2511F53;
  constexpr std::uint64_t kMultiplier1 = 0xCD9E8D57;
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
  constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0];
    const std::uint64_t product1 = kMultiplier1 * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

/// Random numbers of one unit and one purpose. A `draw` is any number that is meaningful to the
/// caller (object number, pixel number); `lane` separates several numbers of one draw.
class Rng {
 public:
  /// @param seed the run's seed   @param stream purpose, such as "positions"
  /// @param unit_key stable key of what the numbers belong to
  Rng(std::uint64_t seed, std::string_view stream, std::string_view unit_key);

  [[nodiscard]] std::array<std::uint32_t, 4> bits(std::uint64_t draw,
                                                  std::uint32_t lane = 0) const {
    return philox4x32(
        {static_cast<std::uint32_t>(draw), static_cast<std::uint32_t>(draw >> 32), lane, salt_},
        key_);
  }
  /// Uniform in the open interval (0, 1), 53 bits.
  [[nodiscard]] double uniform(std::uint64_t draw, std::uint32_t lane = 0) const;
  [[nodiscard]] double uniform(std::uint64_t draw, double low, double high,
                               std::uint32_t lane = 0) const;
  /// Standard normal (Box-Muller on one block).
  [[nodiscard]] double normal(std::uint64_t draw, std::uint32_t lane = 0) const;
  /// Poisson with the given mean >= 0: inversion below 30, else the PTRS rejection of Hoermann
  /// (1993).
  [[nodiscard]] double poisson(std::uint64_t draw, double mean, std::uint32_t lane = 0) const;
  /// A generator of another purpose with the same seed and unit.
  [[nodiscard]] Rng stream(std::string_view name) const;

 private:
  Rng(std::array<std::uint32_t, 2> key, std::uint32_t salt) : key_(key), salt_(salt) {}

  std::array<std::uint32_t, 2> key_{};
  std::uint32_t salt_ = 0;
};

}  // namespace skyloom
