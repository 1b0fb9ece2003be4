#include "skyloom/surveys/registration.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <set>
#include <string_view>
#include <variant>

#include <fmt/format.h>

#include "skyloom/core/config.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"

namespace skyloom::surveys {
namespace {

/// HDU of the maps.
constexpr int kMapHdu = 1;

/// The file of offsets.
class JobFile {
 public:
  explicit JobFile(const std::string& file)
      : file_(file), content_(io::parse_json(io::read_text(file), file)) {
    if (!std::holds_alternative<ConfigValue::TableMap>(content_.value)) {
      throw ConfigError(file_, "is no object", R"(expected {"groups": [...], ...})");
    }
  }

  [[nodiscard]] std::optional<int> integer(const char* key) const {
    const ConfigValue* value = find(content_, key);
    if (value == nullptr) {
      return std::nullopt;
    }
    const auto* number = std::get_if<std::int64_t>(&value->value);
    constexpr std::int64_t kMost = 1000000;
    if (number == nullptr || std::abs(*number) > kMost) {
      throw ConfigError(file_, std::string(key) + " is no such number", "expected an integer");
    }
    return static_cast<int>(*number);
  }

  [[nodiscard]] std::vector<DetectorOffset> offsets() const {
    const ConfigValue* groups = find(content_, "groups");
    const auto* array =
        groups == nullptr ? nullptr : std::get_if<ConfigValue::Array>(&groups->value);
    if (array == nullptr || array->empty()) {
      throw ConfigError(file_, "has no groups",
                        R"(expected "groups": [{"group_dx": 0.0, "group_dy": 0.0}, ...])");
    }
    std::vector<DetectorOffset> out;
    std::set<std::string> names;
    for (std::size_t i = 0; i < array->size(); ++i) {
      const DetectorOffset offset{number((*array)[i], "group_dx", i),
                                  number((*array)[i], "group_dy", i)};
      if (!names.insert(fmt::format("{:.3f} {:.3f}", offset.dx, offset.dy)).second) {
        throw ConfigError(file_, fmt::format("groups[{}] is there twice", i),
                          "expected offsets that differ in their first three decimals");
      }
      out.push_back(offset);
    }
    return out;
  }

 private:
  static const ConfigValue* find(const ConfigValue& value, const std::string& key) {
    const auto* table = std::get_if<ConfigValue::TableMap>(&value.value);
    if (table == nullptr) {
      return nullptr;
    }
    const auto found = table->find(key);
    return found == table->end() ? nullptr : &found->second;
  }

  [[nodiscard]] double number(const ConfigValue& group, const char* key, std::size_t i) const {
    const ConfigValue* value = find(group, key);
    const auto* real = value == nullptr ? nullptr : std::get_if<double>(&value->value);
    const auto* integer = value == nullptr ? nullptr : std::get_if<std::int64_t>(&value->value);
    constexpr double kMost = 1000.0;
    const double out = real != nullptr      ? *real
                       : integer != nullptr ? static_cast<double>(*integer)
                                            : 2.0 * kMost;
    if (!(std::abs(out) <= kMost)) {
      throw ConfigError(file_, fmt::format("groups[{}].{} is missing or no such number", i, key),
                        "expected detector pixels, at most 1000");
    }
    return out;
  }

  std::string file_;
  ConfigValue content_;
};

double number_of(const io::FitsCard& card) {
  const auto* integer = std::get_if<std::int64_t>(&card.second);
  const auto* real = std::get_if<double>(&card.second);
  return integer != nullptr ? static_cast<double>(*integer) : real != nullptr ? *real : NAN;
}

/// Exponents p + q of a SIP coefficient such as A_2_1 or BP_0_3; 0 for other keywords.
int sip_degree(const std::string& keyword) {
  const std::size_t bar = keyword.find('_');
  const bool is_sip = keyword.starts_with("A_") || keyword.starts_with("B_") ||
                      keyword.starts_with("AP_") || keyword.starts_with("BP_");
  if (!is_sip || keyword.size() != bar + 4 || keyword[bar + 2] != '_') {
    return 0;
  }
  return keyword[bar + 1] - '0' + keyword[bar + 3] - '0';
}

bool is_kept(const std::string& keyword) {
  constexpr std::string_view kKept[] = {"TELESCOP", "INSTRUME", "RADESYS", "EQUINOX",
                                        "WCSAXES",  "CTYPE1",   "CTYPE2",  "CUNIT1",
                                        "CUNIT2",   "LONPOLE",  "LATPOLE"};
  return std::find(std::begin(kKept), std::end(kKept), keyword) != std::end(kKept) ||
         keyword.starts_with("CRVAL") || keyword.starts_with("CRPIX") ||
         keyword.starts_with("CDELT") || keyword.starts_with("CD1_") ||
         keyword.starts_with("CD2_") || keyword.starts_with("PC1_") ||
         keyword.starts_with("PC2_") || keyword.starts_with("A_") || keyword.starts_with("B_") ||
         keyword.starts_with("AP_") || keyword.starts_with("BP_");
}

io::FitsCard rescaled(const io::FitsCard& card, const Box& region, int oversample) {
  const std::string& keyword = card.first;
  const auto f = static_cast<double>(oversample);
  if (keyword == "CRPIX1" || keyword == "CRPIX2") {
    const int first = keyword == "CRPIX1" ? region.x0 : region.y0;
    return {keyword, f * (number_of(card) - first - 0.5) + 0.5};
  }
  if (keyword.starts_with("CD")) {  // CDELTi too; PCi_j has no unit
    return {keyword, number_of(card) / f};
  }
  if (const int degree = sip_degree(keyword); degree > 0) {
    return {keyword, number_of(card) * std::pow(f, 1 - degree)};
  }
  return card;
}

}  // namespace

OffsetList read_offset_list(const std::filesystem::path& path) {
  const JobFile job(path.string());
  OffsetList out;
  out.file = path.string();
  out.sector = job.integer("sector");
  out.camera = job.integer("camera");
  out.ccd = job.integer("ccd");
  const char* names[4] = {"x_min", "x_max", "y_min", "y_max"};
  for (std::size_t i = 0; i < 4; ++i) {
    out.limits[i] = job.integer(names[i]);
  }
  out.offsets = job.offsets();
  return out;
}

Box OffsetList::region(const Box& detector) const {
  const Box out{limits[0].value_or(detector.x0), limits[1].value_or(detector.x1),
                limits[2].value_or(detector.y0), limits[3].value_or(detector.y1)};
  if (out.empty() || out.intersect(detector) != out) {
    throw ConfigError(
        file,
        fmt::format("its region x {} to {}, y {} to {} is empty or leaves the detector", out.x0,
                    out.x1, out.y0, out.y1),
        fmt::format("expected pixels of 0 to {} and 0 to {}", detector.x1, detector.y1));
  }
  return out;
}

RegistrationMap::RegistrationMap(const std::filesystem::path& path) : rows_(path, kMapHdu) {}

std::vector<io::FitsCard> region_cards(const std::string& cards, const Box& region,
                                       int oversample) {
  std::vector<io::FitsCard> out;
  for (const io::FitsCard& card : io::parse_fits_cards(cards)) {
    if (is_kept(card.first)) {
      out.push_back(rescaled(card, region, oversample));
    }
  }
  return out;
}

}  // namespace skyloom::surveys
