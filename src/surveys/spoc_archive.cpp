#include "skyloom/surveys/spoc_archive.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "skyloom/core/errors.hpp"

namespace skyloom::surveys {
namespace {

constexpr const char* kMastFiles =
    "https://mast.stsci.edu/api/v0.1/Download/file?uri=mast:TESS/product/{file}";
constexpr const char* kMastLists =
    "https://archive.stsci.edu/missions/tess/download_scripts/sector/{file}";
// A digit stands for any digit.
constexpr std::string_view kPattern = "tess0000000000000-s0000-0000000000000000-0000-s_lc.fits";
constexpr std::size_t kSectorAt = 19;
constexpr std::size_t kTicAt = 24;

bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

bool fits(std::string_view name) {
  return name.size() == kPattern.size() &&
         std::equal(name.begin(), name.end(), kPattern.begin(),
                    [](char c, char p) { return p == '0' ? is_digit(c) : c == p; });
}

std::string replaced(std::string text, std::string_view what, const std::string& with) {
  const std::size_t at = text.find(what);
  return at == std::string::npos ? text : text.replace(at, what.size(), with);
}

std::string four_digits(int sector) {
  const std::string digits = std::to_string(sector);
  return std::string(digits.size() < 4 ? 4 - digits.size() : 0, '0') + digits;
}

}  // namespace

std::optional<SpocName> spoc_name(std::string_view name) {
  if (!fits(name)) {
    return std::nullopt;
  }
  return SpocName{std::string(name), std::stoll(std::string(name.substr(kTicAt, 16))),
                  std::stoi(std::string(name.substr(kSectorAt, 4)))};
}

std::vector<SpocName> spoc_names(std::string_view text) {
  std::vector<SpocName> out;
  std::set<std::string_view> seen;
  for (std::size_t at = text.find("tess"); at != std::string_view::npos;
       at = text.find("tess", at + 1)) {
    const std::string_view candidate = text.substr(at, kPattern.size());
    if (auto name = spoc_name(candidate); name && seen.insert(candidate).second) {
      out.push_back(std::move(*name));
    }
  }
  return out;
}

SpocArchive::SpocArchive(const std::string& base_url) : file_(base_url), list_(base_url) {
  if (base_url.empty()) {
    file_ = kMastFiles;
    list_ = kMastLists;
    return;
  }
  constexpr std::array kSchemes{"http://", "https://", "file://"};
  if (base_url.find_first_of(" '\"\\") != std::string::npos ||
      std::none_of(kSchemes.begin(), kSchemes.end(),
                   [&](const char* scheme) { return base_url.starts_with(scheme); })) {
    throw ConfigError("inputs.base_url", "\"" + base_url + "\" is no address",
                      "http://, https:// or file:// and no blanks or quotes");
  }
  if (base_url.find("{file}") == std::string::npos) {
    file_ += base_url.ends_with('/') ? "{file}" : "/{file}";
    list_ = file_;
  }
}

std::string SpocArchive::file_url(const SpocName& file) const {
  return replaced(replaced(file_, "{sector}", four_digits(file.sector)), "{file}", file.name);
}

std::string SpocArchive::list_url(int sector) const {
  return replaced(replaced(list_, "{sector}", four_digits(sector)), "{file}",
                  spoc_list_name(sector));
}

std::string spoc_list_name(int sector) {
  return "tesscurl_sector_" + std::to_string(sector) + "_lc.sh";
}

}  // namespace skyloom::surveys
