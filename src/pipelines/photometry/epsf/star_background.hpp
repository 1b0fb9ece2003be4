#pragma once
// The sky around one star (photometry.md 6.8).

#include <string>

#include "pipelines/photometry/epsf/kernel.hpp"

namespace skyloom::photometry::epsf {

struct LocalBackground {
  double value = 0.0;    ///< flux per pixel to subtract
  int n_pixels = 0;      ///< behind it, after clipping
  double rin_pix = 0.0;  ///< of the annulus
  double rout_pix = 0.0;
  std::string status = "disabled";  ///< ok | fallback_zero | disabled
};

/// Clipped median of the annulus around (x, y), in stamp pixels.
/// @param data (y, x) square stamp @param weight 0 = pixel not used
[[nodiscard]] LocalBackground local_background(const Image<double>& data,
                                               const Image<double>& weight, double x, double y,
                                               const Options& options);

}  // namespace skyloom::photometry::epsf
