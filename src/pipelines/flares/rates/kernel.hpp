#pragma once
// Flare frequency distributions and their power laws, per sector, star and sample.

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "pipelines/flares/rates/kernel_completeness.hpp"

namespace skyloom::flares {

/// A detected flare as the rates see it.
struct FlareEvent {
  double equivalent_duration_s = 0.0;
  double equivalent_duration_error_s = 0.0;
  bool above_limit = false;  ///< of its sector
};

/// Error of an equivalent duration from the length of the flare and the signal-to-noise ratio of a
/// cadence (Vollmann & Eversberg 2006, eq. 6): sqrt(2) |length - ED| / SNR [s].
double equivalent_duration_error(double length_s, double equivalent_duration_s, double snr);

/// A point of a cumulative distribution: this flare and all larger ones.
struct FrequencyPoint {
  std::size_t event = 0;  ///< index of the event it belongs to
  double log10_ed = 0.0;  ///< [log10 s]
  double log10_ed_error = 0.0;
  double log10_rate = 0.0;  ///< [log10 1/d]
  double log10_rate_error = 0.0;
  double log10_corrected = 0.0;  ///< rate / completeness; NaN up to the limit
};

/// Largest first; events whose equivalent duration is not positive are left out. The error of N
/// events is sqrt(N + 0.75) + 1 (Gehrels 1986, eq. 7).
/// @param limit log10 equivalent duration [s] above which rates are corrected; NaN = none
std::vector<FrequencyPoint> frequency_distribution(std::span<const FlareEvent> events, double days,
                                                   const CompletenessCurve& curve, double limit);

/// log10 rate = -slope log10 ED + intercept.
struct PowerLaw {
  double slope = std::numeric_limits<double>::quiet_NaN();
  double slope_error = std::numeric_limits<double>::quiet_NaN();
  double intercept = std::numeric_limits<double>::quiet_NaN();
  double intercept_error = std::numeric_limits<double>::quiet_NaN();
  int points = 0;
};

/// Weighted straight line through the corrected points; nothing below two of them.
PowerLaw fit_power_law(std::span<const FrequencyPoint> points);
/// The same with the slope given: one point is enough.
PowerLaw fit_intercept(std::span<const FrequencyPoint> points, double slope);

/// Days times completeness per bin of equivalent duration, for the bins above the limit of each
/// sector; adds up over sectors.
struct Exposure {
  Exposure() : days(static_cast<std::size_t>(kEquivalentDurationBins.count), 0.0) {}
  /// @param limit NaN: the sector adds nothing
  void add(double of_days, std::span<const double> fractions, double limit);
  [[nodiscard]] static int first_bin(double limit);

  std::vector<double> days;
};

/// Flares above the limits of their sectors, of a star, with what they were searched in.
struct StarSample {
  std::vector<double> log10_ed;
  Exposure exposure;
};

/// Slope of the number above an equivalent duration, N(> ED) = K ED^-slope, by maximum likelihood
/// for a Poisson process whose events are found with the completeness of the exposure. Every star
/// has a K of its own. Free of the correlations of cumulative points.
struct MaximumLikelihood {
  double slope = std::numeric_limits<double>::quiet_NaN();
  double slope_error = std::numeric_limits<double>::quiet_NaN();
  /// log10 of the rate above 1 s of all stars together [log10 1/d], K summed over days.
  double log10_rate = std::numeric_limits<double>::quiet_NaN();
  int flares = 0;
};

/// At least two flares, otherwise nothing.
MaximumLikelihood maximum_likelihood(std::span<const StarSample> stars);

}  // namespace skyloom::flares
