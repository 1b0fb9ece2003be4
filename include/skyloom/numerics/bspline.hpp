#pragma once
// Quintic B-spline interpolation on a regular grid (Unser, Aldroubi & Eden 1993; poles from Unser
// 1999, box I). The signal is taken to be zero outside the samples.

#include <array>

#include "skyloom/core/image.hpp"

namespace skyloom::numerics {

/// Number of coefficients that contribute to a value.
inline constexpr int kQuinticTaps = 6;

/// Weights of the taps floor(x) - 2 ... floor(x) + 3 and their derivatives, for x with the given
/// fraction in [0, 1).
struct QuinticWeights {
  std::array<double, kQuinticTaps> value;
  std::array<double, kQuinticTaps> derivative;
};
QuinticWeights quintic_weights(double fraction);

/// Spline coefficients of an image padded by `padding` zeros on every side: the result is
/// (width + 2 padding, height + 2 padding) and interpolates the samples exactly. The poles decay as
/// 0.43^distance, so 10 pixels of padding leave 2e-4 of the outermost sample.
Image<double> quintic_coefficients(ImageView<const float> samples, int padding);

}  // namespace skyloom::numerics
