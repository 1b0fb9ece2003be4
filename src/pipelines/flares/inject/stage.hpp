#pragma once
// Stage `inject`: artificial flares, and which of them the detection recovers. Unit: a block of the
// flares of a sector with all their repeats. Numbers depend on the sector and on the number of the
// flare, never on the block.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/flares/config.hpp"
#include "pipelines/flares/detect/stage.hpp"
#include "pipelines/flares/inject/kernel.hpp"
#include "pipelines/flares/stored.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::flares {

struct InjectStage {
  static constexpr std::string_view name = "inject";
  using Config = flares::Config;

  /// A sector and, after its first block, its quiet light curve as the networks see it.
  struct QuietSector {
    StoredSector sector;
    StoredLightCurve curve;
    Windows windows;
    std::unique_ptr<Trials<float>> trials;
  };
  struct Context {
    const engine::Products* products = nullptr;
    std::vector<StoredSector> sectors;
    Ensemble ensemble;
    std::vector<TrialNetwork<float>> networks;
    std::unique_ptr<QuietSector> quiet;  ///< of the last unit: blocks of a sector are neighbours
  };
  struct Input {
    QuietSector* quiet = nullptr;
    InjectionBlock block;
    std::span<const TrialNetwork<float>> networks;
  };
  struct Result {
    StoredSector sector;
    InjectionBlock block;
    BlockOutcome outcome;
    std::vector<double> time;  ///< of every cadence [d]
  };

  static std::vector<std::string> inputs(const Config& config);
  static std::vector<std::string> needs() { return {"detect"}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

/// The blocks of a sector, in order.
std::vector<InjectionBlock> injection_blocks(const Config& config, std::size_t sectors);

}  // namespace skyloom::flares
