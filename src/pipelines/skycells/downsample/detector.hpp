#pragma once
// What `downsample` is told: offsets and region of interest, the detector with its WCS, and the
// registration maps of cells. 0-based pixels of the detector.

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "pipelines/skycells/config.hpp"
#include "skyloom/core/image.hpp"
#include "skyloom/surveys/registration.hpp"
#include "skyloom/surveys/skycell.hpp"

namespace skyloom::skycells {

using surveys::DetectorOffset;

struct Detector {
  int width = 0;  ///< pixels, without oversampling
  int height = 0;
  int oversample = 1;
  Box window;  ///< region of interest, without oversampling
  std::vector<DetectorOffset> offsets;
  std::string cards;  ///< header of the master map: its WCS

  /// Region of interest in pixels of the maps.
  [[nodiscard]] Box fine_window() const {
    return {window.x0 * oversample, window.x1 * oversample, window.y0 * oversample,
            window.y1 * oversample};
  }
};

/// Reads downsample.jobs and the header of the master map.
/// @throws ConfigError naming file and key: another sector, camera or CCD than [inputs], no
/// offsets,
///   two that agree to three decimals, a region outside the detector, a master map whose sides are
///   no multiples of the oversampling
Detector read_detector(const Config& config);

/// The map of a cell, its rows one after the other. nullopt when there is no file.
std::optional<std::filesystem::path> cell_map_file(const Config& config,
                                                   const surveys::SkycellId& id);
/// The path that is tried first.
std::filesystem::path expected_cell_map(const Config& config, const surveys::SkycellId& id);
/// @throws ConfigError naming the place where there should be one
std::filesystem::path master_map_file(const Config& config);

/// Lines of the metadata CSV whose cells have pixels in the region of interest, ascending.
std::vector<int> cells_in_window(const Config& config, const Detector& detector);

}  // namespace skyloom::skycells
