#pragma once
// Shift by a fraction of a pixel with a separable 7-tap Lanczos-3 filter, as the Tractor (Lang,
// Hogg & Mykytyn 2016) shifts its images. Our renderer needs no filter; tests need it to reproduce
// values that were made with one.

#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

namespace skyloom::test {

/// Taps for an offset of `shift` pixels, |shift| <= 0.5, with a sum of 1; the identity for 0.
inline std::array<double, 7> lanczos3_taps(double shift) {
  std::array<double, 7> taps{};
  double sum = 0.0;
  for (int i = 0; i < 7; ++i) {
    const double offset = i - 3 + shift;
    const double u = std::numbers::pi * offset;
    double& tap = taps[static_cast<std::size_t>(i)];
    if (std::abs(offset) <= 3.0) {
      tap = offset == 0.0 ? 1.0 : 3.0 * std::sin(u) * std::sin(u / 3.0) / (u * u);
    }
    sum += tap;
  }
  for (double& tap : taps) {
    tap /= sum;
  }
  return taps;
}

/// Image (height, width), shifted by (dx, dy) towards larger x and y; 0 outside.
inline std::vector<double> lanczos3_shifted(const std::vector<double>& image, int width, int height,
                                            double dx, double dy) {
  const auto tx = lanczos3_taps(dx);
  const auto ty = lanczos3_taps(dy);
  const auto at = [width](int y, int x) { return static_cast<std::size_t>(y * width + x); };
  std::vector<double> along_x(image.size(), 0.0);
  std::vector<double> out(image.size(), 0.0);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int i = 0; i < 7; ++i) {
        if (x + i >= 3 && x + i - 3 < width) {
          along_x[at(y, x)] += tx[static_cast<std::size_t>(i)] * image[at(y, x + i - 3)];
        }
      }
    }
  }
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int i = 0; i < 7; ++i) {
        if (y + i >= 3 && y + i - 3 < height) {
          out[at(y, x)] += ty[static_cast<std::size_t>(i)] * along_x[at(y + i - 3, x)];
        }
      }
    }
  }
  return out;
}

}  // namespace skyloom::test
