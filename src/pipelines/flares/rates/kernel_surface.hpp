#pragma once
// Completeness of a star as a smooth function of amplitude and duration: which probability a flare
// of known shape has to be found.

#include <array>
#include <limits>
#include <span>

namespace skyloom::flares {

/// An injected flare and how many of its repeats were found.
struct InjectedOutcome {
  double amplitude = 0.0;
  double duration_d = 0.0;
  double equivalent_duration_s = 0.0;
  double log10_energy_erg = 0.0;  ///< NaN = unknown
  int repeats = 0;
  int recovered = 0;
};

/// 1 / (1 + exp(-(c0 + c1 a + c2 d + c3 a^2 + c4 a d + c5 d^2))), a = ln(amplitude / centre) and
/// d = ln(duration / centre).
struct CompletenessSurface {
  double amplitude_centre = std::numeric_limits<double>::quiet_NaN();
  double duration_centre = std::numeric_limits<double>::quiet_NaN();  ///< [d]
  std::array<double, 6> coefficients{};
  bool converged = false;

  [[nodiscard]] double at(double amplitude, double duration_d) const;
};

/// Logistic regression: maximum of the binomial likelihood (Newton), centres at the mean
/// logarithms. Not converged when all or none are recovered, or below 20 flares.
CompletenessSurface fit_surface(std::span<const InjectedOutcome> injected);

}  // namespace skyloom::flares
