#include "skyloom/surveys/gaia.hpp"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"

#include "table_lookup.hpp"

namespace skyloom::surveys {

Table read_gaia(const std::string& path, const std::vector<std::string>& bands) {
  const Table file = read_any_table(path, {"source_id"});
  Table out(TableSchema{"gaia", {}});
  out.add_rows(file.rows());
  const std::size_t id = find_column(file, "source_id");
  if (id != Table::npos) {
    out.add_column({"source_id", Type::text, "", "Gaia source identifier"},
                   file.texts(file.columns()[id].name));
  }
  std::vector<Column> wanted{{"ra", Type::float64, "deg", "right ascension"},
                             {"dec", Type::float64, "deg", "declination"},
                             {"phot_g_mean_mag", Type::float64, "mag", "Gaia G magnitude"}};
  for (const std::string& band : bands) {
    wanted.push_back({"mag_" + band, Type::float64, "mag", "synthetic AB magnitude in " + band});
  }
  for (const Column& column : wanted) {
    const std::size_t at = find_column(file, column.name);
    if (at != Table::npos) {
      out.add_column(column, file.numbers(file.columns()[at].name));
    } else if (column.name == "ra" || column.name == "dec") {
      throw ConfigError(path, "GaiaXP CSV missing required column: " + column.name);
    }
  }
  return out;
}

std::vector<GaiaStar> read_gaia_stars(const std::string& path) {
  const Table file = read_any_table(path, {"source_id"});
  const auto numbers = [&](const char* name) {
    const std::size_t at = find_column(file, name);
    if (at == Table::npos) {
      throw ConfigError(path, fmt::format("no column {}", name),
                        "expected ra, dec, phot_g_mean_mag, phot_bp_mean_mag, phot_rp_mean_mag");
    }
    return file.numbers(file.columns()[at].name);
  };
  const std::vector<double> ra = numbers("ra");
  const std::vector<double> dec = numbers("dec");
  const std::vector<double> g = numbers("phot_g_mean_mag");
  const std::vector<double> bp = numbers("phot_bp_mean_mag");
  const std::vector<double> rp = numbers("phot_rp_mean_mag");
  std::vector<std::string> ids(ra.size());
  if (const std::size_t at = find_column(file, "source_id"); at != Table::npos) {
    ids = file.texts(file.columns()[at].name);
  }
  std::vector<GaiaStar> stars;
  for (std::size_t i = 0; i < ra.size(); ++i) {
    if (!std::isfinite(ra[i]) || !std::isfinite(dec[i])) {
      continue;
    }
    GaiaStar star{0, ra[i], dec[i], g[i], bp[i], rp[i]};
    const char* end = ids[i].data() + ids[i].size();
    if (!ids[i].empty() && std::from_chars(ids[i].data(), end, star.source_id).ptr != end) {
      throw ConfigError(fmt::format("{}: row {}", path, i + 1),
                        "source_id \"" + ids[i] + "\" is no integer", "expected an integer");
    }
    stars.push_back(star);
  }
  return stars;
}

void require_zero_point_columns(const Table& gaia, const std::string& path) {
  for (const char* name : {"ra", "dec", "source_id", "phot_g_mean_mag"}) {
    if (!gaia.has(name)) {
      throw ConfigError(path, std::string("GaiaXP CSV missing required column: ") + name);
    }
  }
}

}  // namespace skyloom::surveys
