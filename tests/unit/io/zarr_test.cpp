// Zarr arrays of both formats, and stores that are damaged or hold what is not read.

#include "skyloom/io/zarr.hpp"

#include <cmath>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/random.hpp"
#include "skyloom/io/files.hpp"

#include "unit/io/scratch.hpp"
#include "unit/io/zarr_store.hpp"

using namespace skyloom;
using Catch::Contains;

namespace {

double ramp(int y, int x) {
  return 100.0 * y + x + 1.0;
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const auto at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), with);
}

/// The message about an array whose metadata were changed in one place.
std::string complaint(const Scratch& scratch, int format, const std::string& what,
                      const std::string& with) {
  ZarrSpec spec;
  spec.format = format;
  const std::string metadata = format == 3 ? zarr_metadata_3(spec) : zarr_metadata_2(spec);
  write_file(scratch / "a" / (format == 3 ? "zarr.json" : ".zarray"),
             replaced(metadata, what, with));
  const std::string message =
      error_of<ConfigError>([&] { io::ZarrArray(std::filesystem::path(scratch / "a")); });
  std::filesystem::remove_all(scratch / "a");
  CHECK(message.find('\n') == std::string::npos);
  return message;
}

}  // namespace

TEST_CASE("Zarr: both formats, all codecs, both byte orders and axis orders", "[zarr]") {
  const Scratch scratch;
  const auto format = GENERATE(2, 3);
  const auto codec = GENERATE(as<std::string>{}, "", "blosc", "zstd", "zlib", "gzip");
  const auto dtype = GENERATE(as<std::string>{}, "<f4", ">f4", ">u2", "<i4", ">f8");
  ZarrSpec spec;
  spec.format = format;
  spec.codec = codec;
  spec.dtype = dtype;
  spec.fill = dtype[1] == 'f' ? "\"NaN\"" : "0";
  spec.column_major = dtype == "<i4";
  CAPTURE(format, codec, dtype);
  write_zarr(scratch / "a", spec, ramp);
  const io::ZarrArray array(scratch / "a");
  CHECK(array.format() == format);
  CHECK(array.width() == 10);
  CHECK(array.height() == 7);
  CHECK(array.chunk_width() == 4);
  CHECK(array.chunk_height() == 3);
  CHECK(array.has_integers() == (dtype[1] != 'f'));
  for (const Box& box : {Box{0, 10, 0, 7}, Box{3, 9, 2, 7}, Box{9, 10, 6, 7}, Box{4, 8, 3, 6}}) {
    const Image<float> pixels = array.read<float>(box);
    REQUIRE(pixels.width() == box.width());
    REQUIRE(pixels.height() == box.height());
    for (int y = box.y0; y < box.y1; ++y) {
      for (int x = box.x0; x < box.x1; ++x) {
        REQUIRE(pixels(y - box.y0, x - box.x0) == static_cast<float>(ramp(y, x)));
      }
    }
  }
  if (array.has_integers()) {
    CHECK(array.read<std::uint16_t>({2, 3, 5, 6})(0, 0) == 503);
    CHECK(array.read<std::int64_t>({2, 3, 5, 6})(0, 0) == 503);
  } else {
    CHECK_THAT(error_of<ConfigError>([&] {
                 (void)array.read<std::uint16_t>({0, 1, 0, 1});
               }),
               Contains("array of floats"));
  }
  CHECK_THROWS_AS(array.read<float>({0, 11, 0, 1}), FatalError);
}

TEST_CASE("Zarr: a missing chunk is the fill value", "[zarr]") {
  const Scratch scratch;
  const auto format = GENERATE(2, 3);
  const auto fill =
      GENERATE(table<std::string, std::string, double>({{"<f4", "\"NaN\"", std::nan("")},
                                                        {"<f4", "\"-Infinity\"", -HUGE_VAL},
                                                        {"<f4", "\"0xc0200000\"", -2.5},
                                                        {"<f4", "-7.5", -7.5},
                                                        {"<u2", "65535", 65535.0}}));
  ZarrSpec spec;
  spec.format = format;
  std::tie(spec.dtype, spec.fill, std::ignore) = fill;
  const double expected = std::get<2>(fill);
  write_zarr(scratch / "a", spec, ramp,
             [](int row, int column) { return row == 1 && column == 2; });
  const Image<float> pixels = io::ZarrArray(scratch / "a").read<float>({0, 10, 0, 7});
  for (int y = 0; y < 7; ++y) {
    for (int x = 0; x < 10; ++x) {
      const bool is_missing = y >= 3 && y < 6 && x >= 8;
      const double value = is_missing ? expected : ramp(y, x);
      REQUIRE((std::isnan(value) ? std::isnan(pixels(y, x))
                                 : pixels(y, x) == static_cast<float>(value)));
    }
  }
}

