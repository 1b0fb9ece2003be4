#pragma once
// Gaussian mixtures that approximate truncated Sersic profiles of half-light radius 1, tabulated in
// ranges of the index n (after Hogg & Lang 2013). Data only; see profile.cpp for their use.

#include <span>

namespace skyloom::sky {

/// Rows of n, `terms` amplitudes (not normalised), `terms` variances in units of Re^2, ascending n.
struct SersicRange {
  double low;  ///< the range holds for low <= n < high
  double high;
  int terms;
  int rows;
  const double* values;
};

std::span<const SersicRange> sersic_ranges();
/// Pairs (n, fraction of the light in an unresolved core), for n > 1.
std::span<const double> sersic_core_table();

}  // namespace skyloom::sky
