#pragma once
// Gaussian-process model of the quiet star from one sector (flares.md 6): rotation period, best
// parameters from many starts, mean and variance at every cadence. Pure; PETSc must be initialised.

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "skyloom/numerics/celerite_terms.hpp"

namespace skyloom::flares::gp {

struct Options {
  numerics::KernelFamily family = numerics::KernelFamily::rotation_sho;
  bool priors = true;       ///< false: maximum likelihood within the same bounds
  double clip_sigma = 4.0;  ///< two-sided clip after the first fit; 0 = no clip, no second fit
};

/// The kept cadences of a sector.
struct LightCurve {
  std::span<const double> time;         ///< (n,) days, strictly increasing
  std::span<const double> flux;         ///< (n,) finite
  std::span<const double> flux_err;     ///< (n,) unit of flux; NaN or <= 0 leaves the cadence out
  std::span<const std::uint8_t> flare;  ///< (n,) 1 = in a flare: left out
};

/// Highest peak of the periodogram of the quiet cadences (6.3).
struct Rotation {
  double period_d = std::numeric_limits<double>::quiet_NaN();
  double power = 0.0;
  double false_alarm = 1.0;
  int frequencies = 0;
};

struct Model {
  Rotation rotation;
  std::vector<double> theta;  ///< parameters, order of numerics::parameter_names
  double log_likelihood = 0.0;
  double objective = 0.0;  ///< -ln L + half the sum of squared prior deviations
  double constant = 0.0;   ///< constant mean of flux / median - 1
  double median_flux = 0.0;
  int iterations = 0;      ///< of the last search on all cadences
  int evaluations = 0;     ///< of the likelihood with gradient, all searches together
  bool converged = false;  ///< the last search met its tolerance
  std::vector<std::uint8_t>
      used;  ///< (n,) 1 = conditions the model: quiet, with error, not clipped
  std::size_t n_used = 0;
  std::size_t n_clipped = 0;
  std::vector<double> mean;      ///< (n,) unit of flux
  std::vector<double> variance;  ///< (n,) unit of flux squared, of the process without noise
};

/// Fits and predicts. Time is taken from the middle of the sector, flux from its median over all
/// cadences.
/// @throws UnitError no_good_data with fewer than 50 usable cadences, or a median flux that is not
///   positive; numerical when no start has a finite likelihood
Model fit(const LightCurve& curve, const Options& options);

/// 0.1 to 10 per day in steps of 1 / (5 T), T the time span (6.3). @param y (n,), finite
Rotation rotation_period(std::span<const double> time, std::span<const double> y);

}  // namespace skyloom::flares::gp
