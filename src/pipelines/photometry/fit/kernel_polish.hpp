#pragma once
// Last phase of a fit: full steps of every source that still moves, by the Gauss-Newton matrix and
// what the gradients have shown it to lack, until nobody would move by a given part of its error.

#include <vector>

#include "pipelines/photometry/fit/kernel_scene.hpp"
#include "pipelines/photometry/fit/kernel_solve.hpp"

namespace skyloom::photometry::fit {

struct PolishResult {
  bool done = false;       ///< nobody would move any more
  std::vector<int> stuck;  ///< sources whose step, however short, raised the objective
};

/// Takes full steps until no source would move by more than `tolerance` of its errors, at most
/// `budget` steps; 0 only judges. Fills inverse, prior_precision and newton_step of the report and
/// leaves all free sources active.
/// @throws UnitError numerical when the objective is not finite
PolishResult polish(Scene& scene, SolveReport& report, int iterations_before, int budget,
                    double tolerance);

}  // namespace skyloom::photometry::fit
