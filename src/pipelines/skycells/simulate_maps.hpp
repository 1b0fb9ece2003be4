#pragma once
// Registration of simulated skycells with a simulated detector: which of its pixels the light of a
// skycell pixel falls on. Every detector pixel belongs to one skycell, that whose centre is
// nearest.

#include <filesystem>
#include <vector>

#include "pipelines/skycells/simulate_sky.hpp"
#include "skyloom/io/fits.hpp"

namespace skyloom::skycells {

/// A detector that sees all cells: turned against north, with SIP distortion of a pixel or two at
/// its rims, and 84 / 480 of an overlap per pixel as TESS has of PS1.
struct DetectorGrid {
  int width = 0;
  int height = 0;
  std::vector<io::FitsCard> cards;  ///< its WCS
};
DetectorGrid detector_grid(const SimulatedSky& sky);

/// Writes <stem>_master_pixels2skycells[_osF].fits.gz (per detector pixel the position of its
/// skycell in the metadata CSV, -1 = none) and <stem>_<cell>[_osF].fits.gz (per cell pixel the
/// detector pixel y F width + x, -1 = none). Pixels of the second are exact to 1e-3 detector
/// pixels.
/// @param oversample F: pixels of the maps per detector pixel and axis
void write_registration(const SimulatedSky& sky, const DetectorGrid& grid,
                        const std::filesystem::path& folder, const std::string& stem,
                        int oversample);

}  // namespace skyloom::skycells
