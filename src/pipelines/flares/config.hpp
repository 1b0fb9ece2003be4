#pragma once
// Configuration of the flares pipeline: one field per TOML key, with its default.

#include <memory>
#include <string>
#include <vector>

#include "pipelines/flares/detect/kernel_mask.hpp"
#include "pipelines/flares/detect/kernel_windows.hpp"
#include "pipelines/flares/gp/kernel.hpp"
#include "pipelines/flares/inject/kernel.hpp"
#include "skyloom/core/config.hpp"
#include "skyloom/surveys/light_curve.hpp"
#include "skyloom/surveys/light_curve_list.hpp"

namespace skyloom::flares {

struct Config {
  struct Inputs {
    std::vector<std::string> light_curves;  ///< files, patterns, lists, folders
    std::vector<std::string> runs;          ///< finished run directories, for `rates`
    std::string targets;
    int quality_bitmask = surveys::kDefaultQualityBits;
    std::string base_url;
    std::string cache_dir;
  } inputs;

  struct Fetch {
    std::vector<int> sectors;  ///< empty = all
    int parallel = 4;
    int tries = 5;
    double wait_s = 1.0;
    double stalled_s = 60.0;
  } fetch;

  struct NetworkKeys {
    std::vector<std::string> models;  ///< empty = the ensemble that ships with the program
    std::string combine = "median";
    std::string edge = "invalid";
    std::string mode = "native";
  } network;

  DetectionRule detection;

  struct Gp {
    std::string kernel = "rotation_sho";
    std::string priors = "default";
  } gp;

  struct Injection {
    int n_inject = 2000;
    int n_repeat = 10;
    std::string shape = "mendoza2022";  ///< injection.template
    std::string sample = "lognormal";
    std::string criterion = "detect";
    int block_flares = 0;
    double ffd_slope = -1.0;
    double ffd_energy_min = 1e32;
    double ffd_energy_max = 1e36;
    int exposure_oversample = 1;
    bool simultaneous = false;
  } injection;

  struct Rates {
    std::string duration = "live";
    std::string completeness = "log";
  } rates;

  struct Output {
    bool per_sector = true;
    bool per_star = false;
  } output;

  /// Of the sectors that are found: one member of a job array (run.shard).
  struct Share {
    std::size_t index = 0;
    std::size_t count = 1;
  } share;

  mutable std::shared_ptr<const surveys::FoundSectors> found;  ///< see found_sectors()

  [[nodiscard]] Combine combine() const {
    return network.combine == "mean" ? Combine::mean : Combine::median;
  }
  [[nodiscard]] Edge edge() const { return network.edge == "peer" ? Edge::peer : Edge::invalid; }
  [[nodiscard]] GapRule gap_rule() const {
    return network.mode == "peer" ? GapRule::peer : GapRule::native;
  }
  [[nodiscard]] gp::Options gp_options() const {
    gp::Options options;
    options.family =
        gp.kernel == "sho2" ? numerics::KernelFamily::sho2 : numerics::KernelFamily::rotation_sho;
    options.priors = gp.priors == "default";
    return options;
  }
  /// How injected flares are searched.
  [[nodiscard]] TrialRule trial_rule() const {
    return {detection,
            injection.criterion == "peer" ? Criterion::peer : Criterion::detect,
            combine(),
            edge(),
            gap_rule(),
            flare_template(),
            injection.exposure_oversample};
  }
  /// Which flares are injected.
  [[nodiscard]] FlareSample flare_sample() const {
    return {injection.sample == "ffd" ? Sample::ffd : Sample::lognormal,
            injection.n_inject,
            flare_template(),
            {injection.ffd_slope, injection.ffd_energy_min, injection.ffd_energy_max}};
  }
  [[nodiscard]] FlareTemplate flare_template() const {
    return injection.shape == "davenport2014" ? FlareTemplate::davenport2014
                                              : FlareTemplate::mendoza2022;
  }
};

/// Declares every key, bound to `config`.
void declare(ConfigSpec& spec, Config& config);

/// Checks that span several keys. @throws ConfigError
void check(const Config& config);

}  // namespace skyloom::flares