TEST_CASE("Zarr: no fill value counts as 0 in format 2", "[zarr]") {
  const Scratch scratch;
  ZarrSpec spec;
  spec.format = 2;
  spec.fill = "null";
  write_zarr(scratch / "a", spec, ramp, [](int, int) { return true; });
  CHECK(io::ZarrArray(scratch / "a").read<float>({0, 1, 0, 1})(0, 0) == 0.0F);
  CHECK_THAT(complaint(scratch, 3, "\"fill_value\": \"NaN\"", "\"fill_value\": null"),
             Contains("zarr.json: fill_value is null"));
}

TEST_CASE("Zarr: other names of chunk files", "[zarr]") {
  const Scratch scratch;
  ZarrSpec spec;
  spec.format = 2;
  write_zarr(scratch / "a", spec, ramp);
  SECTION("format 2 with folders") {
    write_file(scratch / "a/.zarray", replaced(zarr_metadata_2(spec), "\"order\"",
                                               "\"dimension_separator\": \"/\", \"order\""));
    std::filesystem::create_directory(scratch / "a/1");
    std::filesystem::rename(scratch / "a/1.0", scratch / "a/1/0");
  }
  SECTION("format 3 with the names of format 2") {
    std::filesystem::remove(scratch / "a/.zarray");
    write_file(scratch / "a/zarr.json",
               replaced(replaced(zarr_metadata_3(spec), "default", "v2"), "\"/\"", "\".\""));
  }
  SECTION("format 3 with dots") {
    std::filesystem::remove(scratch / "a/.zarray");
    write_file(scratch / "a/zarr.json", replaced(zarr_metadata_3(spec), "\"/\"", "\".\""));
    std::filesystem::rename(scratch / "a/1.0", scratch / "a/c.1.0");
  }
  CHECK(io::ZarrArray(scratch / "a").read<float>({1, 2, 4, 5})(0, 0) == 402.0F);
}

TEST_CASE("Zarr: attributes", "[zarr]") {
  const Scratch scratch;
  const auto format = GENERATE(2, 3);
  ZarrSpec spec;
  spec.format = format;
  spec.header = "EXPTIME = 3 / s";
  write_zarr(scratch / "a", spec, ramp);
  const io::ZarrArray array(scratch / "a");
  CHECK(array.attribute("header") == "EXPTIME = 3 / s");
  CHECK_FALSE(array.attribute("other").has_value());
  spec.header = "x\", \"other\": 5, \"last\": \"";
  write_zarr(scratch / "a", spec, ramp);
  CHECK_THAT(error_of<ConfigError>([&] { (void)io::ZarrArray(scratch / "a").attribute("other"); }),
             Contains("attribute other is 5: a text"));
  if (format == 2) {
    std::filesystem::remove(scratch / "a/.zattrs");
    CHECK_FALSE(array.attribute("header").has_value());
    write_file(scratch / "a/.zattrs", "{\"header\": ");
    CHECK_THAT(error_of<ConfigError>([&] { (void)array.attribute("header"); }),
               Contains(".zattrs: is no JSON"));
  }
}

TEST_CASE("Zarr: what is an array", "[zarr]") {
  const Scratch scratch;
  write_file(scratch / "group/zarr.json", "{\"zarr_format\": 3, \"node_type\": \"group\"}");
  write_file(scratch / "old/.zgroup", "{\"zarr_format\": 2}");
  CHECK_FALSE(io::is_zarr_array(scratch / "group"));
  CHECK_FALSE(io::is_zarr_array(scratch / "old"));
  CHECK_FALSE(io::is_zarr_array(scratch / "absent"));
  ZarrSpec spec;
  write_zarr(scratch / "group/a", spec, ramp);
  spec.format = 2;
  write_zarr(scratch / "old/a", spec, ramp);
  CHECK(io::is_zarr_array(scratch / "group/a"));
  CHECK(io::is_zarr_array(scratch / "old/a"));
  CHECK_THAT(error_of<ConfigError>([&] { io::ZarrArray(std::filesystem::path(scratch / "old")); }),
             Contains("old: is no Zarr array"));
  CHECK_THAT(
      error_of<ConfigError>([&] { io::ZarrArray(std::filesystem::path(scratch / "group")); }),
      Contains("zarr.json: node_type is \"group\": \"array\""));
}

