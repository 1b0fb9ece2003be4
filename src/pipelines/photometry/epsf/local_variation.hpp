#pragma once
// Small-scale variation of the shape over the field: a Gaussian process per shape component on the
// stars' excess shapes (Rasmussen & Williams 2006, ch. 2), used only where the likelihood asks.

#include <array>
#include <vector>

#include "pipelines/photometry/epsf/stars.hpp"
#include "skyloom/sky/field_psf.hpp"

namespace skyloom::photometry::epsf {

struct LocalVariation {
  bool used = false;
  double gain = 0.0;    ///< of ln likelihood over no variation
  double length = 0.0;  ///< scaled field units
  std::array<double, 3> tau = {0.0, 0.0, 0.0};
  sky::FieldPsfModel model;  ///< with the process when it is used
};

/// @param stars with up-to-date excess shapes over `model`
[[nodiscard]] LocalVariation fit_local_variation(const sky::FieldPsfModel& model,
                                                 const std::vector<Star>& stars);

}  // namespace skyloom::photometry::epsf
