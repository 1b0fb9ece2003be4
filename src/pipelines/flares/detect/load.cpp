#include <cmath>

#include "pipelines/flares/detect/stage.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::flares {

Ensemble load_ensemble(const Config& config) {
  Ensemble out;
  out.list = surveys::find_ensemble(config.network.models);
  for (const surveys::NetworkFile& file : surveys::read_ensemble(out.list)) {
    out.sha256.push_back(file.sha256);
    out.taps.push_back(file.weights.taps);
    out.networks.emplace_back(file.weights);
  }
  return out;
}

std::unique_ptr<DetectStage::Context> DetectStage::open(const Config& config,
                                                        const engine::Products& /*before*/,
                                                        Log& log) {
  auto context = std::make_unique<Context>();
  context->ensemble = load_ensemble(config);
  const double meant = context->ensemble.list.threshold;
  if (std::isfinite(meant) && config.detection.threshold != meant) {
    log.warning(
        "detection.threshold is {}: the probabilities of this ensemble ({}) mean something only "
        "on either side of {}",
        config.detection.threshold, context->ensemble.list.recipe, meant);
  }
  // Only the first rank has looked for light curves.
  if (config.found && config.found->without > 0) {
    log.warning("{} of {} targets have no light curve", config.found->without,
                config.found->targets);
  }
  if (config.share.count > 1 && config.found && config.found->files.empty()) {
    log.warning("no light curve is in this share (run.shard)");
  }
  return context;
}

DetectStage::Input DetectStage::load(const Config& config, Context& context,
                                     const engine::Unit& unit) {
  Input input;
  input.context = &context;
  if (unit.source.empty()) {
    return input;
  }
  input.curve = surveys::read_light_curve(unit.source, config.inputs.quality_bitmask);
  const surveys::LightCurveHeader& header = input.curve->header;
  const std::string found = surveys::SectorFile{header.tic, header.sector, unit.source}.key();
  if (found != unit.key) {
    throw UnitError(Reason::bad_input,
                    unit.source + ": holds TIC/sector " + found + ", its name says " + unit.key);
  }
  return input;
}

}  // namespace skyloom::flares
