// Where the files of skycells are, and the names of mask bits.

#include <cmath>
#include <limits>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/zarr.hpp"
#include "skyloom/surveys/skycell_image.hpp"

namespace skyloom::surveys {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefixes[] = {"rings.v3.", ""};

std::vector<fs::path> fits_candidates(const fs::path& root, const SkycellId& id,
                                      const std::string& band, SkycellPlane plane) {
  const std::string kind = plane == SkycellPlane::mask       ? ".mask"
                           : plane == SkycellPlane::variance ? ".wt"
                                                             : "";
  const std::string number = id.projection_text();
  const fs::path folders[] = {root / number / id.cell_text(),
                              root / "rings.v3.skycell" / number / id.cell_text(), root / number,
                              root};
  std::vector<fs::path> out;
  for (const fs::path& folder : folders) {
    for (const char* prefix : kPrefixes) {
      for (const char* ending : {".fits", ".fits.fz", ".fits.gz"}) {
        out.push_back(folder / (prefix + id.name() + ".stk." + band + ".unconv" + kind + ending));
      }
    }
  }
  return out;
}

std::vector<fs::path> zarr_candidates(const fs::path& root, const SkycellId& id,
                                      const std::string& band, SkycellPlane plane) {
  const std::string array = band + (plane == SkycellPlane::mask       ? "_mask"
                                    : plane == SkycellPlane::variance ? "_wt"
                                                                      : "");
  std::vector<fs::path> out;
  for (const std::string& number : {id.projection_text(), std::to_string(id.projection)}) {
    // The group has the short name unless its writer kept the long one.
    out.push_back(root / number / id.name() / array);
    out.push_back(root / number / (kPrefixes[0] + id.name()) / array);
  }
  return out;
}

std::vector<fs::path> candidates(const fs::path& root, SkycellFormat format, const SkycellId& id,
                                 const std::string& band, SkycellPlane plane) {
  return format == SkycellFormat::fits ? fits_candidates(root, id, band, plane)
                                       : zarr_candidates(root, id, band, plane);
}

}  // namespace

std::optional<fs::path> find_skycell_plane(const fs::path& root, SkycellFormat format,
                                           const SkycellId& id, const std::string& band,
                                           SkycellPlane plane) {
  for (const fs::path& path : candidates(root, format, id, band, plane)) {
    if (format == SkycellFormat::fits ? fs::is_regular_file(path) : io::is_zarr_array(path)) {
      return path;
    }
  }
  return std::nullopt;
}

fs::path expected_skycell_plane(const fs::path& root, SkycellFormat format, const SkycellId& id,
                                const std::string& band, SkycellPlane plane) {
  return candidates(root, format, id, band, plane).front();
}

std::vector<std::pair<std::string, std::uint16_t>> skycell_mask_bits(const SkycellReader& mask) {
  std::vector<std::pair<std::string, std::uint16_t>> out{
      {"DETECTOR", 0x0001},  {"FLAT", 0x0002},      {"DARK", 0x0004},     {"BLANK", 0x0008},
      {"CTE", 0x0010},       {"SAT", 0x0020},       {"LOW", 0x0040},      {"SUSPECT", 0x0080},
      {"BURNTOOL", 0x0080},  {"CR", 0x0100},        {"SPIKE", 0x0200},    {"GHOST", 0x0400},
      {"STREAK", 0x0800},    {"STARCORE", 0x1000},  {"CONV.BAD", 0x2000}, {"CONV.POOR", 0x4000},
      {"MASK.VALUE", 8575U}, {"MARK.VALUE", 0x8000}};
  const auto count = mask.text("MSKNUM");
  if (!count) {
    return out;
  }
  const auto number = [&](const std::string& keyword, const std::string& text, int most) {
    const double value = to_number(text);
    if (!(value >= 0.0) || value > most || value != std::floor(value)) {
      throw ConfigError(mask.header().file, keyword + " is \"" + text + "\"",
                        "an integer from 0 to " + std::to_string(most));
    }
    return static_cast<int>(value);
  };
  constexpr int kMostBits = 99;
  const int bits = number("MSKNUM", *count, kMostBits);
  out.clear();
  for (int i = 0; i < bits; ++i) {
    const std::string index = (i < 10 ? "0" : "") + std::to_string(i);
    const std::string name = mask.text("MSKNAM" + index).value_or("");
    const std::string value = mask.text("MSKVAL" + index).value_or("");
    constexpr int kMost = std::numeric_limits<std::uint16_t>::max();
    out.emplace_back(name, static_cast<std::uint16_t>(number("MSKVAL" + index, value, kMost)));
  }
  return out;
}

}  // namespace skyloom::surveys
