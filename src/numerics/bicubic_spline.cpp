#include "skyloom/numerics/bicubic_spline.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "skyloom/core/errors.hpp"

namespace skyloom::numerics {
namespace {

/// Slopes at the samples of the not-a-knot cubic spline through n >= 4 equidistant samples.
void spline_slopes(const double* f, std::ptrdiff_t step, int n, double* slope,
                   std::vector<double>& work) {
  const auto at = [&](int i) { return f[i * step]; };
  work.resize(static_cast<std::size_t>(n));
  // Rows (1 2), (1 4 1) ..., (2 1): the ends say that the third derivative does not jump at the
  // second and the last but one sample.
  work[0] = 2.0;
  slope[0] = 0.5 * (-5.0 * at(0) + 4.0 * at(1) + at(2));
  for (int i = 1; i < n - 1; ++i) {
    const auto k = static_cast<std::size_t>(i);
    const double pivot = 1.0 / (4.0 - work[k - 1]);
    work[k] = pivot;
    slope[i * step] = (3.0 * (at(i + 1) - at(i - 1)) - slope[(i - 1) * step]) * pivot;
  }
  const int last = n - 1;
  const double end = 0.5 * (5.0 * at(last) - 4.0 * at(last - 1) - at(last - 2));
  const double pivot = 1.0 / (1.0 - 2.0 * work[static_cast<std::size_t>(last - 1)]);
  slope[last * step] = (end - 2.0 * slope[(last - 1) * step]) * pivot;
  for (int i = last - 1; i >= 0; --i) {
    slope[i * step] -= work[static_cast<std::size_t>(i)] * slope[(i + 1) * step];
  }
}

Image<double> slopes_along_x(const Image<double>& f) {
  Image<double> out(f.width(), f.height());
  std::vector<double> work;
  for (int y = 0; y < f.height(); ++y) {
    spline_slopes(&f(y, 0), 1, f.width(), &out(y, 0), work);
  }
  return out;
}

Image<double> slopes_along_y(const Image<double>& f) {
  Image<double> out(f.width(), f.height());
  std::vector<double> work;
  for (int x = 0; x < f.width(); ++x) {
    spline_slopes(&f(0, x), f.width(), f.height(), &out(0, x), work);
  }
  return out;
}

/// Cubic Hermite basis at t in [0, 1] and its derivative: values at 0 and 1, slopes at 0 and 1.
struct Hermite {
  std::array<double, 4> value;
  std::array<double, 4> derivative;
};

Hermite hermite(double t) {
  const double u = 1.0 - t;
  return {{u * u * (1.0 + 2.0 * t), t * t * (3.0 - 2.0 * t), t * u * u, -t * t * u},
          {-6.0 * t * u, 6.0 * t * u, u * (1.0 - 3.0 * t), t * (3.0 * t - 2.0)}};
}

}  // namespace

BicubicSpline::BicubicSpline(ImageView<const double> samples)
    : f_(samples.width(), samples.height()) {
  if (samples.width() < 4 || samples.height() < 4) {
    throw FatalError("a bicubic spline needs 4 x 4 samples");
  }
  for (int y = 0; y < samples.height(); ++y) {
    for (int x = 0; x < samples.width(); ++x) {
      f_(y, x) = samples(y, x);
    }
  }
  fx_ = slopes_along_x(f_);
  fy_ = slopes_along_y(f_);
  fxy_ = slopes_along_x(fy_);
}

BicubicSpline::Value BicubicSpline::at(double x, double y) const {
  const int width = f_.width();
  const int height = f_.height();
  if (!(x >= 0.0 && y >= 0.0 && x <= width - 1 && y <= height - 1)) {
    return {};
  }
  const int i = std::min(static_cast<int>(x), width - 2);
  const int j = std::min(static_cast<int>(y), height - 2);
  const Hermite a = hermite(x - i);
  const Hermite b = hermite(y - j);
  Value out;
  const auto add = [&](const Image<double>& nodes, std::size_t at_x, std::size_t at_y) {
    for (std::size_t k = 0; k < 2; ++k) {
      for (std::size_t m = 0; m < 2; ++m) {
        const double node = nodes(j + static_cast<int>(m), i + static_cast<int>(k));
        out.value += node * a.value[at_x + k] * b.value[at_y + m];
        out.dx += node * a.derivative[at_x + k] * b.value[at_y + m];
        out.dy += node * a.value[at_x + k] * b.derivative[at_y + m];
      }
    }
  };
  add(f_, 0, 0);
  add(fx_, 2, 0);
  add(fy_, 0, 2);
  add(fxy_, 2, 2);
  return out;
}

}  // namespace skyloom::numerics
