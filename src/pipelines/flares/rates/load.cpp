#include <algorithm>
#include <cmath>
#include <filesystem>
#include <tuple>

#include "pipelines/flares/detect/kernel_mask.hpp"
#include "pipelines/flares/rates/stage.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::flares {
namespace {

constexpr double kSecondsPerDay = 86400.0;

/// Whether a row of a table belongs to a sector.
bool is_of(const Table& table, std::size_t row, const StoredSector& sector) {
  return row < table.rows() && table.get<std::int64_t>("tic")[row] == sector.tic &&
         table.get<std::int32_t>("sector")[row] == sector.sector;
}

std::vector<FlareEvent> flares_of(const engine::Products& products, const RatedSector& sector) {
  const auto read = [&](const char* column) {
    return products.range<double>("gp", column, sector.first_flare, sector.flares);
  };
  const std::vector<double> start = read("flares/t_start");
  const std::vector<double> stop = read("flares/t_stop");
  const std::vector<double> duration = read("flares/equivalent_duration");
  const double snr = sector.stored.median_flux / sector.stored.median_flux_err;
  std::vector<FlareEvent> out;
  for (std::size_t i = 0; i < sector.flares; ++i) {
    const double length = kSecondsPerDay * (stop[i] - start[i]);
    out.push_back({duration[i], equivalent_duration_error(length, duration[i], snr)});
  }
  return out;
}

}  // namespace

std::vector<std::string> RatesStage::inputs(const Config& config) {
  std::vector<std::string> files;
  for (const std::string& run : config.inputs.runs) {
    const engine::Products products(run);
    for (const std::string& stage : needs()) {
      files.push_back(products.path(stage).string());
    }
  }
  return files;
}

RatedRuns::RatedRuns(const Config& config, const engine::Products& own) {
  runs_.push_back(&own);
  for (const std::string& run : config.inputs.runs) {
    others_.push_back(std::make_unique<engine::Products>(run));
    runs_.push_back(others_.back().get());
  }
  for (std::size_t run = 0; run < runs_.size(); ++run) {
    add(run);
  }
  std::stable_sort(
      sectors_.begin(), sectors_.end(), [](const RatedSector& a, const RatedSector& b) {
        return std::tie(a.stored.tic, a.stored.sector) < std::tie(b.stored.tic, b.stored.sector);
      });
  for (std::size_t i = 0; i < sectors_.size(); ++i) {
    const StoredSector& sector = sectors_[i].stored;
    if (i > 0 && sector.key == sectors_[i - 1].stored.key) {
      throw ConfigError("inputs.runs", "two runs have the sector " + sector.key,
                        "every sector in one run");
    }
    if (i == 0 || sector.tic != sectors_[i - 1].stored.tic) {
      stars_.emplace_back(i, i);
    }
    stars_.back().second = i + 1;
  }
}

// A sector without a model of the quiet star has no measured flares, and no part in the rates.
void RatedRuns::add(std::size_t run) {
  const engine::Products& products = *runs_[run];
  // Products hold sectors in one order, and these tables are not kept.
  const engine::Products reading(products.directory());
  const Table& models = reading.table("gp", "models");
  const Table& blocks = reading.table("inject", "blocks");
  std::size_t model = 0;
  std::size_t flare = 0;
  std::size_t block = 0;
  std::size_t injection = 0;
  for (StoredSector& stored : stored_sectors(products)) {
    RatedSector sector;
    sector.run = run;
    for (; is_of(blocks, block, stored); ++block) {
      const auto count = static_cast<std::size_t>(blocks.get<std::int32_t>("flares")[block]);
      sector.blocks.push_back({injection, count, blocks.get<std::int32_t>("repeats")[block]});
      injection += count;
    }
    if (!is_of(models, model, stored)) {
      continue;
    }
    ++model;
    sector.first_flare = flare;
    sector.flares = stored.flares;
    flare += stored.flares;
    sector.stored = std::move(stored);
    sectors_.push_back(std::move(sector));
  }
}

SectorSearch RatedRuns::read(const Config& config, const RatedSector& sector) const {
  const engine::Products& products = *runs_[sector.run];
  SectorSearch out;
  out.tic = sector.stored.tic;
  out.sector = sector.stored.sector;
  out.days = config.rates.duration == "peer"
                 ? sector.stored.span_d
                 : static_cast<double>(sector.stored.predicted) * sector.stored.cadence_d;
  out.flares = flares_of(products, sector);
  const std::optional<EnergyRelation> relation = energy_relation(sector.stored.teff_k);
  for (const RatedSector::Block& block : sector.blocks) {
    const auto read = [&](const char* name) {
      return products.range<double>("inject", name, block.row, block.flares);
    };
    const std::vector<double> amplitude = read("injections/amp");
    const std::vector<double> duration = read("injections/fwhm");
    const std::vector<double> equivalent = read("injections/equivalent_duration");
    const std::vector<double> fraction = read("recoveries/completeness");
    for (std::size_t i = 0; i < block.flares; ++i) {
      out.injected.push_back({amplitude[i], duration[i], equivalent[i],
                              relation ? log10_energy(*relation, amplitude[i])
                                       : std::numeric_limits<double>::quiet_NaN(),
                              block.repeats,
                              static_cast<int>(std::lround(fraction[i] * block.repeats))});
    }
  }
  return out;
}

std::unique_ptr<RatesStage::Context> RatesStage::open(const Config& config,
                                                      const engine::Products& before,
                                                      Log& /*log*/) {
  auto context = std::make_unique<Context>();
  context->runs = std::make_unique<RatedRuns>(config, before);
  return context;
}

RatesStage::Input RatesStage::load(const Config& config, Context& context,
                                   const engine::Unit& unit) {
  const RatedRuns& runs = *context.runs;
  const RateOptions options{config.rates.completeness == "log"};
  const auto [first, last] = runs.stars()[unit.index];
  StarSearch star(options);
  for (std::size_t i = first; i < last; ++i) {
    star.add(runs.read(config, runs.sectors()[i]));
  }
  return star;
}

RatesStage::Result RatesStage::compute(const Config& /*config*/, const Input& input,
                                       const Rng& /*rng*/) {
  Result result{input, {}};
  result.rates = result.star.finish();
  return result;
}

}  // namespace skyloom::flares
