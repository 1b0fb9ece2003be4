#include "kernel_surface.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "skyloom/numerics/dense.hpp"

namespace skyloom::flares {
namespace {

constexpr std::size_t kTerms = 6;
constexpr std::size_t kLeastFlares = 20;
constexpr int kMostSteps = 100;
constexpr double kSettled = 1e-9;
constexpr double kLargestLogit = 30.0;
constexpr double kRidge = 1e-6;

using Terms = std::array<double, kTerms>;

double fraction(const Terms& c, const Terms& x) {
  double logit = 0.0;
  for (std::size_t i = 0; i < kTerms; ++i) {
    logit += c[i] * x[i];
  }
  return 1.0 / (1.0 + std::exp(-std::clamp(logit, -kLargestLogit, kLargestLogit)));
}

Terms terms(const CompletenessSurface& surface, double amplitude, double duration_d) {
  const double a = std::log(amplitude / surface.amplitude_centre);
  const double d = std::log(duration_d / surface.duration_centre);
  return {1.0, a, d, a * a, a * d, d * d};
}

}  // namespace

double CompletenessSurface::at(double amplitude, double duration_d) const {
  return converged ? fraction(coefficients, terms(*this, amplitude, duration_d))
                   : std::numeric_limits<double>::quiet_NaN();
}

CompletenessSurface fit_surface(std::span<const InjectedOutcome> injected) {
  CompletenessSurface out;
  double log_amplitude = 0.0;
  double log_duration = 0.0;
  bool some_found = false;
  bool some_missed = false;
  for (const InjectedOutcome& flare : injected) {
    log_amplitude += std::log(flare.amplitude) / static_cast<double>(injected.size());
    log_duration += std::log(flare.duration_d) / static_cast<double>(injected.size());
    some_found = some_found || flare.recovered > 0;
    some_missed = some_missed || flare.recovered < flare.repeats;
  }
  if (injected.size() < kLeastFlares || !some_found || !some_missed) {
    return out;
  }
  out.amplitude_centre = std::exp(log_amplitude);
  out.duration_centre = std::exp(log_duration);
  std::vector<Terms> rows;
  for (const InjectedOutcome& flare : injected) {
    rows.push_back(terms(out, flare.amplitude, flare.duration_d));
  }
  numerics::SmallCholesky factor;
  for (int step = 0; step < kMostSteps && !out.converged; ++step) {
    Terms change{};
    std::array<double, kTerms * kTerms> curvature{};
    for (std::size_t i = 0; i < kTerms; ++i) {
      curvature[i * kTerms + i] = kRidge;
    }
    for (std::size_t k = 0; k < rows.size(); ++k) {
      const double p = fraction(out.coefficients, rows[k]);
      const double off = injected[k].recovered - injected[k].repeats * p;
      const double weight = injected[k].repeats * p * (1.0 - p);
      for (std::size_t i = 0; i < kTerms; ++i) {
        change[i] += off * rows[k][i];
        for (std::size_t j = 0; j <= i; ++j) {
          curvature[i * kTerms + j] += weight * rows[k][i] * rows[k][j];
        }
      }
    }
    if (!factor.factor(curvature, static_cast<int>(kTerms))) {
      return out;
    }
    factor.solve(change);
    double largest = 0.0;
    for (const double one : change) {
      largest = std::max(largest, std::abs(one));
    }
    for (std::size_t i = 0; i < kTerms; ++i) {
      out.coefficients[i] += change[i] / std::max(1.0, largest);
    }
    out.converged = largest < kSettled;
  }
  return out;
}

}  // namespace skyloom::flares
