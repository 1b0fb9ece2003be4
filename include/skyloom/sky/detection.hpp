#pragma once
// Detection of objects and circular apertures (Bertin & Arnouts 1996), through libsep.

#include <cstdint>
#include <vector>

#include "skyloom/core/image.hpp"

namespace skyloom::sky {

struct Detection {
  double x = 0.0;  ///< barycentre, 0-based pixels
  double y = 0.0;
  double a = 0.0;  ///< isophotal semi-axes from second moments, pixels
  double b = 0.0;
  double flux = 0.0;  ///< sum of member pixels
  double peak = 0.0;  ///< brightest member pixel
};

struct Detections {
  std::vector<Detection> objects;
  Image<std::int32_t> segments;  ///< 1 + index of the object a pixel belongs to, 0 = sky
};

struct DetectionOptions {
  double threshold_sigma = 2.5;
  int min_area_pix = 5;
  int deblend_levels = 32;
  double deblend_contrast = 0.001;
  double clean_parameter = 1.0;
};

/// Matched-filter detection with the 3x3 kernel 1 2 1 / 2 4 2 / 1 2 1. Objects in libsep's order,
/// which is a function of the pixels alone.
/// @param sigma noise per pixel   @param mask non-zero = never part of an object
/// @throws UnitError (numerical) when libsep fails
[[nodiscard]] Detections detect(ImageView<const float> image, ImageView<const float> sigma,
                                ImageView<const std::uint8_t> mask,
                                const DetectionOptions& options);

struct ApertureSum {
  double flux = 0.0;
  double error = 0.0;   ///< from the noise image alone
  bool masked = false;  ///< part of the aperture is masked (corrected by area)
};

/// Sums within a circle, 5x5 sub-pixels on the rim.
/// @throws UnitError (numerical) when libsep fails
[[nodiscard]] ApertureSum sum_circle(ImageView<const float> image, ImageView<const float> sigma,
                                     ImageView<const std::uint8_t> mask, double x, double y,
                                     double radius_pix);

/// Radius that holds half of the light within `limit_pix`; NaN when there is no positive light.
[[nodiscard]] double half_light_radius(ImageView<const float> image,
                                       ImageView<const std::uint8_t> mask, double x, double y,
                                       double limit_pix);

}  // namespace skyloom::sky
