#pragma once
// Completeness of the flare search from injected flares: recovered fractions in bins, with binomial
// errors, and logistic curves through them.

#include <cstdint>
#include <limits>
#include <vector>

namespace skyloom::flares {

/// Bins of equal width in log10 of a positive quantity, the same for every sector, so that counts
/// of sectors add up.
struct LogBins {
  double low = 0.0;    ///< log10 of the lower edge of bin 0
  double width = 0.0;  ///< [dex]
  int count = 0;

  /// Bin of a value, the first or last one beyond the ends; -1 for a value that is not positive.
  [[nodiscard]] int bin_of(double value) const;
  [[nodiscard]] double edge(int bin) const { return low + width * bin; }
  [[nodiscard]] double middle(int bin) const { return edge(bin) + 0.5 * width; }
  friend bool operator==(const LogBins&, const LogBins&) = default;
};

inline constexpr LogBins kEquivalentDurationBins{-3.0, 0.05, 200};  ///< [s]
inline constexpr LogBins kAmplitudeBins{-5.0, 0.1, 70};             ///< [-]
inline constexpr LogBins kDurationBins{-5.0, 0.1, 60};              ///< [d]
inline constexpr LogBins kEnergyBins{26.0, 0.2, 70};                ///< [erg]

/// Trials and recoveries per bin.
struct Counts {
  explicit Counts(const LogBins& of);
  void add(double value, std::int64_t of_trials, std::int64_t of_recovered);
  void add(const Counts& other);

  LogBins bins;
  std::vector<std::int64_t> trials;
  std::vector<std::int64_t> recovered;
};

/// Error of a recovered fraction C of N trials: sqrt((C (1 - C) + 1 / (2 N)) / N), which does not
/// vanish at 0 and 1. NaN without trials.
double fraction_error(std::int64_t recovered, std::int64_t trials);

/// ceiling / (1 + exp(-steepness (x - middle))), x the value itself or its log10.
struct CompletenessCurve {
  bool logarithmic = true;
  double steepness = std::numeric_limits<double>::quiet_NaN();
  double middle = std::numeric_limits<double>::quiet_NaN();
  double ceiling = std::numeric_limits<double>::quiet_NaN();
  bool converged = false;

  [[nodiscard]] double at(double value) const;
  /// log10 of the value at which the curve is 0.5; NaN where it never is, or not above 0.
  [[nodiscard]] double log10_half() const;
};

/// Least squares (Levenberg-Marquardt) with binomial weights, those of the curve itself in the end.
/// `logarithmic`: x = log10 of the
/// value, ceiling free up to 1; otherwise x the value and the ceiling 0.96, from (0.37, 4.5), as in
/// published analyses. Not converged when bins with trials are fewer than the parameters, or when
/// everything or nothing is recovered.
CompletenessCurve fit_curve(const Counts& counts, bool logarithmic);

/// Recovered fraction in every bin without a model: of the bin and as many neighbours on both sides
/// as give `least` trials. 0 everywhere without trials.
std::vector<double> smoothed_fractions(const Counts& counts, std::int64_t least = 200);

}  // namespace skyloom::flares
