#pragma once
// What happens to a combined skycell as a whole before it is convolved: its sky set to 0, its
// saturated stars removed or mended.

#include <cstdint>
#include <span>
#include <vector>

#include "pipelines/skycells/combine/kernel_background.hpp"
#include "pipelines/skycells/combine/kernel_cores.hpp"
#include "pipelines/skycells/combine/kernel_saturation.hpp"
#include "skyloom/core/image.hpp"

namespace skyloom::skycells {

enum class SaturationMode : std::uint8_t { none, remove, replace };

struct SourceOptions {
  bool suppress_sky = false;  ///< remove does it as well
  double detect_sigma = 2.5;
  double bright_sigma = 50.0;
  SaturationMode saturation = SaturationMode::none;
  double limit_mag = 13.0;  ///< of remove
  CoreOptions cores;        ///< of replace

  [[nodiscard]] bool needs_noise() const {
    return suppress_sky || saturation == SaturationMode::remove;
  }
  [[nodiscard]] bool needs_stars() const { return saturation != SaturationMode::none; }
  [[nodiscard]] bool any() const { return needs_noise() || needs_stars(); }
  /// How far outside of a cell stars matter, pixels.
  [[nodiscard]] int star_margin() const {
    return saturation == SaturationMode::replace ? cores.stamp_pix : 0;
  }
};

struct TreatedSources {
  int segments = 0;  ///< detected
  std::vector<RemovedStar> removed;
  ReplacedCores cores;
};

/// In this order: sky to 0, then stars removed or their cores replaced.
/// @param sigma noise per pixel; empty unless needs_noise()   @param stars of the catalogue, those
///   near the cell at least
/// @throws UnitError as find_sources and sky::build_effective_psf do
[[nodiscard]] TreatedSources treat_sources(const SourceOptions& options,
                                           std::span<const CatalogueStar> stars,
                                           ImageView<const float> sigma, ImageView<float> image,
                                           ImageView<std::uint16_t> mask);

}  // namespace skyloom::skycells
