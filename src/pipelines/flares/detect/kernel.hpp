#pragma once
// Flares of one light curve: windows, probabilities of an ensemble, blocks above the threshold.

#include <cstdint>
#include <span>
#include <vector>

#include "kernel_mask.hpp"
#include "kernel_network.hpp"
#include "kernel_windows.hpp"

namespace skyloom::flares {

struct DetectOptions {
  GapRule gap_rule = GapRule::native;
  Edge edge = Edge::invalid;
  Combine combine = Combine::median;
  DetectionRule rule;
};

struct Detection {
  Windows windows;
  std::vector<double> probability;  ///< of every cadence, of the ensemble; NaN = none
  std::vector<FlareBlock> blocks;
  std::vector<std::uint8_t> mask;  ///< 1 = in a flare
};

/// Shortest light curve that is searched.
inline constexpr std::size_t kLeastCadences = 400;

/// @param time strictly increasing [d] @param flux of the same length, finite
/// @throws UnitError no_good_data for fewer cadences than kLeastCadences, and as find_windows()
Detection detect(std::span<const double> time, std::span<const double> flux,
                 std::span<const Network<float>> networks, const DetectOptions& options,
                 NetworkWorkspace<float>& work);

}  // namespace skyloom::flares
