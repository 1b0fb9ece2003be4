#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <regex>
#include <string_view>
#include <utility>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"

#include "light_curve_formats.hpp"

namespace skyloom::surveys {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kRows = 3;
constexpr const char* kExpected =
    "a NumPy file with a little-endian float64 array of shape (3, cadences): time, flux, error";

struct NpyHeader {
  std::string text;         ///< a Python dictionary
  std::size_t data_at = 0;  ///< first byte of the array
};

NpyHeader header_of(const std::string& bytes, const std::string& path) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  constexpr std::size_t kFixedBytes = 8;  // magic and version
  if (!bytes.starts_with(kMagic) || bytes.size() < kFixedBytes) {
    throw ConfigError(path, "is no NumPy file", kExpected);
  }
  const int version = static_cast<unsigned char>(bytes[kMagic.size()]);
  if (version < 1 || version > 3) {
    throw ConfigError(path, "has version " + std::to_string(version) + " of the NumPy format",
                      "version 1, 2 or 3");
  }
  const std::size_t width = version == 1 ? 2 : 4;
  std::uint32_t length = 0;
  if (bytes.size() >= kFixedBytes + width) {
    std::memcpy(&length, bytes.data() + kFixedBytes, width);
  }
  const std::size_t data_at = kFixedBytes + width + length;
  if (length == 0 || bytes.size() < data_at) {
    throw ConfigError(path, "is cut short in its header", kExpected);
  }
  return {bytes.substr(kFixedBytes + width, length), data_at};
}

/// What a pattern captures first in the header.
std::string entry(const NpyHeader& header, const char* name, const char* value,
                  const std::string& path) {
  const std::regex pattern(std::string("['\"]") + name + "['\"]\\s*:\\s*" + value);
  std::smatch match;
  if (!std::regex_search(header.text, match, pattern)) {
    throw ConfigError(path, std::string("has no usable ") + name + " in its header", kExpected);
  }
  return match[1].str();
}

std::size_t cadences_of(const NpyHeader& header, const std::string& path) {
  const std::string shape = entry(header, "shape", "\\(([^)]*)\\)", path);
  static const std::regex kPattern("\\s*3\\s*,\\s*([0-9]{1,12})\\s*,?\\s*");
  std::smatch match;
  if (!std::regex_match(shape, match, kPattern)) {
    throw ConfigError(path, "has the shape (" + shape + ")", kExpected);
  }
  return std::stoull(match[1].str());
}

/// Time, flux and error.
std::array<std::vector<double>, kRows> rows_of(const std::string& bytes, const std::string& path) {
  const NpyHeader header = header_of(bytes, path);
  const std::string type = entry(header, "descr", "['\"]([^'\"]*)['\"]", path);
  if (type != "<f8") {
    throw ConfigError(path, "has numbers of the type " + type, kExpected);
  }
  const bool fortran = entry(header, "fortran_order", "(True|False)", path) == "True";
  const std::size_t cadences = cadences_of(header, path);
  const std::size_t present = bytes.size() - header.data_at;
  const std::size_t needed = cadences * kRows * sizeof(double);
  if (present != needed) {
    throw ConfigError(path, "has " + std::to_string(present) + " bytes of numbers",
                      std::to_string(needed) + " for the shape that its header tells");
  }
  std::array<std::vector<double>, kRows> rows;
  for (std::size_t row = 0; row < kRows; ++row) {
    rows[row].resize(cadences);
    for (std::size_t i = 0; i < cadences; ++i) {
      const std::size_t at = fortran ? i * kRows + row : row * cadences + i;
      std::memcpy(&rows[row][i], bytes.data() + header.data_at + at * sizeof(double),
                  sizeof(double));
    }
  }
  return rows;
}

}  // namespace

bool is_npy(const std::string& path) {
  return same_ignoring_case(std::filesystem::path(path).extension().string(), ".npy");
}

PlainLightCurve read_npy_light_curve(const std::string& path) {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  const std::optional<SectorName> name = sector_of_name(path);
  if (!name) {
    throw ConfigError(path, "does not tell star and sector", "a file name TIC_SECTOR.npy");
  }
  PlainLightCurve out;
  out.header = {path,     name->tic, name->sector, 0,        0,
                kUnknown, kUnknown,  kUnknown,     kUnknown, kUnknown};
  auto [time, flux, error] = rows_of(io::read_text(path), path);
  require_two_minutes(time, path);
  std::vector<double> quality(time.size(), 0.0);
  out.table.add_column({"TIME", Type::float64, "", ""}, std::move(time));
  out.table.add_column({"PDCSAP_FLUX", Type::float64, "", ""}, std::move(flux));
  out.table.add_column({"PDCSAP_FLUX_ERR", Type::float64, "", ""}, std::move(error));
  out.table.add_column({"QUALITY", Type::float64, "", ""}, std::move(quality));
  return out;
}

}  // namespace skyloom::surveys
