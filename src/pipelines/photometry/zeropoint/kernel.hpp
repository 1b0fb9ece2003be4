#pragma once
// The zero point of a band from stars of known magnitude (photometry.md 12): clipped, then a
// weighted median. Pure.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace skyloom::photometry::zeropoint {

/// A star with a known magnitude and a positive measured flux.
struct Star {
  double mag = 0.0;
  double flux = 0.0;
  double flux_err = 0.0;  ///< not finite or not positive = unknown
  bool converged = true;  ///< only converged fits count
};

struct Options {
  double clip_sigma = 3.0;
  int clip_max_iters = 10;
};

/// One star's say.
struct Estimate {
  double zp_mag = 0.0;
  double err_mag = 0.0;  ///< NaN = unknown
  bool kept = false;
  bool clipped = false;
};

struct ZeroPoint {
  double zp_mag = std::numeric_limits<double>::quiet_NaN();       ///< NaN = no star was kept
  double scatter_mag = std::numeric_limits<double>::quiet_NaN();  ///< of the kept around it
  std::size_t n_raw = 0;                                          ///< converged
  std::size_t n_kept = 0;
  std::size_t n_clipped = 0;
  std::size_t n_nonconverged = 0;
  std::vector<Estimate> stars;  ///< of every star given
};

/// Which values survive clipping: rounds of median and robust scatter (1.4826 MAD, of the half of
/// the kept with the smaller errors), each applied to all values, so that one clipped early can
/// come back. The limit is clip_sigma times that scatter and the value's own error in quadrature:
/// faint stars scatter more and are no outliers for that. Stops when nothing changes, with fewer
/// than 3 kept, or without scatter.
/// @param errors (n,) of the values; NaN = unknown, counts as 0
std::vector<std::uint8_t> clip(std::span<const double> values, std::span<const double> errors,
                               const Options& options);

/// First value, in increasing order, where the cumulative weight reaches half of the total; NaN
/// without values. Weights must be positive.
double weighted_median(std::span<const double> values, std::span<const double> weights);

/// Weighted median of the kept stars with a known error, and their scatter: 1.4826 times the
/// median, with the same weights, of the distances from it. To every error the robust scatter of
/// the better-measured half is added in quadrature before weighting: errors of the PSF, the flat
/// field and the star's own magnitude do not fall with its brightness, and without such a floor the
/// few brightest stars would decide.
ZeroPoint measure(std::span<const Star> stars, const Options& options);

struct Magnitude {
  double mag = std::numeric_limits<double>::quiet_NaN();
  double err_mag = std::numeric_limits<double>::quiet_NaN();
};

/// Magnitude of a flux; missing for fluxes that are not positive and without a zero point. The
/// error holds the scatter of the zero point's stars.
Magnitude magnitude(double flux, double flux_err, const ZeroPoint& zero_point);

}  // namespace skyloom::photometry::zeropoint
