#include "zarr_metadata.hpp"

#include <bit>
#include <limits>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/zarr.hpp"

namespace skyloom::io {
namespace {

using nlohmann::json;

constexpr const char* kFile2 = ".zarray";
constexpr const char* kFile3 = "zarr.json";
constexpr std::size_t kLargestChunk = std::size_t{1} << 31U;

[[noreturn]] void refuse(const std::string& file, const std::string& key, const std::string& wrong,
                         const std::string& expected) {
  throw ConfigError(file, key.empty() ? wrong : key + " " + wrong, expected);
}

json parsed(const std::string& file) {
  try {
    json document = json::parse(read_text(file));
    if (document.is_object()) {
      return document;
    }
  } catch (const json::exception&) {
    refuse(file, {}, "is no JSON", "the metadata of a Zarr array");
  }
  refuse(file, {}, "holds no JSON object", "the metadata of a Zarr array");
}

std::string shown(const json& value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  constexpr std::size_t kLongest = 60;
  return text.size() > kLongest ? text.substr(0, kLongest) + "..." : text;
}

const json& member(const json& object, const std::string& file, const std::string& key,
                   const std::string& expected) {
  const auto found = object.find(key);
  if (found == object.end()) {
    refuse(file, key, "is missing", expected);
  }
  return *found;
}

std::string text_member(const json& object, const std::string& file, const std::string& key,
                        const std::string& expected) {
  const json& value = member(object, file, key, expected);
  if (!value.is_string()) {
    refuse(file, key, "is " + shown(value), expected);
  }
  return value.get<std::string>();
}

/// Object under a key that may be absent: then an empty one.
json object_member(const json& object, const std::string& file, const std::string& key) {
  json value = object.value(key, json::object());
  if (!value.is_object()) {
    refuse(file, key, "is " + shown(value), "an object");
  }
  return value;
}

std::pair<int, int> two_sides(const json& value, const std::string& file, const std::string& key) {
  const auto side = [&](const json& number) {
    constexpr std::int64_t kMost = std::numeric_limits<int>::max();
    const bool good = number.is_number_integer() && number.get<std::int64_t>() > 0 &&
                      number.get<std::int64_t>() <= kMost;
    if (!good) {
      refuse(file, key, "is " + shown(value), "two sides above 0 and below 2^31");
    }
    return static_cast<int>(number.get<std::int64_t>());
  };
  if (!value.is_array() || value.size() != 2) {
    refuse(file, key, "is " + shown(value), "two sides: only 2-D arrays are read");
  }
  return {side(value[0]), side(value[1])};
}

const std::map<std::string, ZarrType>& types_of_format(int format) {
  static const std::map<std::string, ZarrType> kNumpy{
      {"i1", ZarrType::i8},  {"i2", ZarrType::i16}, {"i4", ZarrType::i32}, {"i8", ZarrType::i64},
      {"u1", ZarrType::u8},  {"u2", ZarrType::u16}, {"u4", ZarrType::u32}, {"u8", ZarrType::u64},
      {"f4", ZarrType::f32}, {"f8", ZarrType::f64}};
  static const std::map<std::string, ZarrType> kNames{
      {"int8", ZarrType::i8},    {"int16", ZarrType::i16},  {"int32", ZarrType::i32},
      {"int64", ZarrType::i64},  {"uint8", ZarrType::u8},   {"uint16", ZarrType::u16},
      {"uint32", ZarrType::u32}, {"uint64", ZarrType::u64}, {"float32", ZarrType::f32},
      {"float64", ZarrType::f64}};
  return format == 2 ? kNumpy : kNames;
}

ZarrType type_named(int format, const std::string& name, const std::string& file,
                    const std::string& key, const std::string& whole) {
  const auto& types = types_of_format(format);
  const auto found = types.find(name);
  if (found == types.end()) {
    refuse(file, key, "is \"" + whole + "\"", "integers of 8 to 64 bits or floats of 32 or 64");
  }
  return found->second;
}

std::optional<double> special_float(const std::string& text, ZarrType type) {
  if (text == "NaN") {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (text == "Infinity" || text == "-Infinity") {
    return text[0] == '-' ? -std::numeric_limits<double>::infinity()
                          : std::numeric_limits<double>::infinity();
  }
  const std::size_t digits = 2 * size_of(type);
  if (!text.starts_with("0x") || text.size() != digits + 2 ||
      text.find_first_not_of("0123456789abcdefABCDEF", 2) != std::string::npos) {
    return std::nullopt;
  }
  const std::uint64_t bits = std::stoull(text.substr(2), nullptr, 16);
  return type == ZarrType::f32
             ? static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits)))
             : std::bit_cast<double>(bits);
}

