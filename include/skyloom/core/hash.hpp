#pragma once
// A stable 64-bit hash for configuration, plans and file fingerprints. Not cryptographic: it tells
// accidental differences, not forgeries. The value is part of run directories: never change it
// without raising the format version.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace skyloom {

/// Incremental hash (64-bit multiply-rotate mixing of 8-byte words, length-prefixed texts).
class Hash {
 public:
  explicit Hash(std::uint64_t seed = 0) : state_(seed ^ 0x9E3779B97F4A7C15ULL) { mix(seed); }

  Hash& number(std::uint64_t value) {
    mix(value);
    return *this;
  }
  Hash& text(std::string_view text);
  Hash& bytes(std::span<const std::byte> bytes);
  [[nodiscard]] std::uint64_t value() const;
  /// Sixteen hexadecimal digits.
  [[nodiscard]] std::string hex() const;

 private:
  void mix(std::uint64_t word);

  std::uint64_t state_;
};

}  // namespace skyloom
