#include "pipelines/flares/star_files.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "pipelines/flares/rates/stage.hpp"

namespace skyloom::flares {
namespace {

constexpr const char* kFormat = "skyloom-flares-star-1";
constexpr double kNoCorrection = -99.0;

/// Rows [first, last) of a table.
using RowRange = std::pair<std::size_t, std::size_t>;

/// Where the rows of a star stand in the tables of `rates`.
struct StarRows {
  RowRange sectors;  ///< of /sector_rates
  std::size_t star;  ///< of /star_rates
  RowRange points;   ///< of /ffd
};

struct Sources {
  Sources(const Config& config, const engine::Products& own) : products(own), runs(config, own) {}

  const engine::Products& products;
  RatedRuns runs;
  std::map<std::int64_t, StarRows> rows;  ///< of the stars whose units did not fail
};

std::map<std::int64_t, StarRows> rows_of_stars(const engine::Products& products) {
  const Table& stars = products.table("rates", "star_rates");
  const auto& tic = stars.get<std::int64_t>("tic");
  const auto& sectors = stars.get<std::int32_t>("n_sectors");
  const auto points = products.range<std::int32_t>("rates", "parts/ffd_rows", 0, stars.rows());
  std::map<std::int64_t, StarRows> out;
  std::size_t sector = 0;
  std::size_t point = 0;
  for (std::size_t row = 0; row < tic.size(); ++row) {
    const std::size_t next_sector = sector + static_cast<std::size_t>(sectors[row]);
    const std::size_t next_point = point + static_cast<std::size_t>(points[row]);
    out[tic[row]] = {{sector, next_sector}, row, {point, next_point}};
    sector = next_sector;
    point = next_point;
  }
  return out;
}

Table part(const Sources& in, const char* table, const RowRange& rows) {
  return in.products.rows("rates", table, rows.first, rows.second);
}

/// @param offset first flare of every sector
Table flares_of(const Sources& in, RowRange star, std::vector<std::int64_t>& offset) {
  Table out;
  for (std::size_t i = star.first; i < star.second; ++i) {
    const RatedSector& sector = in.runs.sectors()[i];
    const Table flares = in.runs.products(sector).rows("gp", "flares", sector.first_flare,
                                                       sector.first_flare + sector.flares);
    if (i == star.first) {
      out = Table(flares.schema());
    }
    offset.push_back(static_cast<std::int64_t>(out.rows()));
    out.append(flares);
  }
  return out;
}

Table frequencies(const Table& points) {
  Table out(TableSchema{"FFD", {}});
  const auto add = [&](const char* name, const char* description, std::vector<double> values) {
    out.add_column({name, Type::float64, "", description}, std::move(values));
  };
  const auto& ed = points.get<double>("log10_ed");
  const auto& corrected = points.get<double>("log10_corrected");
  const auto where_corrected = [&](const std::vector<double>& values) {
    std::vector<double> kept = values;
    for (std::size_t i = 0; i < kept.size(); ++i) {
      kept[i] = std::isfinite(corrected[i]) ? kept[i] : kNoCorrection;
    }
    return kept;
  };
  add("eds", "log10 of the equivalent duration in s, largest first", ed);
  add("raw_rate", "log10 of the flares at least as large per day",
      points.get<double>("log10_rate"));
  add("raw_rate_err", "its Poisson error", points.get<double>("log10_rate_err"));
  add("corrected_rate", "the rate over the completeness; -99 = not corrected",
      where_corrected(corrected));
  add("corrected_ed", "eds where corrected; -99 = not corrected", where_corrected(ed));
  add("rate_err_above_limit", "raw_rate_err where corrected; -99 = not corrected",
      where_corrected(points.get<double>("log10_rate_err")));
  return out;
}

Table metrics(const Table& sectors, const std::string& curve, std::vector<std::int64_t> offset) {
  Table out(TableSchema{"metrics", {}});
  const auto copy = [&](const char* as, const char* was) {
    const std::size_t at = sectors.position(was);
    Column column = sectors.columns()[at];
    column.name = as;
    out.add_column(std::move(column), sectors.data(at));
  };
  copy("sector", "sector");
  out.add_column({"sector_offset", Type::int64, "", "first of its flares in /flares"},
                 std::move(offset));
  copy("ed50_log10", "log10_ed50");
  std::vector<double> parameters;
  for (std::size_t i = 0; i < sectors.rows(); ++i) {
    parameters.push_back(sectors.get<double>(curve + "_kappa")[i]);
    parameters.push_back(sectors.get<double>(curve + "_x0")[i]);
  }
  out.add_column({"completeness_params",
                  Type::float64,
                  "",
                  "steepness and middle of the completeness curve (rates.completeness)",
                  {2}},
                 std::move(parameters));
  for (const char* name : {"beta", "beta_err", "flare_luminosity_fraction"}) {
    copy(name, name);
  }
  return out;
}

Table injections_of(const Sources& in, const RatedSector& sector) {
  const engine::Products& products = in.runs.products(sector);
  std::vector<double> recovered;
  std::vector<double> durations;
  std::vector<double> amplitudes;
  for (const RatedSector::Block& block : sector.blocks) {
    const auto add = [&](const char* name, std::vector<double>& to) {
      const std::vector<double> values =
          products.range<double>("inject", name, block.row, block.flares);
      to.insert(to.end(), values.begin(), values.end());
    };
    add("recoveries/completeness", recovered);
    add("injections/equivalent_duration", durations);
    add("injections/amp", amplitudes);
  }
  Table out(TableSchema{"injection_recovery/sector_" + std::to_string(sector.stored.sector), {}});
  out.add_column({"recovered", Type::float64, "", "recovered part of the repeats"},
                 std::move(recovered));
  out.add_column({"injected_eds", Type::float64, "s", "equivalent duration"}, std::move(durations));
  out.add_column({"injected_amps", Type::float64, "", "amplitude relative to the median flux"},
                 std::move(amplitudes));
  return out;
}

engine::FileContent content(const Sources& in, const Config& config, std::size_t star) {
  const auto [first, last] = in.runs.stars()[star];
  const std::int64_t tic = in.runs.sectors()[first].stored.tic;
  std::vector<std::int64_t> offset;
  engine::FileContent out;
  out.tables.push_back(flares_of(in, {first, last}, offset));
  const auto found = in.rows.find(tic);
  out.tables.push_back(
      frequencies(part(in, "ffd", found == in.rows.end() ? RowRange{0, 0} : found->second.points)));
  out.attributes.push_back({"/", "format", std::string(kFormat)});
  out.attributes.push_back({"/", "tic", tic});
  // A star whose unit failed has its flares and injections, and no rates.
  if (found != in.rows.end()) {
    const Table& stars = in.products.table("rates", "star_rates");
    out.tables.push_back(metrics(part(in, "sector_rates", found->second.sectors),
                                 config.rates.completeness, std::move(offset)));
    for (const char* name : {"slope", "intercept"}) {
      out.attributes.push_back(
          {"FFD", std::string("full_sample_") + name, stars.get<double>(name)[found->second.star]});
    }
  }
  for (std::size_t i = first; i < last; ++i) {
    out.tables.push_back(injections_of(in, in.runs.sectors()[i]));
  }
  return out;
}

}  // namespace

engine::FileSet star_files(const Config& config, const engine::Products& products) {
  auto in = std::make_shared<Sources>(config, products);
  in->rows = rows_of_stars(products);
  engine::FileSet out;
  out.folder = kStarFolder;
  for (const auto& [first, last] : in->runs.stars()) {
    out.names.push_back(std::to_string(in->runs.sectors()[first].stored.tic) + "_final.h5");
  }
  out.make = [in, &config](std::size_t i) { return content(*in, config, i); };
  return out;
}

}  // namespace skyloom::flares