void set_fill(ZarrMetadata& out, const json& value) {
  if (value.is_null() && out.format == 2) {
    out.fill = std::int64_t{0};
  } else if (is_integer(out.type) && value.is_number_unsigned()) {
    out.fill = value.get<std::uint64_t>();
  } else if (is_integer(out.type) && value.is_number_integer()) {
    out.fill = value.get<std::int64_t>();
  } else if (!is_integer(out.type) && value.is_number()) {
    out.fill = value.get<double>();
  } else {
    const auto number = value.is_string() && !is_integer(out.type)
                            ? special_float(value.get<std::string>(), out.type)
                            : std::nullopt;
    if (!number) {
      refuse(out.file, "fill_value", "is " + shown(value),
             is_integer(out.type) ? "an integer" : "a number, \"NaN\" or \"Infinity\"");
    }
    out.fill = *number;
  }
}

void set_separator(ZarrMetadata& out, const json& value, const std::string& key) {
  if (value != "." && value != "/") {
    refuse(out.file, key, "is " + shown(value), "\".\" or \"/\"");
  }
  out.separator = value.get<std::string>()[0];
}

/// @return false when the name is no compressor
bool set_compressor(ZarrMetadata& out, std::string name, const std::string& key) {
  static const std::map<std::string, ZarrCodec> kCodecs{{"blosc", ZarrCodec::blosc},
                                                        {"zstd", ZarrCodec::zstd},
                                                        {"zlib", ZarrCodec::deflate},
                                                        {"gzip", ZarrCodec::deflate}};
  constexpr std::string_view kPrefix = "numcodecs.";
  if (name.starts_with(kPrefix)) {
    name.erase(0, kPrefix.size());
  }
  const auto found = kCodecs.find(name);
  if (found == kCodecs.end()) {
    return false;
  }
  if (out.codec != ZarrCodec::none) {
    refuse(out.file, key, "names two compressors", "one at most");
  }
  out.codec = found->second;
  return true;
}

void read_format_2(ZarrMetadata& out, const json& document) {
  const std::string& file = out.file;
  const json& format = member(document, file, "zarr_format", "2");
  if (format != 2) {
    refuse(file, "zarr_format", "is " + shown(format), "2");
  }
  const json& dtype = member(document, file, "dtype", "a type such as \"<f4\"");
  const std::string text = dtype.is_string() ? dtype.get<std::string>() : shown(dtype);
  if (text.empty() || std::string("<>|").find(text[0]) == std::string::npos) {
    refuse(file, "dtype", "is \"" + text + "\"", "a type such as \"<f4\" or \">u2\"");
  }
  out.type = type_named(2, text.substr(1), file, "dtype", text);
  out.big_endian = text[0] == '>';
  const std::string order = text_member(document, file, "order", "\"C\" or \"F\"");
  if (order != "C" && order != "F") {
    refuse(file, "order", "is \"" + order + "\"", "\"C\" or \"F\"");
  }
  out.transposed = order == "F";
  std::tie(out.chunk_height, out.chunk_width) =
      two_sides(member(document, file, "chunks", "two sides"), file, "chunks");
  const json filters = document.value("filters", json());
  if (!filters.is_null() && !filters.empty()) {
    refuse(file, "filters", "is " + shown(filters), "no filter");
  }
  const json compressor = document.value("compressor", json());
  if (!compressor.is_null()) {
    const std::string id = compressor.is_object()
                               ? text_member(compressor, file, "id", "name of a compressor")
                               : shown(compressor);
    if (!set_compressor(out, id, "compressor")) {
      refuse(file, "compressor", "is \"" + id + "\"", "blosc, zstd, zlib or gzip");
    }
  }
  set_separator(out, document.value("dimension_separator", json(".")), "dimension_separator");
  set_fill(out, document.value("fill_value", json()));
}

/// Whether the order of a transpose codec swaps the axes.
bool swaps_axes(const json& configuration, const std::string& file) {
  const json order = configuration.value("order", json());
  const bool swapped = order == json::array({1, 0}) || order == "F";
  if (!swapped && order != json::array({0, 1}) && order != "C") {
    refuse(file, "codecs", "transposes in order " + shown(order), "[0, 1] or [1, 0]");
  }
  return swapped;
}

void read_codecs(ZarrMetadata& out, const json& codecs) {
  const std::string& file = out.file;
  if (!codecs.is_array()) {
    refuse(file, "codecs", "is " + shown(codecs), "a list");
  }
  bool has_bytes = false;
  for (const json& codec : codecs) {
    const std::string name =
        codec.is_object() ? text_member(codec, file, "name", "name of a codec") : shown(codec);
    const json configuration =
        codec.is_object() ? object_member(codec, file, "configuration") : json::object();
    if (name == "transpose" && !has_bytes) {
      out.transposed ^= swaps_axes(configuration, file);
    } else if (name == "bytes" && !has_bytes) {
      const json endian = configuration.value("endian", json("little"));
      if (endian != "little" && endian != "big") {
        refuse(file, "codecs", "has endian " + shown(endian), "\"little\" or \"big\"");
      }
      out.big_endian = endian == "big";
      has_bytes = true;
    } else if (!has_bytes || !set_compressor(out, name, "codecs")) {
      refuse(file, "codecs", "has \"" + name + "\" that is not read here",
             "transpose, bytes, then one of blosc, zstd, zlib, gzip");
    }
  }
  if (!has_bytes) {
    refuse(file, "codecs", "lacks the codec \"bytes\"", "bytes");
  }
}

