#include "skyloom/io/zarr.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"

#include "zarr_codecs.hpp"
#include "zarr_metadata.hpp"

namespace skyloom::io {
namespace {

template <std::size_t Size>
using Bits = std::conditional_t<
    Size == 1, std::uint8_t,
    std::conditional_t<Size == 2, std::uint16_t,
                       std::conditional_t<Size == 4, std::uint32_t, std::uint64_t>>>;

template <class Stored>
Stored element(const std::byte* at, bool swapped) {
  Bits<sizeof(Stored)> bits = 0;
  std::memcpy(&bits, at, sizeof bits);
  if (swapped) {
    Bits<sizeof(Stored)> turned = 0;
    for (std::size_t i = 0; i < sizeof bits; ++i) {
      turned = static_cast<decltype(bits)>((static_cast<std::uint64_t>(turned) << 8U) |
                                           (static_cast<std::uint64_t>(bits >> (8U * i)) & 255U));
    }
    bits = turned;
  }
  return std::bit_cast<Stored>(bits);
}

/// Conversion without a silent change: integers must fit.
template <class T, class Stored>
T converted(Stored value, const std::string& file) {
  if constexpr (std::is_integral_v<T> && std::is_integral_v<Stored>) {
    if (!std::in_range<T>(value)) {
      throw ConfigError(file, "holds " + std::to_string(value),
                        "integers from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
                            std::to_string(std::numeric_limits<T>::max()));
    }
  }
  return static_cast<T>(value);
}

/// Where the part of a chunk lies that a box needs.
struct Part {
  Box in_array;
  int x0 = 0;  ///< first column and row of the chunk, in pixels of the array
  int y0 = 0;
};

template <class T, class Stored>
void copy_part(const ZarrMetadata& metadata, const std::byte* chunk, const Part& part,
               const Box& box, const std::string& file, Image<T>& out) {
  const bool swapped = metadata.big_endian != (std::endian::native == std::endian::big);
  const std::size_t along_x =
      metadata.transposed ? static_cast<std::size_t>(metadata.chunk_height) : std::size_t{1};
  const std::size_t along_y =
      metadata.transposed ? std::size_t{1} : static_cast<std::size_t>(metadata.chunk_width);
  for (int y = part.in_array.y0; y < part.in_array.y1; ++y) {
    const std::byte* row = chunk + static_cast<std::size_t>(y - part.y0) * along_y * sizeof(Stored);
    T* to = &out(y - box.y0, part.in_array.x0 - box.x0);
    for (int x = part.in_array.x0; x < part.in_array.x1; ++x) {
      const auto at = static_cast<std::size_t>(x - part.x0) * along_x * sizeof(Stored);
      *to++ = converted<T>(element<Stored>(row + at, swapped), file);
    }
  }
}

template <class T>
void copy_any(const ZarrMetadata& metadata, const std::byte* chunk, const Part& part,
              const Box& box, const std::string& file, Image<T>& out) {
  const auto copy = [&]<class Stored>(Stored) {
    if constexpr (std::is_integral_v<T> && !std::is_integral_v<Stored>) {
      throw FatalError(file + ": integers of an array of floats were asked for");
    } else {
      copy_part<T, Stored>(metadata, chunk, part, box, file, out);
    }
  };
  switch (metadata.type) {
    case ZarrType::i8:
      return copy(std::int8_t{});
    case ZarrType::i16:
      return copy(std::int16_t{});
    case ZarrType::i32:
      return copy(std::int32_t{});
    case ZarrType::i64:
      return copy(std::int64_t{});
    case ZarrType::u8:
      return copy(std::uint8_t{});
    case ZarrType::u16:
      return copy(std::uint16_t{});
    case ZarrType::u32:
      return copy(std::uint32_t{});
    case ZarrType::u64:
      return copy(std::uint64_t{});
    case ZarrType::f32:
      return copy(float{});
    case ZarrType::f64:
      return copy(double{});
  }
}

template <class T>
T fill_of(const ZarrMetadata& metadata) {
  return std::visit([&](auto value) { return converted<T>(value, metadata.file + ": fill_value"); },
                    metadata.fill);
}

}  // namespace

ZarrArray::ZarrArray(const std::filesystem::path& folder)
    : metadata_(std::make_unique<ZarrMetadata>(read_zarr_metadata(folder))) {}
ZarrArray::~ZarrArray() = default;
ZarrArray::ZarrArray(ZarrArray&&) noexcept = default;
ZarrArray& ZarrArray::operator=(ZarrArray&&) noexcept = default;

const std::string& ZarrArray::path() const {
  return metadata_->folder;
}
int ZarrArray::format() const {
  return metadata_->format;
}
int ZarrArray::width() const {
  return metadata_->width;
}
int ZarrArray::height() const {
  return metadata_->height;
}
int ZarrArray::chunk_width() const {
  return metadata_->chunk_width;
}
int ZarrArray::chunk_height() const {
  return metadata_->chunk_height;
}
bool ZarrArray::has_integers() const {
  return is_integer(metadata_->type);
}

std::optional<std::string> ZarrArray::attribute(const std::string& name) const {
  return read_zarr_attribute(*metadata_, name);
}

template <class T>
Image<T> ZarrArray::read(const Box& box) const {
  const ZarrMetadata& metadata = *metadata_;
  if (box.empty() || box.intersect({0, metadata.width, 0, metadata.height}) != box) {
    throw FatalError(metadata.folder + ": elements outside the array were asked for");
  }
  if (std::is_integral_v<T> && !is_integer(metadata.type)) {
    throw ConfigError(metadata.file, "is an array of floats", "integers");
  }
  Image<T> out(box.width(), box.height(), fill_of<T>(metadata));
  std::vector<std::byte> chunk(metadata.chunk_bytes());
  for (int row = box.y0 / metadata.chunk_height; row <= (box.y1 - 1) / metadata.chunk_height;
       ++row) {
    for (int column = box.x0 / metadata.chunk_width; column <= (box.x1 - 1) / metadata.chunk_width;
         ++column) {
      const std::filesystem::path file = metadata.chunk_file(row, column);
      if (!std::filesystem::exists(file)) {
        continue;
      }
      const std::string bytes = read_text(file);
      decode_chunk(metadata.codec, std::as_bytes(std::span(bytes)), chunk, file.string());
      // The last chunk of an axis is stored whole and may reach beyond 2^31.
      const int x0 = column * metadata.chunk_width;
      const int y0 = row * metadata.chunk_height;
      const int x1 =
          metadata.width - x0 > metadata.chunk_width ? x0 + metadata.chunk_width : metadata.width;
      const int y1 = metadata.height - y0 > metadata.chunk_height ? y0 + metadata.chunk_height
                                                                  : metadata.height;
      copy_any<T>(metadata, chunk.data(), {box.intersect({x0, x1, y0, y1}), x0, y0}, box,
                  file.string(), out);
    }
  }
  return out;
}

template Image<float> ZarrArray::read<float>(const Box&) const;
template Image<double> ZarrArray::read<double>(const Box&) const;
template Image<std::uint16_t> ZarrArray::read<std::uint16_t>(const Box&) const;
template Image<std::int64_t> ZarrArray::read<std::int64_t>(const Box&) const;

}  // namespace skyloom::io
