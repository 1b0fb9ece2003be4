#include "pipelines/flares/sector_files.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "pipelines/flares/gp/stage.hpp"
#include "pipelines/flares/stored.hpp"

namespace skyloom::flares {
namespace {

constexpr const char* kFormat = "skyloom-flares-1";
/// What a sector has: light curve and mask, then the Gaussian process, then all injections.
enum State : std::int32_t { searched = 1, modelled = 2, complete = 3 };

using Key = std::pair<std::int64_t, std::int32_t>;

/// Rows [first, last) of a table that belong to one sector.
using RowsOfSector = std::map<Key, std::pair<std::size_t, std::size_t>>;

/// What all files are made from, shared by them.
struct Sources {
  const Config& config;
  const engine::Products& products;
  std::vector<StoredSector> sectors;
  RowsOfSector models;
  RowsOfSector flares;      ///< of `gp`
  RowsOfSector injections;  ///< and recoveries
};

/// Rows of /models, and of the flares of `gp`: those of `detect` in the sectors with a model.
void find_models(Sources& in) {
  std::map<Key, std::size_t> flares;
  for (const StoredSector& sector : in.sectors) {
    flares[{sector.tic, sector.sector}] = sector.flares;
  }
  const Table& models = in.products.table("gp", "models");
  std::size_t first = 0;
  for (std::size_t row = 0; row < models.rows(); ++row) {
    const Key key{models.get<std::int64_t>("tic")[row], models.get<std::int32_t>("sector")[row]};
    const std::size_t last = first + flares.at(key);
    in.models[key] = {row, row + 1};
    in.flares[key] = {first, last};
    first = last;
  }
}

/// Blocks of a sector follow each other.
void find_injections(Sources& in) {
  const Table& blocks = in.products.table("inject", "blocks");
  std::size_t first = 0;
  for (std::size_t row = 0; row < blocks.rows(); ++row) {
    const std::size_t last =
        first + static_cast<std::size_t>(blocks.get<std::int32_t>("flares")[row]);
    const Key key{blocks.get<std::int64_t>("tic")[row], blocks.get<std::int32_t>("sector")[row]};
    in.injections.emplace(key, std::pair{first, last}).first->second.second = last;
    first = last;
  }
}

Table part(const Sources& in, const char* stage, const char* table, const RowsOfSector& where,
           const StoredSector& sector) {
  const auto found = where.find({sector.tic, sector.sector});
  return found == where.end()
             ? in.products.rows(stage, table, 0, 0)
             : in.products.rows(stage, table, found->second.first, found->second.second);
}

/// A table of some columns under other names: pairs of the new and the old name.
Table selected(const Table& from, const char* name,
               const std::vector<std::pair<const char*, const char*>>& columns) {
  Table out(TableSchema{name, {}});
  for (const auto& [as, was] : columns) {
    const std::size_t at = from.position(was);
    Column column = from.columns()[at];
    column.name = as;
    out.add_column(std::move(column), from.data(at));
  }
  return out;
}

Table light_curve(const Sources& in, const StoredSector& sector) {
  const std::size_t first = sector.first_cadence;
  Table out = in.products.rows("detect", "lc", first, first + sector.cadences);
  const auto read = [&](const char* name) {
    return in.products.range<double>("gp", name, first, sector.cadences);
  };
  std::vector<double> variance = read("lc/gp_var");
  std::vector<double> sigma(variance.size());
  std::transform(variance.begin(), variance.end(), sigma.begin(),
                 [](double v) { return std::sqrt(v); });
  out.add_column({"gp_mu", Type::float64, "electron/s", "mean of the Gaussian process"},
                 read("lc/gp_mu"));
  out.add_column({"gp_sigma", Type::float64, "electron/s",
                  "its standard deviation without the noise of the data"},
                 std::move(sigma));
  out.add_column({"gp_var", Type::float64, "electron**2/s**2", "square of gp_sigma"},
                 std::move(variance));
  return out;
}

void add_light_curve_facts(const Sources& in, const StoredSector& sector,
                           std::vector<engine::FileAttribute>& out) {
  const Table& sectors = in.products.table("detect", "sectors");
  const Table& networks = in.products.table("detect", "networks");
  const auto add = [&](const char* name, engine::AttributeValue value) {
    out.push_back({"lc", name, std::move(value)});
  };
  const auto number = [&](const char* name) { return sectors.get<double>(name)[sector.row]; };
  const auto small = [&](const char* name) { return sectors.get<std::int32_t>(name)[sector.row]; };
  add("tic", sector.tic);
  add("sector", static_cast<std::int32_t>(sector.sector));
  add("camera", small("camera"));
  add("ccd", small("ccd"));
  add("teff", number("teff"));
  add("tmag", number("tmag"));
  add("ra", number("ra"));
  add("dec", number("dec"));
  add("source", sectors.get<std::string>("source")[sector.row]);
  add("quality_bitmask", static_cast<std::int32_t>(in.config.inputs.quality_bitmask));
  add("median_flux", sector.median_flux);
  add("threshold", in.config.detection.threshold);
  add("merge", static_cast<std::int32_t>(in.config.detection.merge_cadences));
  add("min_points", static_cast<std::int32_t>(in.config.detection.min_cadences));
  add("models", networks.get<std::string>("file"));
  add("models_sha256", networks.get<std::string>("sha256"));
  add("combine", in.config.network.combine);
  add("edge", in.config.network.edge);
}

/// @param model one row of /models, or none
void add_model_facts(const Sources& in, const Table& model,
                     std::vector<engine::FileAttribute>& out) {
  const auto add = [&](const char* name, engine::AttributeValue value) {
    out.push_back({"lc/gp", name, std::move(value)});
  };
  const std::vector<std::string> names = parameter_columns(in.config);
  add("kernel", in.config.gp.kernel);
  add("names", names);
  if (model.rows() == 0) {
    return;
  }
  std::vector<double> values;
  values.reserve(names.size());
  for (const std::string& name : names) {
    values.push_back(model.get<double>(name).front());
  }
  add("values", values);
  for (const char* name : {"neg_log_like", "period_ls", "power_ls", "constant"}) {
    add(name, model.get<double>(name).front());
  }
  add("iterations", model.get<std::int32_t>("iterations").front());
  add("converged", static_cast<std::int32_t>(model.get<std::uint8_t>("converged").front()));
}

void add_injections(const Sources& in, const StoredSector& sector, engine::FileContent& out) {
  const Table rows = part(in, "inject", "injections", in.injections, sector);
  out.tables.push_back(
      selected(rows, "injections",
               {{"amp", "amp"}, {"fwhm", "fwhm"}, {"time", "time"}, {"index", "index"}}));
  out.tables.push_back(selected(part(in, "inject", "recoveries", in.injections, sector),
                                "recoveries", {{"recovered", "recovered"}}));
  const auto add = [&](const char* object, const char* name, engine::AttributeValue value) {
    out.attributes.push_back({object, name, std::move(value)});
  };
  const Config::Injection& keys = in.config.injection;
  add("injections", "n_inject", static_cast<std::int32_t>(keys.n_inject));
  add("injections", "n_repeat", static_cast<std::int32_t>(keys.n_repeat));
  add("injections", "template", keys.shape);
  add("injections", "criterion", keys.criterion);
  add("injections", "amp_unit", std::string("relative to median"));
  add("recoveries", "n_inject_remaining",
      static_cast<std::int32_t>(keys.n_inject) - static_cast<std::int32_t>(rows.rows()));
}

engine::FileContent content(const Sources& in, const StoredSector& sector) {
  const Table model = part(in, "gp", "models", in.models, sector);
  engine::FileContent out;
  out.tables.push_back(light_curve(in, sector));
  // Without a model the flares are those above the median.
  const Table flares = model.rows() > 0 ? part(in, "gp", "flares", in.flares, sector)
                                        : in.products.rows("detect", "flares", sector.first_flare,
                                                           sector.first_flare + sector.flares);
  out.tables.push_back(selected(flares, "flares",
                                {{"start", "start"},
                                 {"stop", "stop"},
                                 {"t_start", "t_start"},
                                 {"t_stop", "t_stop"},
                                 {"t_peak", "t_peak"},
                                 {"amplitude", "amplitude"},
                                 {"prob_max", "prob_max"},
                                 {"equivalent_duration", "equivalent_duration"},
                                 {"equivalent_duration_err", "equivalent_duration_err"},
                                 {"log10_energy", "log10_energy"}}));
  add_injections(in, sector, out);
  const auto found = in.injections.find({sector.tic, sector.sector});
  const std::size_t injected =
      found == in.injections.end() ? 0 : found->second.second - found->second.first;
  const bool all = injected == static_cast<std::size_t>(in.config.injection.n_inject);
  const State state = model.rows() == 0 ? searched : all ? complete : modelled;
  out.attributes.push_back({"/", "format", std::string(kFormat)});
  out.attributes.push_back({"/", "state", static_cast<std::int32_t>(state)});
  add_light_curve_facts(in, sector, out.attributes);
  add_model_facts(in, model, out.attributes);
  return out;
}

}  // namespace

engine::FileSet sector_files(const Config& config, const engine::Products& products) {
  auto in =
      std::make_shared<Sources>(Sources{config, products, stored_sectors(products), {}, {}, {}});
  find_models(*in);
  find_injections(*in);
  engine::FileSet out;
  out.folder = kSectorFolder;
  for (const StoredSector& sector : in->sectors) {
    out.names.push_back(std::to_string(sector.tic) + "_" + std::to_string(sector.sector) + ".h5");
  }
  out.make = [in](std::size_t i) { return content(*in, in->sectors[i]); };
  return out;
}

}  // namespace skyloom::flares
