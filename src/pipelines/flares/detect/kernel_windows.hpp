#pragma once
// From kept cadences to the windows of the network: normalisation, gaps, which cadences have a
// window, and probabilities per cadence of one network or an ensemble.

#include <cstdint>
#include <span>
#include <vector>

#include "kernel_network.hpp"

namespace skyloom::flares {

/// Rule for gaps: a step of time of at least median + 1.5 standard deviations (population) of all
/// steps (`peer`), and at least 1.5 medians (`native`: jitter is never a gap).
enum class GapRule { native, peer };
/// What a cadence without a window gets: NaN, or the network's answer to a window of zero flux, as
/// the stella package has it.
enum class Edge { invalid, peer };
enum class Combine { median, mean };

/// What the windows of a light curve are, independent of the network.
struct Windows {
  double median_flux = 0.0;      ///< of all cadences
  double cadence_d = 0.0;        ///< median step of time
  double gap_threshold_d = 0.0;  ///< steps at least as long are gaps
  std::vector<int> gaps;         ///< j: there is a gap between cadences j and j + 1
  /// 1 where a cadence has a window: the 200 samples i - 100 .. i + 99 whatever their spacing, away
  /// from gaps (100 cadences before to 99 after, as the stella package counts).
  std::vector<std::uint8_t> predicted;
};

/// @param time strictly increasing [d] @param flux of the same length, finite
/// @throws UnitError for fewer than 2 cadences, times that do not increase, or a median flux that
/// is
///   not positive
Windows find_windows(std::span<const double> time, std::span<const double> flux, GapRule rule);

/// Relative flux - 1, the difference formed in double.
template <class Real>
std::vector<Real> normalised(std::span<const double> flux, double median_flux);

/// Probability of every cadence from one network. @param y see normalised()
template <class Real>
std::vector<double> flare_probability(const Network<Real>& network, std::span<const Real> y,
                                      const Windows& windows, Edge edge,
                                      NetworkWorkspace<Real>& work);

/// The same from the logits of its windows.
template <class Real>
std::vector<double> flare_probability(const Network<Real>& network, std::span<const double> logits,
                                      const Windows& windows, Edge edge);

/// Probabilities of an ensemble, one row per network, combined per cadence; for an even number the
/// median is the mean of the two middle values. NaN where a network has NaN.
std::vector<double> combined(std::span<const std::vector<double>> models, Combine how);

}  // namespace skyloom::flares
