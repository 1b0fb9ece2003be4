#include "skyloom/surveys/gaia.hpp"

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

void require_zero_point_columns(const Table& gaia, const std::string& path) {
  for (const char* name : {"ra", "dec", "source_id", "phot_g_mean_mag"}) {
    if (!gaia.has(name)) {
      throw ConfigError(path, std::string("GaiaXP CSV missing required column: ") + name);
    }
  }
}

}  // namespace skyloom::surveys
