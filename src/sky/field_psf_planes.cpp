// The field-wise PSF as a sum of fixed stamps: its shape has three numbers, which vary little over
// a frame, so a stamp is a short Chebyshev series in them.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "skyloom/sky/field_psf.hpp"

namespace skyloom::sky {

namespace {

/// Largest error of a sum of planes, as a fraction of the peak.
constexpr double kTolerance = 2e-5;

std::array<double, 3> numbers_of(const PsfShape& shape) {
  return {shape.lambda, shape.g1, shape.g2};
}

/// T_0 .. T_3 at t.
std::array<double, 4> chebyshev(double t) {
  return {1.0, t, 2.0 * t * t - 1.0, t * (4.0 * t * t - 3.0)};
}

/// Calls f(i, j, k, number) for all products of total degree up to `degree`.
template <class F>
void for_terms(int degree, F&& f) {
  std::size_t number = 0;
  for (int i = 0; i <= degree; ++i) {
    for (int j = 0; i + j <= degree; ++j) {
      for (int k = 0; i + j + k <= degree; ++k) {
        f(static_cast<std::size_t>(i), static_cast<std::size_t>(j), static_cast<std::size_t>(k),
          number++);
      }
    }
  }
}

std::size_t term_count(int degree) {
  std::size_t count = 0;
  for_terms(degree, [&count](std::size_t, std::size_t, std::size_t, std::size_t) { ++count; });
  return count;
}

}  // namespace

void FieldPsf::find_shape_range() const {
  constexpr int kSteps = 16;
  std::array<double, 3> low{};
  std::array<double, 3> high{};
  for (int j = 0; j <= kSteps; ++j) {
    for (int i = 0; i <= kSteps; ++i) {
      const auto at =
          numbers_of(shape(double(i) / kSteps * model_.width, double(j) / kSteps * model_.height));
      for (std::size_t a = 0; a < 3; ++a) {
        low[a] = i + j == 0 ? at[a] : std::min(low[a], at[a]);
        high[a] = i + j == 0 ? at[a] : std::max(high[a], at[a]);
      }
    }
  }
  for (std::size_t a = 0; a < 3; ++a) {
    expansion_.centre[a] = 0.5 * (low[a] + high[a]);
    // Sources may lie a little outside the frame, and between the places looked at.
    expansion_.half_range[a] = std::max(1e-6, 0.55 * (high[a] - low[a]));
  }
}

void FieldPsf::make_planes(int degree) const {
  expansion_.degree = degree;
  const int side = (stamp_size_ * oversampling_) | 1;
  const double step = 1.0 / oversampling_;
  const double start = -0.5 * step * (side - 1);
  const auto size = static_cast<std::size_t>(side) * static_cast<std::size_t>(side);
  const int nodes = degree + 1;
  std::vector<std::vector<double>> sum(term_count(degree), std::vector<double>(size, 0.0));
  std::vector<double> values(size);
  const auto node = [nodes](int i) { return std::cos(std::numbers::pi * (i + 0.5) / nodes); };
  for (int n = 0; n < nodes * nodes * nodes; ++n) {
    const std::array<double, 3> t{node(n % nodes), node(n / nodes % nodes),
                                  node(n / (nodes * nodes))};
    std::array<double, 3> s{};
    std::array<std::array<double, 4>, 3> cheb{};
    for (std::size_t a = 0; a < 3; ++a) {
      s[a] = expansion_.centre[a] + expansion_.half_range[a] * t[a];
      cheb[a] = chebyshev(t[a]);
    }
    fill({s[0], s[1], s[2]}, start, start, step, side, values.data());
    for_terms(degree, [&](std::size_t i, std::size_t j, std::size_t k, std::size_t number) {
      // Discrete orthogonality of the polynomials on their nodes.
      const double norm =
          (i > 0 ? 2.0 : 1.0) * (j > 0 ? 2.0 : 1.0) * (k > 0 ? 2.0 : 1.0) / (nodes * nodes * nodes);
      const double factor = norm * cheb[0][i] * cheb[1][j] * cheb[2][k];
      for (std::size_t p = 0; p < size; ++p) {
        sum[number][p] += factor * values[p];
      }
    });
  }
  expansion_.planes.clear();
  for (const auto& plane : sum) {
    PsfStamp stamp{Image<float>(side, side), oversampling_};
    std::transform(plane.begin(), plane.end(), stamp.values.pixels().begin(),
                   [](double value) { return static_cast<float>(value); });
    expansion_.planes.push_back(std::move(stamp));
  }
}

bool FieldPsf::planes_agree() const {
  std::vector<double> weight(expansion_.planes.size());
  // Corners, edges and places between, where Chebyshev series are worst.
  for (const auto& [fx, fy] : {std::pair{0.0, 0.0}, std::pair{1.0, 0.0}, std::pair{0.0, 1.0},
                               std::pair{1.0, 1.0}, std::pair{0.5, 0.0}, std::pair{0.3, 0.7}}) {
    const double x = fx * model_.width;
    const double y = fy * model_.height;
    const PsfStamp exact = make_stamp(x, y);
    plane_weights(x, y, weight);
    double worst = 0.0;
    double peak = 0.0;
    for (std::size_t p = 0; p < exact.values.pixels().size(); ++p) {
      double value = 0.0;
      for (std::size_t k = 0; k < weight.size(); ++k) {
        value += weight[k] * static_cast<double>(expansion_.planes[k].values.pixels()[p]);
      }
      const auto wanted = static_cast<double>(exact.values.pixels()[p]);
      worst = std::max(worst, std::abs(value - wanted));
      peak = std::max(peak, wanted);
    }
    if (!(worst <= kTolerance * peak)) {
      return false;
    }
  }
  return true;
}

std::span<const PsfStamp> FieldPsf::planes() const {
  if (!expansion_.tried && !constant_) {
    find_shape_range();
    make_planes(2);
    if (!planes_agree()) {
      make_planes(3);
      if (!planes_agree()) {
        expansion_.planes.clear();
      }
    }
  }
  expansion_.tried = true;
  return expansion_.planes;
}

void FieldPsf::plane_weights(double x, double y, std::span<double> weight) const {
  const auto s = numbers_of(shape(x, y));
  std::array<std::array<double, 4>, 3> cheb{};
  for (std::size_t a = 0; a < 3; ++a) {
    cheb[a] = chebyshev((s[a] - expansion_.centre[a]) / expansion_.half_range[a]);
  }
  for_terms(expansion_.degree,
            [&](std::size_t i, std::size_t j, std::size_t k, std::size_t number) {
              weight[number] = cheb[0][i] * cheb[1][j] * cheb[2][k];
            });
}

}  // namespace skyloom::sky
