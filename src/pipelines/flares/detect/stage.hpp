#pragma once
// Stage `detect`: reads the light curves, gives every cadence the probability of a flare, and lists
// the flares. Units: the networks (their names and checksums), then the sectors.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/flares/config.hpp"
#include "pipelines/flares/detect/kernel.hpp"
#include "skyloom/engine/stage.hpp"
#include "skyloom/surveys/light_curve.hpp"
#include "skyloom/surveys/network_ensemble.hpp"

namespace skyloom::flares {

/// The networks of a run, ready for use.
struct Ensemble {
  surveys::NetworkEnsemble list;
  std::vector<std::string> sha256;  ///< of every file
  std::vector<int> taps;            ///< of every first kernel
  std::vector<Network<float>> networks;
};

/// Reads and prepares the networks that the configuration names. @throws ConfigError
Ensemble load_ensemble(const Config& config);

struct DetectStage {
  static constexpr std::string_view name = "detect";
  using Config = flares::Config;

  struct Context {
    Ensemble ensemble;
    NetworkWorkspace<float> work;
  };
  struct Input {
    /// Nothing for the unit of the networks.
    std::optional<surveys::LightCurve> curve;
    Context* context = nullptr;
  };
  struct Result {
    const Ensemble* ensemble = nullptr;  ///< for the unit of the networks
    surveys::LightCurve curve;
    Detection detection;
    double median_error = 0.0;  ///< of the positive errors [e-/s]
    std::vector<Flare> flares;
  };

  static std::vector<std::string> inputs(const Config& config);
  static std::vector<std::string> needs() { return {}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

}  // namespace skyloom::flares
