#pragma once
// Decompression of one chunk. Private to the room io.

#include <cstddef>
#include <span>
#include <string>

#include "zarr_metadata.hpp"

namespace skyloom::io {

/// Fills `out` from the bytes of a chunk file. @param file for messages
/// @throws ConfigError naming the file when its content is malformed or does not have the size of
///   `out`
void decode_chunk(ZarrCodec codec, std::span<const std::byte> bytes, std::span<std::byte> out,
                  const std::string& file);

}  // namespace skyloom::io
