#pragma once
// Cubic interpolation of a short table with not-a-knot ends: the third derivative is continuous
// across the second and the last but one node (de Boor 1978, "A Practical Guide to Splines", ch.
// 4), which is what FITPACK's interpolating spline of degree 3 gives.

#include <span>
#include <vector>

namespace skyloom::numerics {

class CubicSpline {
 public:
  /// @param x increasing, at least 4 nodes   @param y one value per node
  CubicSpline(std::span<const double> x, std::span<const double> y);

  /// Value at any position; the end pieces continue outside the nodes.
  [[nodiscard]] double operator()(double at) const;

 private:
  std::vector<double> x_;
  std::vector<double> y_;
  std::vector<double> second_;  ///< second derivative at every node
};

}  // namespace skyloom::numerics
