#pragma once
// Stage `gp`: a Gaussian process of the quiet star for every searched sector, its mean and variance
// at every cadence, and the flares measured above that mean. Unit: a sector.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/flares/config.hpp"
#include "pipelines/flares/gp/kernel.hpp"
#include "pipelines/flares/stored.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::flares {

struct GpStage {
  static constexpr std::string_view name = "gp";
  using Config = flares::Config;

  struct Context {
    const engine::Products* products = nullptr;
    std::vector<StoredSector> sectors;  ///< of every unit
  };
  struct Input {
    StoredSector sector;
    StoredLightCurve curve;
    std::vector<FlareBlock> blocks;
  };
  struct Result {
    StoredSector sector;
    gp::Model model;
    std::vector<Flare> flares;
  };

  static std::vector<std::string> inputs(const Config& /*config*/) { return {}; }
  static std::vector<std::string> needs() { return {"detect"}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

/// Names of the parameters of the configured covariance, as columns of /models.
std::vector<std::string> parameter_columns(const Config& config);

}  // namespace skyloom::flares
