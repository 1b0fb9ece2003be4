#pragma once
// What the metadata of a Zarr array say, the same for both formats. Private to the room io.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>

namespace skyloom::io {

enum class ZarrType : std::uint8_t { i8, i16, i32, i64, u8, u16, u32, u64, f32, f64 };
enum class ZarrCodec : std::uint8_t { none, blosc, zstd, deflate };

struct ZarrMetadata {
  std::string folder;
  std::string file;  ///< that the metadata stand in, for messages
  int format = 0;    ///< 2 or 3
  int height = 0;
  int width = 0;
  int chunk_height = 0;
  int chunk_width = 0;
  ZarrType type = ZarrType::f32;
  bool big_endian = false;
  bool transposed = false;  ///< a chunk's first axis is the fastest
  ZarrCodec codec = ZarrCodec::none;
  std::string key_prefix;  ///< of chunk files, "c/" in format 3
  char separator = '.';    ///< between the indices of a chunk file
  /// Value of elements that no chunk holds; integers as such, so that 64 bits survive.
  std::variant<std::int64_t, std::uint64_t, double> fill = std::int64_t{0};

  [[nodiscard]] std::filesystem::path chunk_file(int row, int column) const;
  [[nodiscard]] std::size_t chunk_bytes() const;
};

std::size_t size_of(ZarrType type);
inline bool is_integer(ZarrType type) {
  return type != ZarrType::f32 && type != ZarrType::f64;
}

/// @throws ConfigError naming file and key
ZarrMetadata read_zarr_metadata(const std::filesystem::path& folder);
/// @throws ConfigError
std::optional<std::string> read_zarr_attribute(const ZarrMetadata& metadata,
                                               const std::string& name);

}  // namespace skyloom::io
