#include "skyloom/surveys/light_curve.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string_view>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/fits.hpp"

#include "light_curve_formats.hpp"

namespace skyloom::surveys {
namespace {

constexpr double kCadence_d = 120.0 / 86400.0;

io::FitsFile open_table(const std::string& path) {
  return io::FitsFile(path, io::fits_hdu_named(path, "LIGHTCURVE"));
}

/// The star is described in the primary HDU; the table may repeat it with other digits.
LightCurveHeader header_of(const io::FitsFile& table) {
  const std::string& path = table.path();
  const io::FitsFile primary(path, 0);
  const auto number = [&](const char* keyword) {
    const auto first = primary.number(keyword);
    return (first ? first : table.number(keyword))
        .value_or(std::numeric_limits<double>::quiet_NaN());
  };
  const auto needed = [&](const char* keyword) {
    const double value = number(keyword);
    if (!(value > 0.0) || value != std::floor(value)) {
      throw ConfigError(path, std::string("has no card ") + keyword, "a positive integer");
    }
    return value;
  };
  const auto small = [&](const char* keyword) {
    const double value = number(keyword);
    return value >= 1.0 && value <= 4.0 ? static_cast<int>(value) : 0;
  };
  const double step = number("TIMEDEL");
  if (std::abs(step - kCadence_d) > 0.05 * kCadence_d) {
    throw ConfigError(path, "has cadences of " + std::to_string(step * 86400.0) + " s (TIMEDEL)",
                      "120 s, which the networks were trained on");
  }
  return {path,
          static_cast<std::int64_t>(needed("TICID")),
          static_cast<int>(needed("SECTOR")),
          small("CAMERA"),
          small("CCD"),
          number("RA_OBJ"),
          number("DEC_OBJ"),
          number("TESSMAG"),
          number("TEFF"),
          number("RADIUS")};
}

std::vector<double> column(const Table& table, const std::string& path, const std::string& name) {
  const std::size_t at = table.find_ignoring_case(name);
  if (at == Table::npos || !table.columns()[at].shape.empty() ||
      table.columns()[at].type == Type::text) {
    throw ConfigError(path, "has no column " + name, "one number per cadence");
  }
  return table.numbers(table.columns()[at].name);
}

/// Number of `digits` digits at the beginning of a text, 0 when there are others.
std::int64_t leading_number(std::string_view text, std::size_t digits) {
  if (text.size() < digits || !std::all_of(text.begin(), text.begin() + static_cast<int>(digits),
                                           [](unsigned char c) { return std::isdigit(c) != 0; })) {
    return 0;
  }
  return std::stoll(std::string(text.substr(0, digits)));
}

bool is_plain(const std::string& path) {
  return is_csv(path) || is_npy(path);
}

PlainLightCurve read_plain(const std::string& path) {
  return is_csv(path) ? read_csv_light_curve(path) : read_npy_light_curve(path);
}

/// The kept rows of a table with the columns of a SPOC file.
LightCurve kept_rows(LightCurveHeader header, const Table& table, int quality_bits) {
  LightCurve out;
  const std::string path = header.path;
  out.header = std::move(header);
  const std::vector<double> time = column(table, path, "TIME");
  const std::vector<double> flux = column(table, path, "PDCSAP_FLUX");
  const std::vector<double> error = column(table, path, "PDCSAP_FLUX_ERR");
  const std::vector<double> quality = column(table, path, "QUALITY");
  const bool numbered = table.find_ignoring_case("CADENCENO") != Table::npos;
  const std::vector<double> cadence =
      numbered ? column(table, path, "CADENCENO") : std::vector<double>(table.rows(), -1.0);
  out.file_rows = static_cast<int>(table.rows());
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const bool good = std::isfinite(time[i]) && std::isfinite(flux[i]) &&
                      (static_cast<std::int64_t>(quality[i]) & quality_bits) == 0;
    if (!good) {
      continue;
    }
    if (!out.time.empty() && !(time[i] > out.time.back())) {
      throw ConfigError(path, "TIME does not increase at row " + std::to_string(i),
                        "strictly increasing times of the kept rows");
    }
    out.row.push_back(static_cast<int>(i));
    out.cadence.push_back(static_cast<int>(cadence[i]));
    out.time.push_back(time[i]);
    out.flux.push_back(static_cast<float>(flux[i]));
    out.flux_err.push_back(static_cast<float>(error[i]));
  }
  return out;
}

}  // namespace

std::optional<SectorName> sector_of_name(const std::string& path) {
  constexpr std::size_t kSectorDigits = 4;
  constexpr std::size_t kTicDigits = 16;
  const std::string name = std::filesystem::path(path).filename().string();
  for (std::size_t at = name.find("-s"); at != std::string::npos; at = name.find("-s", at + 1)) {
    const std::string_view rest = std::string_view(name).substr(at + 2);
    const std::int64_t sector = leading_number(rest, kSectorDigits);
    const bool joined = rest.size() > kSectorDigits && rest[kSectorDigits] == '-';
    const std::int64_t tic =
        joined ? leading_number(rest.substr(kSectorDigits + 1), kTicDigits) : 0;
    if (sector > 0 && tic > 0) {
      return SectorName{tic, static_cast<int>(sector)};
    }
  }
  if (is_plain(name)) {
    const std::string stem = name.substr(0, name.size() - 4);
    const std::size_t split = stem.find('_');
    constexpr std::size_t kMostDigits = 16;
    if (split != std::string::npos && split <= kMostDigits && stem.size() - split <= 5) {
      const std::int64_t tic = leading_number(stem, split);
      const std::int64_t sector =
          leading_number(std::string_view(stem).substr(split + 1), stem.size() - split - 1);
      if (tic > 0 && sector > 0) {
        return SectorName{tic, static_cast<int>(sector)};
      }
    }
  }
  return std::nullopt;
}

LightCurveHeader read_light_curve_header(const std::string& path) {
  return is_plain(path) ? read_plain(path).header : header_of(open_table(path));
}

LightCurve read_light_curve(const std::string& path, int quality_bits) {
  if (is_plain(path)) {
    PlainLightCurve read = read_plain(path);
    return kept_rows(std::move(read.header), read.table, quality_bits);
  }
  const io::FitsFile file = open_table(path);
  LightCurveHeader header = header_of(file);
  const Table table =
      io::read_fits_table(path, file.hdu(),
                          {"TIME", "CADENCENO", "PDCSAP_FLUX", "PDCSAP_FLUX_ERR", "QUALITY"});
  require_two_minutes(column(table, path, "TIME"), path);  // TIMEDEL may be missing, or wrong
  return kept_rows(std::move(header), table, quality_bits);
}

}  // namespace skyloom::surveys
