#pragma once
// The Gaussian convolution by its definition: every term of the sums, in double.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "skyloom/core/image.hpp"

namespace skyloom::tests {

/// Kernel of unit sum, cut at `radius` (0: nine sigma); 0 outside the image.
inline Image<double> exact_gaussian(const Image<float>& in, double sigma, int radius = 0) {
  const int reach = radius > 0 ? radius : static_cast<int>(std::ceil(9.0 * sigma));
  double sum = 0.0;
  for (int k = -reach; k <= reach; ++k) {
    sum += std::exp(-0.5 * (k / sigma) * (k / sigma));
  }
  const int longest = std::max(in.width(), in.height());
  std::vector<double> weight(static_cast<std::size_t>(longest), 0.0);
  for (int k = 0; k <= std::min(reach, longest - 1); ++k) {
    weight[static_cast<std::size_t>(k)] = std::exp(-0.5 * (k / sigma) * (k / sigma)) / sum;
  }
  const auto at = [&](int k) { return weight[static_cast<std::size_t>(std::abs(k))]; };
  Image<double> lines(in.width(), in.height());
  Image<double> out(in.width(), in.height());
  for (int y = 0; y < in.height(); ++y) {
    for (int k = 0; k < in.width(); ++k) {
      const double value = static_cast<double>(in(y, k));
      const int end = std::min(in.width(), k + reach + 1);
      for (int x = std::max(0, k - reach); value != 0.0 && x < end; ++x) {
        lines(y, x) += at(x - k) * value;
      }
    }
  }
  for (int y = 0; y < in.height(); ++y) {
    for (int k = std::max(0, y - reach); k < std::min(in.height(), y + reach + 1); ++k) {
      const double factor = at(y - k);
      for (int x = 0; x < in.width(); ++x) {
        out(y, x) += factor * lines(k, x);
      }
    }
  }
  return out;
}

}  // namespace skyloom::tests
