#pragma once
// Generalised Lomb-Scargle periodogram (Zechmeister & Kuerster 2009, A&A 496, 577): a sinusoid with
// a floating mean, equal weights, power as the fraction of the variance that it explains.

#include <span>

namespace skyloom::numerics {

struct PeriodogramPeak {
  double frequency = 0.0;
  double power = 0.0;   ///< 0 to 1
  int frequencies = 0;  ///< number searched
  /// Probability that white noise has a peak as high anywhere in the range (Baluev 2008, MNRAS 385,
  /// 1279, eq. 6 with the effective length of the series).
  double false_alarm = 1.0;
};

/// Highest peak among the frequencies first, first + step, ... up to `last`. Cost O(n) per
/// frequency; the phases advance by recurrence.
/// @param time (n,)   @param y (n,), finite   @param step positive
/// @return no frequencies for fewer than 4 points or constant y
PeriodogramPeak periodogram_peak(std::span<const double> time, std::span<const double> y,
                                 double first, double last, double step);

}  // namespace skyloom::numerics