TEST_CASE("Zarr: metadata that are malformed or ask for too much", "[zarr]") {
  const Scratch scratch;
  const std::string chunk_shape = "\"chunk_shape\": [3, 4]";
  CHECK_THAT(complaint(scratch, 3, "{\"zarr", "[\"zarr"), Contains("zarr.json: is no JSON"));
  CHECK_THAT(complaint(scratch, 3, "\"zarr_format\": 3", "\"zarr_format\": 4"),
             Contains("zarr_format is 4: 3"));
  CHECK_THAT(complaint(scratch, 3, "[7, 10]", "[7, 10, 2]"), Contains("shape is [7,10,2]"));
  CHECK_THAT(complaint(scratch, 3, "[7, 10]", "[7, -1]"), Contains("shape is [7,-1]"));
  CHECK_THAT(complaint(scratch, 3, "[7, 10]", "[7, 3e9]"), Contains("shape is"));
  CHECK_THAT(complaint(scratch, 3, "\"shape\"", "\"sharp\""), Contains("shape is missing"));
  CHECK_THAT(complaint(scratch, 3, "float32", "complex64"), Contains("data_type is \"complex64\""));
  CHECK_THAT(complaint(scratch, 3, "regular", "rectangular"), Contains("chunk_grid is"));
  CHECK_THAT(complaint(scratch, 3, chunk_shape, "\"chunk_shape\": [0, 4]"),
             Contains("chunk_shape is [0,4]"));
  CHECK_THAT(complaint(scratch, 3, chunk_shape, "\"chunk_shape\": [2000000000, 2000000000]"),
             Contains("chunk_shape is too large"));
  CHECK_THAT(complaint(scratch, 3, "default", "other"), Contains("chunk_key_encoding is"));
  CHECK_THAT(complaint(scratch, 3, "\"separator\": \"/\"", "\"separator\": \"-\""),
             Contains("separator is \"-\""));
  CHECK_THAT(complaint(scratch, 3, "\"bytes\"", "\"sharding_indexed\""),
             Contains("codecs has \"sharding_indexed\""));
  CHECK_THAT(complaint(scratch, 3, "\"little\"", "\"middle\""), Contains("endian \"middle\""));
  CHECK_THAT(complaint(scratch, 3, "}}], \"attr", "}}, {\"name\": \"crc32c\"}], \"attr"),
             Contains("codecs has \"crc32c\""));
  CHECK_THAT(complaint(scratch, 3, "}}], \"attr",
                       "}}, {\"name\": \"zstd\"}, {\"name\": \"gzip\"}], \"attr"),
             Contains("codecs names two compressors"));
  CHECK_THAT(complaint(scratch, 3, "\"NaN\"", "\"nothing\""),
             Contains("fill_value is \"nothing\""));
  CHECK_THAT(complaint(scratch, 2, "\"<f4\"", "\"<c8\""), Contains(".zarray: dtype is \"<c8\""));
  CHECK_THAT(complaint(scratch, 2, "\"<f4\"", "[[\"a\", \"<f4\"]]"), Contains("dtype is"));
  CHECK_THAT(complaint(scratch, 2, "\"C\"", "\"K\""), Contains("order is \"K\""));
  CHECK_THAT(complaint(scratch, 2, "\"filters\": null", "\"filters\": [{\"id\": \"delta\"}]"),
             Contains("filters is [{\"id\":\"delta\"}]: no filter"));
  CHECK_THAT(complaint(scratch, 2, "\"compressor\": null", "\"compressor\": {\"id\": \"lzma\"}"),
             Contains("compressor is \"lzma\": blosc, zstd, zlib or gzip"));
}

