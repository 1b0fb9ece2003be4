#include "zarr_codecs.hpp"

#include <algorithm>
#include <limits>
#include <memory>

#include <blosc.h>
#include <zlib.h>
#include <zstd.h>

#include "skyloom/core/errors.hpp"

namespace skyloom::io {
namespace {

[[noreturn]] void malformed(const std::string& file, const char* codec) {
  throw ConfigError(file, "is truncated or damaged", std::string("a whole ") + codec + " chunk");
}

void require_size(std::size_t size, std::size_t expected, const std::string& file) {
  if (size != expected) {
    throw ConfigError(file, "holds " + std::to_string(size) + " bytes",
                      std::to_string(expected) + " as the metadata of the array say");
  }
}

void decode_zstd(std::span<const std::byte> bytes, std::span<std::byte> out,
                 const std::string& file) {
  const unsigned long long said = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (said == ZSTD_CONTENTSIZE_ERROR) {
    malformed(file, "zstd");
  }
  if (said != ZSTD_CONTENTSIZE_UNKNOWN) {
    require_size(said, out.size(), file);
  }
  const std::size_t size = ZSTD_decompress(out.data(), out.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(size) != 0) {
    malformed(file, "zstd");
  }
  require_size(size, out.size(), file);
}

void decode_blosc(std::span<const std::byte> bytes, std::span<std::byte> out,
                  const std::string& file) {
  std::size_t size = 0;
  if (bytes.size() < BLOSC_MIN_HEADER_LENGTH ||
      blosc_cbuffer_validate(bytes.data(), bytes.size(), &size) != 0) {
    malformed(file, "blosc");
  }
  require_size(size, out.size(), file);
  constexpr int kThreads = 1;
  const int got = blosc_decompress_ctx(bytes.data(), out.data(), out.size(), kThreads);
  if (got < 0 || static_cast<std::size_t>(got) != out.size()) {
    malformed(file, "blosc");
  }
}

/// zlib or gzip, whichever its first bytes announce.
void decode_deflate(std::span<const std::byte> bytes, std::span<std::byte> out,
                    const std::string& file) {
  constexpr int kWindowAndAnyHeader = 15 + 32;
  z_stream stream{};
  if (inflateInit2(&stream, kWindowAndAnyHeader) != Z_OK) {
    throw FatalError(file + ": zlib cannot be started");
  }
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> end(&stream, &inflateEnd);
  // Chunks are below 4 GiB, compressed ones too.
  if (bytes.size() > std::numeric_limits<uInt>::max()) {
    malformed(file, "zlib");
  }
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = inflate(&stream, Z_FINISH);
  if (status == Z_BUF_ERROR && stream.avail_out == 0) {
    throw ConfigError(file, "holds more than " + std::to_string(out.size()) + " bytes",
                      "as many as the metadata of the array say");
  }
  if (status != Z_STREAM_END) {
    malformed(file, "zlib or gzip");
  }
  require_size(out.size() - stream.avail_out, out.size(), file);
}

}  // namespace

void decode_chunk(ZarrCodec codec, std::span<const std::byte> bytes, std::span<std::byte> out,
                  const std::string& file) {
  switch (codec) {
    case ZarrCodec::none:
      require_size(bytes.size(), out.size(), file);
      std::copy(bytes.begin(), bytes.end(), out.begin());
      break;
    case ZarrCodec::blosc:
      decode_blosc(bytes, out, file);
      break;
    case ZarrCodec::zstd:
      decode_zstd(bytes, out, file);
      break;
    case ZarrCodec::deflate:
      decode_deflate(bytes, out, file);
      break;
  }
}

}  // namespace skyloom::io
