#include <algorithm>

#include <fmt/format.h>

#include "pipelines/flares/inject/stage.hpp"

namespace skyloom::flares {
namespace {

// Every block of a sector evaluates its quiet light curve, which takes as long as 2,000 trials.
constexpr int kTrialsOfBlock = 5000;
// With so many sectors every rank has many of them, and a sector is one block, but for so many
// trials, which take some four seconds: a run stops between units.
constexpr std::size_t kManySectors = 1000;
constexpr int kMostTrialsOfBlock = 50000;

TableSchema injection_schema(const std::vector<std::size_t>& repeats) {
  return {"injections",
          {{"tic", Type::int64, "", "TESS Input Catalog number"},
           {"sector", Type::int32, "", "TESS sector"},
           {"flare", Type::int32, "", "number of the injected flare in its sector, from 0"},
           {"amp", Type::float64, "", "amplitude, relative to the median flux outside flares"},
           {"fwhm", Type::float64, "d", "duration: unit of the argument of the template"},
           {"equivalent_duration", Type::float64, "s", "its integral over the median flux"},
           {"time", Type::float64, "d", "BTJD of the peak of every repeat", repeats},
           {"index", Type::int32, "", "cadence of the peak, from 0 among the kept ones", repeats}}};
}

TableSchema recovery_schema(const std::vector<std::size_t>& repeats) {
  return {
      "recoveries",
      {{"tic", Type::int64, "", "TESS Input Catalog number"},
       {"sector", Type::int32, "", "TESS sector"},
       {"flare", Type::int32, "", "number of the injected flare in its sector, from 0"},
       {"completeness", Type::float64, "", "recovered part of the repeats"},
       {"recovered", Type::boolean, "", "whether the flare of each repeat was found", repeats}}};
}

}  // namespace

std::vector<std::string> InjectStage::inputs(const Config& /*config*/) {
  return {};
}

std::vector<InjectionBlock> injection_blocks(const Config& config, std::size_t sectors) {
  const Config::Injection& keys = config.injection;
  int size = keys.block_flares;
  if (size == 0) {
    const int trials = sectors >= kManySectors ? kMostTrialsOfBlock : kTrialsOfBlock;
    size = std::max(1, trials / keys.n_repeat);
  }
  // Flares injected together are searched as a whole in every block.
  size = keys.simultaneous ? keys.n_inject : size;
  std::vector<InjectionBlock> out;
  for (int first = 0; first < keys.n_inject; first += size) {
    out.push_back({first, std::min(size, keys.n_inject - first), keys.n_repeat});
  }
  return out;
}

engine::Plan InjectStage::plan(const Config& config, const engine::Products& before) {
  const std::vector<StoredSector> sectors = stored_sectors(before);
  const std::vector<std::size_t> repeats{static_cast<std::size_t>(config.injection.n_repeat)};
  engine::Plan plan;
  plan.items = "injections";
  plan.schema.tables = {injection_schema(repeats),
                        recovery_schema(repeats),
                        {"blocks",
                         {{"tic", Type::int64, "", "TESS Input Catalog number"},
                          {"sector", Type::int32, "", "TESS sector"},
                          {"first", Type::int32, "", "number of its first flare"},
                          {"flares", Type::int32, "", "rows of /injections and /recoveries"},
                          {"repeats", Type::int32, "", "times that each flare was injected"},
                          {"n_inject", Type::int32, "", "flares of the sector"}}}};
  for (const StoredSector& sector : sectors) {
    for (const InjectionBlock& block : injection_blocks(config, sectors.size())) {
      plan.units.add({0,
                      fmt::format("{}/{:06d}", sector.key, block.first),
                      static_cast<double>(block.count) * block.repeats,
                      {},
                      sector.key,
                      static_cast<std::uint32_t>(block.count)});
    }
  }
  return plan;
}

}  // namespace skyloom::flares