TEST_CASE("Zarr: truncated and damaged chunks name their file", "[zarr]") {
  const Scratch scratch;
  const auto codec = GENERATE(as<std::string>{}, "", "blosc", "zstd", "zlib", "gzip");
  ZarrSpec spec;
  spec.codec = codec;
  spec.chunk_height = 64;
  spec.chunk_width = 64;
  spec.height = 64;
  spec.width = 64;
  CAPTURE(codec);
  write_zarr(scratch / "a", spec, ramp);
  const std::filesystem::path chunk = scratch / "a/c/0/0";
  const std::string whole = io::read_text(chunk);
  const auto message = [&] {
    const std::string text = error_of<ConfigError>([&] {
      (void)io::ZarrArray(scratch / "a").read<float>({0, 64, 0, 64});
    });
    CHECK(text.find('\n') == std::string::npos);
    return text;
  };
  CHECK(message().empty());
  for (const std::size_t kept :
       {std::size_t{0}, std::size_t{3}, std::size_t{20}, whole.size() / 2, whole.size() - 1}) {
    CAPTURE(kept);
    write_file(chunk, whole.substr(0, kept));
    CHECK_THAT(message(), Contains("a/c/0/0: "));
  }
  if (!codec.empty()) {
    write_file(chunk, "no compressed data at all, but longer than any header would be");
    CHECK_THAT(message(), Contains("a/c/0/0: "));
    spec.chunk_height = 32;
    write_file(chunk, whole);
    write_file(scratch / "a/zarr.json", zarr_metadata_3(spec));
    CHECK_THAT(message(), Contains("a/c/0/0: holds ") && Contains("8192"));
  }
}

TEST_CASE("Zarr: integers that do not fit are refused", "[zarr]") {
  const Scratch scratch;
  ZarrSpec spec;
  spec.dtype = "<i4";
  spec.fill = "0";
  write_zarr(scratch / "a", spec, [](int y, int x) { return y == 1 && x == 1 ? -1.0 : 70000.0; });
  const io::ZarrArray array(scratch / "a");
  CHECK(array.read<std::int64_t>({0, 2, 0, 2})(1, 1) == -1);
  CHECK_THAT(error_of<ConfigError>([&] {
               (void)array.read<std::uint16_t>({0, 1, 0, 1});
             }),
             Contains("c/0/0: holds 70000: integers from 0 to 65535"));
  CHECK_THAT(error_of<ConfigError>([&] {
               (void)array.read<std::uint16_t>({1, 2, 1, 2});
             }),
             Contains("holds -1"));
}

TEST_CASE("Zarr: flipped bytes are refused or read, nothing else", "[zarr]") {
  const Scratch scratch;
  const auto codec = GENERATE(as<std::string>{}, "blosc", "zstd", "zlib", "gzip");
  CAPTURE(codec);
  ZarrSpec spec;
  spec.format = GENERATE(2, 3);
  spec.codec = codec;
  spec.chunk_height = 20;
  spec.chunk_width = 30;
  spec.header = "EXPTIME = 3";
  write_zarr(scratch / "a", spec, ramp);
  const bool is_3 = spec.format == 3;
  const Rng rng(7, "flips", codec);
  int refused = 0;
  int flips = 0;
  for (const std::string& name :
       {std::string(is_3 ? "c/0/0" : "0.0"), std::string(is_3 ? "zarr.json" : ".zarray")}) {
    const std::string whole = io::read_text(scratch / ("a/" + name));
    for (std::uint64_t i = 0; i < 300; ++i) {
      std::string changed = whole;
      const auto at =
          static_cast<std::size_t>(rng.uniform(i, 0.0, static_cast<double>(whole.size())));
      changed[at] = static_cast<char>(changed[at] ^ static_cast<char>(rng.bits(i, 1)[0] % 255 + 1));
      write_file(scratch / ("a/" + name), changed);
      // Any other exception ends the test.
      const std::string text = error_of<ConfigError>([&] {
        const io::ZarrArray array(scratch / "a");
        (void)array.attribute("header");
        (void)array.read<float>({0, std::min(array.width(), 9), 0, std::min(array.height(), 9)});
      });
      CHECK(text.find('\n') == std::string::npos);
      refused += !text.empty();
      ++flips;
    }
    write_file(scratch / ("a/" + name), whole);
  }
  CHECK(refused > flips / 4);
}
