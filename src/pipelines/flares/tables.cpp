#include "pipelines/flares/tables.hpp"

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

#include "pipelines/flares/stored.hpp"

namespace skyloom::flares {
namespace {

bool is_number(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

/// The part of a key between two slashes, "" where it is no number.
std::string number_of(const std::string& key, std::size_t place) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < place; ++i) {
    const std::size_t slash = key.find('/', begin);
    if (slash == std::string::npos) {
      return {};
    }
    begin = slash + 1;
  }
  const std::string part = key.substr(begin, key.find('/', begin) - begin);
  return is_number(part) ? part : std::string();
}

}  // namespace

Table sectors_with_places(const engine::Products& products) {
  Table out = products.table("detect", "sectors");
  std::vector<std::int64_t> first;
  for (const StoredSector& sector : stored_sectors(products)) {
    first.push_back(static_cast<std::int64_t>(sector.first_cadence));
  }
  out.add_column({"first_cadence", Type::int64, "", "row of /lc where the sector begins"},
                 std::move(first));
  return out;
}

Table all_flares(const engine::Products& products) {
  const Table& above_median = products.table("detect", "flares");
  const Table& above_model = products.table("gp", "flares");
  const Table& models = products.table("gp", "models");
  std::set<std::pair<std::int64_t, std::int32_t>> modelled;
  for (std::size_t i = 0; i < models.rows(); ++i) {
    modelled.emplace(models.get<std::int64_t>("tic")[i], models.get<std::int32_t>("sector")[i]);
  }
  Table out(above_model.schema());
  std::vector<std::string> level;
  std::size_t next = 0;
  for (const StoredSector& sector : stored_sectors(products)) {
    const bool has_model = modelled.contains({sector.tic, sector.sector});
    const std::size_t first = has_model ? next : sector.first_flare;
    out.append(has_model ? above_model : above_median, first, first + sector.flares);
    level.insert(level.end(), sector.flares, has_model ? "gp" : "median");
    next += has_model ? sector.flares : 0;
  }
  out.add_column({"quiet_level", Type::text, "",
                  "what amplitude and duration are measured above: gp, or median where it failed"},
                 std::move(level));
  return out;
}

Table failed_units(const std::vector<std::string>& stages, const engine::Products& products) {
  Table out({"failed",
             {{"tic", Type::text, "", "TESS Input Catalog number"},
              {"sector", Type::text, "", "TESS sector"},
              {"phase", Type::text, "", "stage"},
              {"code", Type::text, "", "why"},
              {"message", Type::text, "", "what was wrong, in words"}}});
  for (const std::string& stage : stages) {
    const Table& units = products.table(stage, "units");
    for (std::size_t i = 0; i < units.rows(); ++i) {
      if (units.get<std::string>("outcome")[i] == "ok") {
        continue;
      }
      // "TIC/SECTOR...", or "star/TIC".
      const std::string& key = units.get<std::string>("key")[i];
      const bool of_star = key.starts_with("star/");
      const std::size_t row = out.add_row();
      out.set(row, "tic", number_of(key, of_star ? 1 : 0));
      out.set(row, "sector", of_star ? std::string() : number_of(key, 1));
      out.set(row, "phase", stage);
      out.set(row, "code", units.get<std::string>("reason")[i]);
      out.set(row, "message", units.get<std::string>("message")[i]);
    }
  }
  return out;
}

}  // namespace skyloom::flares
