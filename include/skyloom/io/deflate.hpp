#pragma once
// Bytes in memory as a zlib stream (RFC 1950), which every language reads, and back.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace skyloom::io {

/// @param level 1 (fast) to 9
std::vector<std::uint8_t> deflated(std::span<const std::uint8_t> bytes, int level);
/// @throws FatalError when the stream is damaged
std::vector<std::uint8_t> inflated(std::span<const std::uint8_t> stream);

}  // namespace skyloom::io
