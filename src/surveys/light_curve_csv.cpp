#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <utility>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/numerics/robust.hpp"

#include "light_curve_formats.hpp"

namespace skyloom::surveys {
namespace {

constexpr double kCadence_d = 120.0 / 86400.0;

/// Takes the comment lines off the beginning: their "NAME = value" (or "NAME: value") pairs, names
/// in capitals.
std::map<std::string, std::string> take_cards(std::string& text) {
  std::map<std::string, std::string> cards;
  std::size_t begin = 0;
  while (begin < text.size() && text[begin] == '#') {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin + 1, end - begin - 1);
    const std::size_t split = line.find_first_of("=:");
    if (split != std::string::npos) {
      cards[upper(trimmed(line.substr(0, split)))] = trimmed(line.substr(split + 1));
    }
    begin = std::min(end + 1, text.size());
  }
  text.erase(0, begin);
  return cards;
}

}  // namespace

void require_two_minutes(const std::vector<double>& time, const std::string& path) {
  std::vector<double> steps;
  for (std::size_t i = 1; i < time.size(); ++i) {
    const double step = time[i] - time[i - 1];
    if (std::isfinite(step)) {
      steps.push_back(step);
    }
  }
  if (steps.empty()) {
    return;  // too short to be searched, which its unit says
  }
  const double step = numerics::median(steps);
  if (std::abs(step - kCadence_d) > 0.05 * kCadence_d) {
    throw ConfigError(path, "has cadences of " + std::to_string(step * 86400.0) + " s",
                      "120 s, which the networks were trained on");
  }
}

bool is_csv(const std::string& path) {
  return same_ignoring_case(std::filesystem::path(path).extension().string(), ".csv");
}

PlainLightCurve read_csv_light_curve(const std::string& path) {
  std::string text = io::read_text(path);
  const std::map<std::string, std::string> cards = take_cards(text);
  const auto number = [&](const char* name) {
    const auto found = cards.find(name);
    return found == cards.end() ? std::numeric_limits<double>::quiet_NaN()
                                : to_number(found->second);
  };
  const std::optional<SectorName> name = sector_of_name(path);
  const auto needed = [&](const char* card, std::int64_t named) {
    const double value = cards.contains(card) ? number(card) : static_cast<double>(named);
    if (!(value > 0.0) || value != std::floor(value)) {
      throw ConfigError(path, std::string("has no line # ") + card + " = ...",
                        "a positive integer there, or a file name TIC_SECTOR.csv");
    }
    return value;
  };
  const auto small = [&](const char* card) {
    const double value = number(card);
    return value >= 1.0 && value <= 4.0 ? static_cast<int>(value) : 0;
  };
  PlainLightCurve out;
  out.header = {path,
                static_cast<std::int64_t>(needed("TICID", name ? name->tic : 0)),
                static_cast<int>(needed("SECTOR", name ? name->sector : 0)),
                small("CAMERA"),
                small("CCD"),
                number("RA_OBJ"),
                number("DEC_OBJ"),
                number("TESSMAG"),
                number("TEFF"),
                number("RADIUS")};
  const Table read = io::parse_csv(std::move(text), path);
  constexpr std::array kColumns{std::pair{"time_btjd", "TIME"}, std::pair{"flux", "PDCSAP_FLUX"},
                                std::pair{"flux_err", "PDCSAP_FLUX_ERR"},
                                std::pair{"quality", "QUALITY"},
                                std::pair{"cadenceno", "CADENCENO"}};
  for (const auto& [from, to] : kColumns) {
    const std::size_t at = read.find_ignoring_case(from);
    if (at != Table::npos) {
      out.table.add_column({to, Type::float64, "", ""}, read.numbers(read.columns()[at].name));
    } else if (std::string_view(from) != "cadenceno") {
      throw ConfigError(path, std::string("has no column ") + from,
                        "time_btjd, flux, flux_err, quality");
    }
  }
  require_two_minutes(out.table.get<double>("TIME"), path);
  return out;
}

}  // namespace skyloom::surveys
