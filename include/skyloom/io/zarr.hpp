#pragma once
// Two-dimensional arrays of Zarr stores in folders, read only: format 2 (".zarray") and 3
// ("zarr.json") of https://zarr-specs.readthedocs.io, chunks plain or compressed with blosc, zstd,
// zlib or gzip. 0-based pixels. Knows no astronomy.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "skyloom/core/image.hpp"

namespace skyloom::io {

struct ZarrMetadata;

/// One array of a store. Every call opens the chunk files it needs; nothing decoded is kept, so
/// blocks of rows should begin and end at multiples of chunk_height().
class ZarrArray {
 public:
  /// Reads the metadata. @param folder of the array itself, such as store/group/array
  /// @throws ConfigError naming file and key when there is no array, it is not 2-D, or it needs
  ///   what is not read here (other types, filters or codecs, sharding)
  explicit ZarrArray(const std::filesystem::path& folder);
  ~ZarrArray();
  ZarrArray(ZarrArray&&) noexcept;
  ZarrArray& operator=(ZarrArray&&) noexcept;

  /// Folder of the array.
  [[nodiscard]] const std::string& path() const;
  /// 2 or 3.
  [[nodiscard]] int format() const;
  [[nodiscard]] int width() const;
  [[nodiscard]] int height() const;
  [[nodiscard]] int chunk_width() const;
  [[nodiscard]] int chunk_height() const;
  [[nodiscard]] bool has_integers() const;
  /// An attribute that is a text; nullopt when absent. @throws ConfigError when it is no text, or
  /// the file of the attributes (format 2: ".zattrs") is no JSON
  [[nodiscard]] std::optional<std::string> attribute(const std::string& name) const;
  /// Elements inside the box, which must lie inside the array. What a missing chunk holds is the
  /// fill value (format 2: none given counts as 0).
  /// @tparam T float, double, std::uint16_t or std::int64_t; an integer T needs an array of
  ///   integers, whose values T must hold
  /// @throws ConfigError naming the chunk file that is truncated, malformed or of the wrong size
  template <class T>
  [[nodiscard]] Image<T> read(const Box& box) const;

 private:
  std::unique_ptr<ZarrMetadata> metadata_;
};

/// Whether a folder holds the metadata of an array of either format. Reads nothing but names, and
/// the node type of a "zarr.json" that is there.
bool is_zarr_array(const std::filesystem::path& folder);

}  // namespace skyloom::io
