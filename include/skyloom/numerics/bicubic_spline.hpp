#pragma once
// Interpolation of an image by the tensor product of cubic splines with not-a-knot ends (de Boor
// 1978, chapter IV), the interpolating case of FITPACK's regrid.

#include "skyloom/core/image.hpp"

namespace skyloom::numerics {

class BicubicSpline {
 public:
  /// @param samples at least 4 x 4, finite @throws FatalError for a smaller image
  explicit BicubicSpline(ImageView<const double> samples);

  struct Value {
    double value = 0.0;
    double dx = 0.0;  ///< per sample
    double dy = 0.0;
  };
  /// At sample coordinates; all 0 outside [0, width - 1] x [0, height - 1].
  [[nodiscard]] Value at(double x, double y) const;

 private:
  // The spline is the bicubic Hermite interpolant of its own values and slopes at the samples.
  Image<double> f_;
  Image<double> fx_;
  Image<double> fy_;
  Image<double> fxy_;
};

}  // namespace skyloom::numerics
