#pragma once
// Sky models that come with an image: the spline of the Legacy Surveys' "splinesky" files.

#include <string>
#include <vector>

#include "skyloom/core/image.hpp"

namespace skyloom::surveys {

/// Values on a grid of a CCD, interpolated by a tensor product of splines with not-a-knot ends
/// (order 3) or of straight lines (order 1). A table of one row with the columns gridvals (y, x),
/// xgrid, ygrid (0-based CCD pixels), order, and x0, y0: the CCD pixel of this image's first one.
class SplineSky {
 public:
  /// @throws ConfigError naming the file and the column that is missing or not as expected
  explicit SplineSky(const std::string& path);

  /// Sky, in the unit of the file (ADU), of the image's pixels in a box; beyond the outermost grid
  /// lines it is constant. Each pixel's value is the same whatever the box.
  [[nodiscard]] Image<float> at(const Box& box) const;

 private:
  std::vector<double> x_grid_;
  std::vector<double> y_grid_;
  std::vector<double> values_;  ///< (y, x)
  int order_ = 3;
  double x0_ = 0.0;
  double y0_ = 0.0;
};

}  // namespace skyloom::surveys