void read_format_3(ZarrMetadata& out, const json& document) {
  const std::string& file = out.file;
  const json& format = member(document, file, "zarr_format", "3");
  if (format != 3) {
    refuse(file, "zarr_format", "is " + shown(format), "3");
  }
  if (text_member(document, file, "node_type", "\"array\"") != "array") {
    refuse(file, "node_type", "is " + shown(document["node_type"]), "\"array\"");
  }
  const std::string type = text_member(document, file, "data_type", "a type such as \"float32\"");
  out.type = type_named(3, type, file, "data_type", type);
  const json& grid = member(document, file, "chunk_grid", "a regular grid");
  if (!grid.is_object() || text_member(grid, file, "name", "\"regular\"") != "regular") {
    refuse(file, "chunk_grid", "is " + shown(grid), "a regular grid");
  }
  std::tie(out.chunk_height, out.chunk_width) = two_sides(
      member(object_member(grid, file, "configuration"), file, "chunk_shape", "two sides"), file,
      "chunk_shape");
  const json& encoding = member(document, file, "chunk_key_encoding", "\"default\" or \"v2\"");
  const std::string name =
      encoding.is_object() ? text_member(encoding, file, "name", "\"default\" or \"v2\"") : "";
  if (name != "default" && name != "v2") {
    refuse(file, "chunk_key_encoding", "is " + shown(encoding), "\"default\" or \"v2\"");
  }
  const bool is_default = name == "default";
  set_separator(out,
                object_member(encoding, file, "configuration")
                    .value("separator", json(is_default ? "/" : ".")),
                "chunk_key_encoding separator");
  out.key_prefix = is_default ? std::string("c") + out.separator : std::string();
  const json transformers = document.value("storage_transformers", json());
  if (!transformers.is_null() && !transformers.empty()) {
    refuse(file, "storage_transformers", "is " + shown(transformers), "none");
  }
  read_codecs(out, member(document, file, "codecs", "a list of codecs"));
  set_fill(out, member(document, file, "fill_value", "the value of missing chunks"));
}

}  // namespace

std::size_t size_of(ZarrType type) {
  constexpr std::size_t kSizes[] = {1, 2, 4, 8, 1, 2, 4, 8, 4, 8};
  return kSizes[static_cast<std::size_t>(type)];
}

std::filesystem::path ZarrMetadata::chunk_file(int row, int column) const {
  return std::filesystem::path(folder) /
         (key_prefix + std::to_string(row) + separator + std::to_string(column));
}

std::size_t ZarrMetadata::chunk_bytes() const {
  return static_cast<std::size_t>(chunk_height) * static_cast<std::size_t>(chunk_width) *
         size_of(type);
}

ZarrMetadata read_zarr_metadata(const std::filesystem::path& folder) {
  ZarrMetadata out;
  out.folder = folder.string();
  out.format = std::filesystem::exists(folder / kFile3) ? 3 : 2;
  out.file = (folder / (out.format == 3 ? kFile3 : kFile2)).string();
  if (!std::filesystem::exists(out.file)) {
    refuse(out.folder, {}, "is no Zarr array",
           std::string("a folder with ") + kFile3 + " or " + kFile2);
  }
  const json document = parsed(out.file);
  if (out.format == 3) {
    read_format_3(out, document);
  } else {
    read_format_2(out, document);
  }
  std::tie(out.height, out.width) =
      two_sides(member(document, out.file, "shape", "two sides"), out.file, "shape");
  if (static_cast<std::size_t>(out.chunk_height) >
      kLargestChunk / size_of(out.type) / static_cast<std::size_t>(out.chunk_width)) {
    refuse(out.file, out.format == 3 ? "chunk_shape" : "chunks", "is too large",
           "chunks of 2 GiB at most");
  }
  return out;
}

std::optional<std::string> read_zarr_attribute(const ZarrMetadata& metadata,
                                               const std::string& name) {
  const bool has_own_file = metadata.format == 2;
  const std::string file =
      has_own_file ? (std::filesystem::path(metadata.folder) / ".zattrs").string() : metadata.file;
  if (has_own_file && !std::filesystem::exists(file)) {
    return std::nullopt;
  }
  const json document = parsed(file);
  const json attributes = has_own_file ? document : object_member(document, file, "attributes");
  const auto found = attributes.find(name);
  if (found == attributes.end()) {
    return std::nullopt;
  }
  if (!found->is_string()) {
    refuse(file, "attribute " + name, "is " + shown(*found), "a text");
  }
  return found->get<std::string>();
}

bool is_zarr_array(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / kFile3)) {
    return parsed((folder / kFile3).string()).value("node_type", json()) == "array";
  }
  return std::filesystem::exists(folder / kFile2);
}

}  // namespace skyloom::io
