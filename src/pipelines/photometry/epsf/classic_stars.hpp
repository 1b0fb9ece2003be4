#pragma once
// The classical choice of PSF stars in one cell: candidates of the detection, Gaia seeds, and the
// supplement (photometry.md 6.3-6.7). Positions are pixels of the cell.

#include <string>
#include <vector>

#include "pipelines/photometry/epsf/classic_cell.hpp"
#include "skyloom/sky/detection.hpp"

namespace skyloom::photometry::epsf {

struct ClassicStar {
  double x = 0.0;
  double y = 0.0;
  double flux = 0.0;   ///< in the seeds' aperture
  double snr = 0.0;    ///< of it
  std::string origin;  ///< sep | gaia | both
};

struct ClassicSelection {
  std::vector<ClassicStar> stars;  ///< seeds by magnitude, then the supplement by flux
  int n_detections = 0;
  int n_candidates = 0;
  int n_seeds = 0;               ///< stars that are Gaia seeds
  Image<std::int32_t> segments;  ///< of the detection, 0 = sky; empty when it failed
  std::string detection_error;   ///< empty = none
};

/// Radius of the seeds' aperture (6.3). @param fwhm_pix NaN = unknown: 3 pixels
[[nodiscard]] double seed_aperture_radius(double fwhm_pix, const Options& options);

/// Detections that may be PSF stars (6.5), brightest first.
/// @param saturation peak of a saturated star in this image; NaN = unknown
[[nodiscard]] std::vector<sky::Detection> star_candidates(
    const std::vector<sky::Detection>& detections, const Box& cell, double saturation,
    const Options& options);

[[nodiscard]] ClassicSelection select_classic_stars(const Input& input, const Options& options,
                                                    const ClassicCell& cell);

}  // namespace skyloom::photometry::epsf
