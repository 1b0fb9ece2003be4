#include "kernel.hpp"

#include <string>

#include "skyloom/core/errors.hpp"

namespace skyloom::flares {

Detection detect(std::span<const double> time, std::span<const double> flux,
                 std::span<const Network<float>> networks, const DetectOptions& options,
                 NetworkWorkspace<float>& work) {
  if (time.size() < kLeastCadences) {
    throw UnitError(Reason::no_good_data, std::to_string(time.size()) +
                                              " good cadences, at least " +
                                              std::to_string(kLeastCadences) + " are needed");
  }
  Detection out;
  out.windows = find_windows(time, flux, options.gap_rule);
  const std::vector<float> y = normalised<float>(flux, out.windows.median_flux);
  std::vector<std::vector<double>> models;
  models.reserve(networks.size());
  for (const Network<float>& network : networks) {
    models.push_back(flare_probability<float>(network, y, out.windows, options.edge, work));
  }
  out.probability = combined(models, options.combine);
  out.blocks = find_flares(out.probability, out.windows.gaps, options.rule);
  out.mask = flare_mask(out.blocks, time.size());
  return out;
}

}  // namespace skyloom::flares
