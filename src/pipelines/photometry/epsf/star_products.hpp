#pragma once
// Sums over the pixels of a star for the normal equations of its parameters and of the shape.

#include <array>
#include <cstddef>
#include <vector>

#include "pipelines/photometry/epsf/joint_fit.hpp"
#include "pipelines/photometry/epsf/star_model.hpp"
#include "pipelines/photometry/epsf/stars.hpp"

namespace skyloom::photometry::epsf {

using Sums = std::array<std::array<double, 9>, 9>;

/// Arrays that sum_products() works in, pixel by pixel.
struct Workspace {
  StampValues values;
  std::vector<float> weight;
  std::vector<float> columns;   // (9, pixels): shape, own, residual
  std::vector<float> weighted;  // the same times the weight
};

/// Sums of weighted products of any two of shape (4: lambda, g1, g2, kappa), own parameters (4:
/// flux, x, y, sky) and residual; without `Shape` those of the shape are 0.
template <bool Shape>
[[nodiscard]] Sums sum_products(const Star& star, const StarModel& model,
                                const Weighting& weighting, Workspace& work);

}  // namespace skyloom::photometry::epsf
