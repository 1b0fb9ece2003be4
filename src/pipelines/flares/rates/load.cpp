#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <tuple>

#include "pipelines/flares/detect/kernel_mask.hpp"
#include "pipelines/flares/rates/stage.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::flares {
namespace {

constexpr double kSecondsPerDay = 86400.0;

using SectorKey = std::pair<std::int64_t, int>;

SectorKey key_of(const Table& table, std::size_t row) {
  return {table.get<std::int64_t>("tic")[row], table.get<std::int32_t>("sector")[row]};
}

/// First row and number of rows of every sector; its rows stand together.
std::map<SectorKey, std::pair<std::size_t, std::size_t>> ranges(const Table& table) {
  std::map<SectorKey, std::pair<std::size_t, std::size_t>> out;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    ++out.try_emplace(key_of(table, row), row, 0).first->second.second;
  }
  return out;
}

std::vector<FlareEvent> flares_of(const Table& flares, const RatedSector& sector) {
  const double snr = sector.stored.median_flux / sector.stored.median_flux_err;
  std::vector<FlareEvent> out;
  for (std::size_t row = sector.first_flare; row < sector.first_flare + sector.flares; ++row) {
    const double length =
        kSecondsPerDay * (flares.get<double>("t_stop")[row] - flares.get<double>("t_start")[row]);
    const double ed = flares.get<double>("equivalent_duration")[row];
    out.push_back({ed, equivalent_duration_error(length, ed, snr)});
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
  const auto models = ranges(products.table("gp", "models"));
  const auto flares = ranges(products.table("gp", "flares"));
  const Table& found = products.table("detect", "sectors");
  std::map<SectorKey, std::vector<RatedSector::Block>> blocks;
  const Table& table = products.table("inject", "blocks");
  std::size_t row = 0;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const auto count = static_cast<std::size_t>(table.get<std::int32_t>("flares")[i]);
    blocks[key_of(table, i)].push_back({row, count, table.get<std::int32_t>("repeats")[i]});
    row += count;
  }
  for (const StoredSector& stored : stored_sectors(products)) {
    const SectorKey key{stored.tic, stored.sector};
    if (!models.contains(key)) {
      continue;
    }
    RatedSector sector;
    sector.run = run;
    sector.stored = stored;
    sector.span_d =
        found.get<double>("t_last")[stored.row] - found.get<double>("t_first")[stored.row];
    if (const auto at = flares.find(key); at != flares.end()) {
      std::tie(sector.first_flare, sector.flares) = at->second;
    }
    sector.blocks = blocks[key];
    sectors_.push_back(std::move(sector));
  }
}

SectorSearch RatedRuns::read(const Config& config, const RatedSector& sector) const {
  const engine::Products& products = *runs_[sector.run];
  SectorSearch out;
  out.tic = sector.stored.tic;
  out.sector = sector.stored.sector;
  out.days = config.rates.duration == "peer"
                 ? sector.span_d
                 : static_cast<double>(sector.stored.predicted) * sector.stored.cadence_d;
  out.flares = flares_of(products.table("gp", "flares"), sector);
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
  const auto star_of = [&](std::size_t index) {
    StarSearch star(options);
    for (std::size_t i = runs.stars()[index].first; i < runs.stars()[index].second; ++i) {
      star.add(runs.read(config, runs.sectors()[i]));
    }
    return star;
  };
  Input input;
  if (unit.index < runs.stars().size()) {
    input.star = star_of(unit.index);
  } else {
    input.sample.emplace(options);
    for (std::size_t i = 0; i < runs.stars().size(); ++i) {
      input.sample->add(star_of(i));
    }
  }
  return input;
}

RatesStage::Result RatesStage::compute(const Config& /*config*/, const Input& input,
                                       const Rng& /*rng*/) {
  Result result{input.star, input.sample, {}};
  result.rates = result.star ? result.star->finish() : result.sample->finish();
  return result;
}

}  // namespace skyloom::flares
