#pragma once
// Robust statistics: median, scaled median absolute deviation, quantiles. NaN values are left out.

#include <span>
#include <vector>

namespace skyloom::numerics {

/// Median (mean of the two middle values for an even count); NaN without finite values.
double median(std::span<const double> values);

/// 1.4826 * median |v - median(v)|: the standard deviation of a Gaussian; NaN without finite
/// values.
double robust_scatter(std::span<const double> values);

/// Takes out values farther than `n_sigma` standard deviations from the median, until none is or
/// `rounds` times; finite values only. @return the median of what stays, NaN without any
double clip_about_median(std::vector<double>& values, double n_sigma, int rounds);

/// Quantile q in [0, 1] with linear interpolation between order statistics; NaN without finite
/// values.
double quantile(std::span<const double> values, double q);

}  // namespace skyloom::numerics
