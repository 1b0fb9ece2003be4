#include "skyloom/core/hash.hpp"

#include <bit>
#include <cstring>

namespace skyloom {

void Hash::mix(std::uint64_t word) {
  word *= 0x9FB21C651E98DF25ULL;
  word ^= word >> 35;
  state_ = std::rotl(state_ ^ word, 29) * 0xBF58476D1CE4E5B9ULL + 0x94D049BB133111EBULL;
}

Hash& Hash::text(std::string_view text) {
  mix(text.size());
  return bytes(std::as_bytes(std::span(text.data(), text.size())));
}

Hash& Hash::bytes(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t count = bytes.size() < 8 ? bytes.size() : 8;
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), count);
    mix(word);
    bytes = bytes.subspan(count);
  }
  return *this;
}

std::uint64_t Hash::value() const {
  std::uint64_t h = state_;
  h ^= h >> 33;
  h *= 0xFF51AFD7ED558CCDULL;
  h ^= h >> 33;
  h *= 0xC4CEB9FE1A85EC53ULL;
  h ^= h >> 33;
  return h;
}

std::string Hash::hex() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  const std::uint64_t h = value();
  for (int shift = 60; shift >= 0; shift -= 4) {
    out += kDigits[(h >> shift) & 15];
  }
  return out;
}

}  // namespace skyloom
