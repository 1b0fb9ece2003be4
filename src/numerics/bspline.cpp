#include "skyloom/numerics/bspline.hpp"

#include <cmath>
#include <cstddef>

namespace skyloom::numerics {

namespace {

/// Causal and anticausal recursion of one pole along y, all columns at a time.
void filter_columns(Image<double>& image, double pole) {
  const int height = image.height();
  const int width = image.width();
  for (int y = 1; y < height; ++y) {
    double* row = &image(y, 0);
    const double* before = &image(y - 1, 0);
    for (int x = 0; x < width; ++x) {
      row[x] += pole * before[x];
    }
  }
  // Beyond the last row the causal output decays geometrically; summing that tail gives the start.
  const double first = -pole / (1.0 - pole * pole);
  double* last = &image(height - 1, 0);
  for (int x = 0; x < width; ++x) {
    last[x] *= first;
  }
  for (int y = height - 2; y >= 0; --y) {
    double* row = &image(y, 0);
    const double* after = &image(y + 1, 0);
    for (int x = 0; x < width; ++x) {
      row[x] = pole * (after[x] - row[x]);
    }
  }
}

Image<double> transposed(const Image<double>& image) {
  Image<double> result(image.height(), image.width());
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      result(x, y) = image(y, x);
    }
  }
  return result;
}

void filter_quintic_columns(Image<double>& image) {
  const double root = std::sqrt(4436.25);
  const double shift = std::sqrt(26.25);
  const double poles[2] = {std::sqrt(67.5 - root) + shift - 6.5,
                           std::sqrt(67.5 + root) - shift - 6.5};
  double gain = 1.0;
  for (const double pole : poles) {
    gain *= (1.0 - pole) * (1.0 - 1.0 / pole);
    filter_columns(image, pole);
  }
  for (double& value : image.pixels()) {
    value *= gain;
  }
}

}  // namespace

QuinticWeights quintic_weights(double fraction) {
  // B5(d) for distances d = fraction + 2, + 1, 0 and 1 - fraction, ... from the centre of each tap.
  const auto inner = [](double d) { return (66.0 + d * d * (-60.0 + d * d * (30.0 - 10.0 * d))); };
  const auto inner_slope = [](double d) { return d * (-120.0 + d * d * (120.0 - 50.0 * d)); };
  const auto middle = [](double d) {
    return 51.0 + d * (75.0 + d * (-210.0 + d * (150.0 + d * (-45.0 + 5.0 * d))));
  };
  const auto middle_slope = [](double d) {
    return 75.0 + d * (-420.0 + d * (450.0 + d * (-180.0 + 25.0 * d)));
  };
  const auto outer = [](double d) { return std::pow(3.0 - d, 5); };
  const auto outer_slope = [](double d) {
    const double e = 3.0 - d;
    return -5.0 * e * e * e * e;
  };
  const double f = fraction;
  const double g = 1.0 - fraction;
  QuinticWeights w{};
  w.value = {outer(f + 2.0), middle(f + 1.0), inner(f), inner(g), middle(g + 1.0), outer(g + 2.0)};
  // The derivative is with respect to x: taps on the left see d grow with x, those on the right
  // shrink.
  w.derivative = {outer_slope(f + 2.0), middle_slope(f + 1.0),  inner_slope(f),
                  -inner_slope(g),      -middle_slope(g + 1.0), -outer_slope(g + 2.0)};
  for (std::size_t k = 0; k < w.value.size(); ++k) {
    w.value[k] /= 120.0;
    w.derivative[k] /= 120.0;
  }
  return w;
}

Image<double> quintic_coefficients(ImageView<const float> samples, int padding) {
  Image<double> image(samples.width() + 2 * padding, samples.height() + 2 * padding);
  for (int y = 0; y < samples.height(); ++y) {
    for (int x = 0; x < samples.width(); ++x) {
      image(y + padding, x + padding) = static_cast<double>(samples(y, x));
    }
  }
  filter_quintic_columns(image);
  image = transposed(image);
  filter_quintic_columns(image);
  return transposed(image);
}

}  // namespace skyloom::numerics
