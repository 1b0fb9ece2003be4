#pragma once
// Zarr arrays written by hand, chunk by chunk, after the published formats: what the reader is
// tested against needs no other reader.

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <blosc.h>
#include <zlib.h>
#include <zstd.h>

/// What to write: an array of `height` x `width` elements in chunks.
struct ZarrSpec {
  int format = 3;
  std::string dtype = "<f4";  ///< as in format 2; <f4, >f4, <u2, >u2, <i4, <f8
  std::string codec;          ///< "", blosc, zstd, zlib (format 2) or gzip
  std::string fill = "\"NaN\"";
  int height = 7;
  int width = 10;
  int chunk_height = 3;
  int chunk_width = 4;
  bool column_major = false;
  std::string header;  ///< the text attribute "header"; "" = none
};

inline void write_file(const std::filesystem::path& path, const std::string& content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

inline std::string zarr_compressed(const std::string& codec, const std::string& raw) {
  std::string out(raw.size() * 2 + 1024, '\0');
  std::size_t size = 0;
  if (codec == "blosc") {
    constexpr int kLevel = 5;
    const int got = blosc_compress_ctx(kLevel, BLOSC_SHUFFLE, 4, raw.size(), raw.data(), out.data(),
                                       out.size(), BLOSC_LZ4_COMPNAME, 0, 1);
    size = static_cast<std::size_t>(std::max(got, 0));
  } else if (codec == "zstd") {
    size = ZSTD_compress(out.data(), out.size(), raw.data(), raw.size(), 3);
  } else {
    constexpr int kGzip = 15 + 16;
    z_stream stream{};
    deflateInit2(&stream, 6, Z_DEFLATED, codec == "gzip" ? kGzip : 15, 8, Z_DEFAULT_STRATEGY);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(raw.data()));
    stream.avail_in = static_cast<uInt>(raw.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    deflate(&stream, Z_FINISH);
    size = stream.total_out;
    deflateEnd(&stream);
  }
  out.resize(size);
  return out;
}

inline std::string zarr_element(const std::string& dtype, double value) {
  std::string bytes;
  const auto put = [&](auto typed) {
    bytes.resize(sizeof typed);
    std::memcpy(bytes.data(), &typed, sizeof typed);
  };
  const std::string name = dtype.substr(1);
  if (name == "f4") {
    put(static_cast<float>(value));
  } else if (name == "f8") {
    put(value);
  } else if (name == "u2") {
    put(static_cast<std::uint16_t>(value));
  } else if (name == "i4") {
    put(static_cast<std::int32_t>(value));
  } else {
    throw std::runtime_error("no such type");
  }
  // The tests run on little-endian machines, as the program does.
  if (dtype[0] == '>') {
    std::reverse(bytes.begin(), bytes.end());
  }
  return bytes;
}

inline std::string zarr_metadata_2(const ZarrSpec& spec) {
  const std::string compressor = spec.codec.empty() ? "null" : "{\"id\": \"" + spec.codec + "\"}";
  return "{\"zarr_format\": 2, \"shape\": [" + std::to_string(spec.height) + ", " +
         std::to_string(spec.width) + "], \"chunks\": [" + std::to_string(spec.chunk_height) +
         ", " + std::to_string(spec.chunk_width) + "], \"dtype\": \"" + spec.dtype +
         "\", \"compressor\": " + compressor + ", \"fill_value\": " + spec.fill +
         ", \"order\": \"" + (spec.column_major ? "F" : "C") + "\", \"filters\": null}";
}

inline std::string zarr_metadata_3(const ZarrSpec& spec) {
  const std::string kind = spec.dtype[1] == 'f' ? "float" : spec.dtype[1] == 'u' ? "uint" : "int";
  const std::string bits = std::to_string(8 * (spec.dtype[2] - '0'));
  const std::string order =
      spec.column_major ? "{\"name\": \"transpose\", \"configuration\": {\"order\": [1, 0]}}, "
                        : "";
  const std::string compressor = spec.codec.empty() ? "" : ", {\"name\": \"" + spec.codec + "\"}";
  const std::string attributes = spec.header.empty() ? "" : "\"header\": \"" + spec.header + "\"";
  return "{\"zarr_format\": 3, \"node_type\": \"array\", \"shape\": [" +
         std::to_string(spec.height) + ", " + std::to_string(spec.width) + "], \"data_type\": \"" +
         kind + bits +
         "\", \"chunk_grid\": {\"name\": \"regular\", \"configuration\": {\"chunk_shape\": [" +
         std::to_string(spec.chunk_height) + ", " + std::to_string(spec.chunk_width) +
         "]}}, \"chunk_key_encoding\": {\"name\": \"default\", \"configuration\": "
         "{\"separator\": \"/\"}}, \"fill_value\": " +
         spec.fill + ", \"codecs\": [" + order +
         "{\"name\": \"bytes\", \"configuration\": {\"endian\": \"" +
         (spec.dtype[0] == '>' ? "big" : "little") + "\"}}" + compressor + "], \"attributes\": {" +
         attributes + "}}";
}

/// @param value of element (y, x)   @param skip whether a chunk (row, column) is left out
inline void write_zarr(const std::filesystem::path& folder, const ZarrSpec& spec,
                       const std::function<double(int, int)>& value,
                       const std::function<bool(int, int)>& skip = {}) {
  const bool is_3 = spec.format == 3;
  write_file(folder / (is_3 ? "zarr.json" : ".zarray"),
             is_3 ? zarr_metadata_3(spec) : zarr_metadata_2(spec));
  if (!is_3 && !spec.header.empty()) {
    write_file(folder / ".zattrs", "{\"header\": \"" + spec.header + "\"}");
  }
  for (int row = 0; row * spec.chunk_height < spec.height; ++row) {
    for (int column = 0; column * spec.chunk_width < spec.width; ++column) {
      if (skip && skip(row, column)) {
        continue;
      }
      std::string raw;
      const int slow = spec.column_major ? spec.chunk_width : spec.chunk_height;
      const int fast = spec.column_major ? spec.chunk_height : spec.chunk_width;
      for (int i = 0; i < slow; ++i) {
        for (int j = 0; j < fast; ++j) {
          const int y = row * spec.chunk_height + (spec.column_major ? j : i);
          const int x = column * spec.chunk_width + (spec.column_major ? i : j);
          // What lies beyond the array is stored too, and nobody's business.
          raw += zarr_element(spec.dtype, y < spec.height && x < spec.width ? value(y, x) : 99.0);
        }
      }
      const std::string name = is_3 ? "c/" + std::to_string(row) + "/" + std::to_string(column)
                                    : std::to_string(row) + "." + std::to_string(column);
      write_file(folder / name, spec.codec.empty() ? raw : zarr_compressed(spec.codec, raw));
    }
  }
}
