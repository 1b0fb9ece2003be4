#pragma once
// Decoder of RICE_1, the tile compression of FITS, for 16-bit integers. Works on bytes in memory;
// fit for bytes of unknown origin.
//
// A tile is a bit stream, most significant bit first: 16 bits for the value before the first pixel,
// then blocks of pixels, each with a code c of 4 bits. c = 0: all pixels equal the one before.
// c = 15: differences of 16 bits. Else a difference is a run of z zeros, a one, and c - 1 low bits
// v, u = (z << (c - 1)) | v, that is folded: (u >> 1) ^ -(u & 1). All wraps at 16 bits. (White,
// Greenfield, Pence, Tody, Seaman 2012, Tiled Image Convention for Storing Compressed Images in
// FITS, version 2.3, appendix A; Rice, Yeh & Miller 1993.)

#include <cstddef>
#include <cstdint>
#include <span>

#include "skyloom/core/image.hpp"

namespace skyloom::io {

/// Where the bytes of a tile are.
struct RiceTile {
  std::size_t offset = 0;
  std::size_t length = 0;
};

/// Bytes that must be readable behind the last byte of every tile, whatever they hold.
inline constexpr std::size_t kRiceMargin = 256;
/// Pixels of a block, at most.
inline constexpr int kRiceBlockLimit = 32;

/// Decodes one tile per row of `out`.
/// @param block pixels that share a code, 1 to kRiceBlockLimit (FITS: BLOCKSIZE)
/// @return the first row whose tile is damaged (it ends too early or too late), whose pixels and
///   those of later rows are then worthless; out.height() when none is
/// @throws std::invalid_argument tiles and rows differ in number, a tile leaves less than
///   kRiceMargin bytes behind it, or `block` is out of range
int decode_rice(std::span<const std::uint8_t> bytes, std::span<const RiceTile> tiles, int block,
                ImageView<std::int16_t> out);

}  // namespace skyloom::io
