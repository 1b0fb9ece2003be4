#include "pipelines/photometry/epsf/star_products.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>

#include "skyloom/numerics/float_lanes.hpp"

namespace skyloom::photometry::epsf {
namespace {

constexpr float kHuber = 4.0F;
constexpr float kCut = 25.0F;

/// Where a row of products has its entries: shape (4), own (flux, x, y, sky), residual.
constexpr std::size_t kFlux = 4;
constexpr std::size_t kSky = 7;
constexpr std::size_t kResidual = 8;

/// Weights and residuals of a star's pixels: inverse variance, reduced beyond 4 sigma (Huber), 0
/// beyond 25.
void weigh(const Star& star, const Weighting& weighting, const float* p, float* weight,
           float* residual) {
  const auto flux = static_cast<float>(star.row.flux);
  const auto sky = static_cast<float>(star.row.sky);
  const auto per_gain = static_cast<float>(weighting.gain > 0.0 ? 1.0 / weighting.gain : 0.0);
  const auto error2 = static_cast<float>(weighting.model_error * weighting.model_error);
  const float* data = star.data.data();
  const float* neighbours = star.neighbours.data();
  const float* variance = star.variance.data();
  const std::uint8_t* masked = star.masked.data();
  const std::uint8_t* clipped = star.clipped.data();
  const std::size_t count = star.data.size();
  for (std::size_t k = 0; k < count; ++k) {
    const float light = flux * p[k];
    const float bright = light > 0.0F ? light : 0.0F;
    const float noise2 = variance[k] + bright * per_gain + error2 * bright * bright;
    const float difference = data[k] - neighbours[k] - sky - light;
    const float square = difference * difference;
    const float far = kHuber / std::sqrt(square * noise2);
    float value = square <= kHuber * kHuber * noise2 ? 1.0F / noise2 : far;
    value = square <= kCut * kCut * noise2 ? value : 0.0F;
    const bool good = (masked[k] | clipped[k]) == 0;
    weight[k] = good ? value : 0.0F;
    residual[k] = good ? difference : 0.0F;
  }
}

}  // namespace

template <bool Shape>
Sums sum_products(const Star& star, const StarModel& model, const Weighting& weighting,
                  Workspace& work) {
  model.fill<Shape>(star.box, star.row.x, star.row.y, work.values);
  const std::size_t count = star.data.size();
  work.weight.resize(count);
  work.columns.resize(9 * count);
  work.weighted.resize(9 * count);
  const auto column = [&](std::size_t c) { return work.columns.data() + c * count; };
  weigh(star, weighting, work.values.p.data(), work.weight.data(), column(kResidual));
  const auto flux = static_cast<float>(star.row.flux);
  const auto put = [&](std::size_t c, const std::vector<float>& values, float factor) {
    std::transform(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count), column(c),
                   [factor](float value) { return factor * value; });
  };
  if constexpr (Shape) {
    put(0, work.values.lambda, flux);
    put(1, work.values.g1, flux);
    put(2, work.values.g2, flux);
    put(3, work.values.kappa, flux);
  }
  put(kFlux, work.values.p, 1.0F);
  // A star that moves by +dx takes the pixel's offset by -dx.
  put(kFlux + 1, work.values.pu, -flux);
  put(kFlux + 2, work.values.pv, -flux);
  std::fill_n(column(kSky), count, 1.0F);
  constexpr std::size_t kFirst = Shape ? 0 : kFlux;
  // Far from a faint star only flux and sky are at stake: what a wrong model would have there says
  // nothing about shape and place.
  const double reach = model.useful_radius(star.row.flux, star.sigma_sky);
  std::size_t k = 0;
  for (int y = star.box.y0; y < star.box.y1; ++y) {
    for (int x = star.box.x0; x < star.box.x1; ++x, ++k) {
      const double u = x - star.row.x;
      const double v = y - star.row.y;
      if (u * u + v * v >= reach * reach) {
        for (const std::size_t c : {0UL, 1UL, 2UL, 3UL, kFlux + 1, kFlux + 2}) {
          column(c)[k] = 0.0F;
        }
      }
    }
  }
  for (std::size_t c = kFirst; c < 9; ++c) {
    std::transform(column(c), column(c) + count, work.weight.begin(),
                   work.weighted.begin() + static_cast<std::ptrdiff_t>(c * count),
                   std::multiplies<>());
  }
  const auto pixels = static_cast<std::ptrdiff_t>(count);
  Sums sum{};
  numerics::products({work.weighted.data() + kFirst * count, pixels}, pixels, 9 - kFirst,
                     {column(kFirst), pixels}, pixels, 9 - kFirst, true, 1, static_cast<int>(count),
                     &sum[kFirst][kFirst], 9);
  for (std::size_t i = 0; i < 9; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      sum[i][j] = sum[j][i];
    }
  }
  return sum;
}

template Sums sum_products<true>(const Star&, const StarModel&, const Weighting&, Workspace&);
template Sums sum_products<false>(const Star&, const StarModel&, const Weighting&, Workspace&);

}  // namespace skyloom::photometry::epsf
