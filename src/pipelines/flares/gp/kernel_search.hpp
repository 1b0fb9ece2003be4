#pragma once
// Search for the best parameters: many starts on binned data, the best refined on all data
// (flares-kernel.md 4.3 and 4.4).

#include <cstddef>
#include <span>
#include <vector>

#include "pipelines/flares/gp/kernel_prior.hpp"
#include "skyloom/numerics/celerite.hpp"

namespace skyloom::flares::gp {

/// Quiet cadences as the likelihood takes them: time from the middle of the sector, y = flux /
/// median - 1, variance of its noise.
struct Samples {
  std::vector<double> time, y, variance, scale;
};

/// Standard deviation and median error of the samples.
Scales scales_of(const Samples& samples, const Rotation& rotation);

/// Means of samples over 24 minutes: as many as that holds of the nominal `cadence` [d], which span
/// less than 25 minutes; scale = 1 / count. Longer bins lose optima of stars that rotate within
/// hours.
Samples binned(const Samples& samples, double cadence);

/// -ln L with the priors, over one set of samples.
class Posterior {
 public:
  /// @param priors false: -ln L alone   The prior must outlive this object.
  Posterior(numerics::KernelFamily family, const Prior& prior, bool priors, const Samples& samples);

  /// 1e20 with gradient 0 where the covariance is not positive definite. @param gradient
  /// (parameters,)
  double operator()(std::span<const double> theta, std::span<double> gradient);
  [[nodiscard]] int evaluations() const { return evaluations_; }
  [[nodiscard]] const Prior& prior() const { return prior_; }
  numerics::CeleriteProcess& process() { return process_; }

 private:
  numerics::KernelFamily family_;
  const Prior& prior_;
  bool priors_;
  numerics::CeleriteProcess process_;
  int evaluations_ = 0;
};

/// One end of a search.
struct Optimum {
  std::vector<double> theta;
  double objective = 0.0;
  int iterations = 0;
  bool converged = false;
  /// Length of every parameter for later searches from here: 1 / sqrt of the curvature.
  std::vector<double> length;
};

/// 1 / sqrt(max(|H_ii|, 1 / sd_i^2)), H_ii by forward differences of the gradient at theta.
std::vector<double> curvature_lengths(Posterior& posterior, std::span<const double> theta);

/// Search in (theta - start) / length from a start. Without that a first step along the raw
/// gradient of 18,000 cadences leaves the basin. @param tolerance of the scaled gradient
Optimum refine(Posterior& posterior, const Optimum& start, int max_iterations, double tolerance);

/// The best optima of `coarse` (the bins) over all starts: at most `keep` different ones, best
/// first, with their lengths.
/// @throws UnitError numerical when no start has a finite likelihood
std::vector<Optimum> search_starts(Posterior& coarse,
                                   const std::vector<std::vector<double>>& starts,
                                   std::size_t keep);

}  // namespace skyloom::flares::gp
