#include "skyloom/numerics/celerite_terms.hpp"

#include <cassert>
#include <cmath>
#include <numbers>

namespace skyloom::numerics {

namespace {

constexpr std::array<std::string_view, 8> kRotationNames{
    "ln_sigma", "ln_period", "ln_Q0", "ln_dQ", "ln_f", "ln_sigma_s", "ln_rho_s", "ln_jitter"};
constexpr std::array<std::string_view, 6> kTwoNames{"ln_sigma1", "ln_rho1", "ln_tau1",
                                                    "ln_sigma2", "ln_rho2", "ln_jitter"};

constexpr std::size_t kPartials = kMaxKernelParameters;

/// A number with its derivatives by the parameters.
struct Dual {
  double value = 0.0;
  std::array<double, kPartials> partial{};
};

/// g(a) with derivative dg.
Dual mapped(const Dual& a, double g, double dg) {
  Dual out{g, {}};
  for (std::size_t i = 0; i < kPartials; ++i) {
    out.partial[i] = dg * a.partial[i];
  }
  return out;
}

Dual operator+(const Dual& a, const Dual& b) {
  Dual out{a.value + b.value, {}};
  for (std::size_t i = 0; i < kPartials; ++i) {
    out.partial[i] = a.partial[i] + b.partial[i];
  }
  return out;
}

Dual operator*(const Dual& a, const Dual& b) {
  Dual out{a.value * b.value, {}};
  for (std::size_t i = 0; i < kPartials; ++i) {
    out.partial[i] = a.partial[i] * b.value + a.value * b.partial[i];
  }
  return out;
}

Dual operator*(double a, const Dual& b) {
  return mapped(b, a * b.value, a);
}
Dual operator+(double a, const Dual& b) {
  return mapped(b, a + b.value, 1.0);
}
Dual operator/(const Dual& a, const Dual& b) {
  return a * mapped(b, 1.0 / b.value, -1.0 / (b.value * b.value));
}

/// exp of parameter number i.
Dual parameter(std::span<const double> theta, std::size_t i) {
  Dual out{std::exp(theta[i]), {}};
  out.partial[i] = out.value;
  return out;
}

/// sqrt(a), held at the square root of 1e-5 from below: b = a0 / f would have no limit at critical
/// damping.
Dual guarded_root(const Dual& a) {
  constexpr double kLeast = 1e-5;
  if (a.value < kLeast) {
    return {std::sqrt(kLeast), {}};
  }
  const double root = std::sqrt(a.value);
  return mapped(a, root, 0.5 / root);
}

void store(KernelPoint& point, bool overdamped, const std::array<Dual, 4>& coefficients) {
  const auto o = static_cast<std::size_t>(point.kernel.count++);
  point.kernel.oscillator[o].overdamped = overdamped;
  for (std::size_t k = 0; k < 4; ++k) {
    point.kernel.oscillator[o].coefficient[k] = coefficients[k].value;
    point.jacobian[o][k] = coefficients[k].partial;
  }
}

/// SHO term of variance S0 w0 Q.
void add_oscillator(KernelPoint& point, const Dual& variance, const Dual& w0, const Dual& q) {
  const Dual four_q2 = 4.0 * (q * q);
  const Dual half_rate = w0 / (2.0 * q);
  if (q.value >= 0.5) {
    const Dual f = guarded_root(-1.0 + four_q2);
    store(point, false, {variance, variance / f, half_rate, half_rate * f});
    return;
  }
  const Dual f = guarded_root(1.0 + (-1.0 * four_q2));
  const Dual part = (0.5 * variance) / f;
  store(point, true,
        {0.5 * variance + part, half_rate * (1.0 + (-1.0 * f)), 0.5 * variance + (-1.0 * part),
         half_rate * (1.0 + f)});
}

/// Angular frequency w0 whose damped oscillation of quality q has the given period.
Dual undamped_frequency(const Dual& period, const Dual& q) {
  const Dual four_q2 = -1.0 + 4.0 * (q * q);
  const double root = std::sqrt(four_q2.value);
  return (4.0 * std::numbers::pi * q) / (period * mapped(four_q2, root, 0.5 / root));
}

}  // namespace

std::span<const std::string_view> parameter_names(KernelFamily family) {
  if (family == KernelFamily::sho2) {
    return kTwoNames;
  }
  return kRotationNames;
}

void KernelPoint::chain(const CeleriteGradient& gradient, std::span<double> out) const {
  const auto n = static_cast<std::size_t>(parameters);
  assert(out.size() == n);
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = 0.0;
    for (std::size_t o = 0; o < static_cast<std::size_t>(kernel.count); ++o) {
      for (std::size_t k = 0; k < 4; ++k) {
        out[i] += gradient.coefficient[o][k] * jacobian[o][k][i];
      }
    }
  }
  out[n - 1] = 2.0 * white_variance * gradient.white_variance;
}

KernelPoint kernel_point(KernelFamily family, std::span<const double> theta) {
  KernelPoint point;
  point.parameters = static_cast<int>(parameter_names(family).size());
  assert(static_cast<int>(theta.size()) == point.parameters);
  point.white_variance = std::exp(2.0 * theta.back());
  const Dual quarter{0.25, {}};
  const Dual two_pi{2.0 * std::numbers::pi, {}};
  const auto squared = [&](std::size_t i) {
    const Dual value = parameter(theta, i);
    return value * value;
  };
  if (family == KernelFamily::sho2) {
    const Dual w0 = two_pi / parameter(theta, 1);
    add_oscillator(point, squared(0), w0, 0.5 * (w0 * parameter(theta, 2)));
    add_oscillator(point, squared(3), two_pi / parameter(theta, 4), quarter);
    return point;
  }
  const Dual f = parameter(theta, 4);
  const Dual period = parameter(theta, 1);
  const Dual first = squared(0) / (1.0 + f);
  const Dual q2 = 0.5 + parameter(theta, 2);
  const Dual q1 = q2 + parameter(theta, 3);
  add_oscillator(point, first, undamped_frequency(period, q1), q1);
  add_oscillator(point, f * first, undamped_frequency(0.5 * period, q2), q2);
  add_oscillator(point, squared(5), two_pi / parameter(theta, 6), quarter);
  return point;
}

}  // namespace skyloom::numerics
