#pragma once
// The parameters of celerite covariances: damped oscillators driven by white noise (SHO terms;
// Foreman-Mackey et al. 2017, AJ 154, 220, section 4) and the rotation term made of two of them at
// a period and its half. Logarithms of the parameters, with derivatives.

#include <array>
#include <span>
#include <string_view>

#include "skyloom/numerics/celerite.hpp"

namespace skyloom::numerics {

/// Covariances of a rotating star, with a white variance s^2 beside the measured one.
enum class KernelFamily {
  /// Rotation + SHO(Q = 1/4). ln of: sigma, period, Q0, dQ, f, sigma_s, rho_s, s. The oscillator at
  /// the period has Q = 1/2 + Q0 + dQ and variance sigma^2 / (1 + f), that at half the period
  /// Q = 1/2 + Q0 and f times this variance.
  rotation_sho,
  /// Two SHO terms, the second with Q = 1/4. ln of: sigma_1, rho_1, tau_1, sigma_2, rho_2, s. rho =
  /// 2 pi / w0 is the undamped period, tau = 2 Q / w0 the damping time.
  sho2,
};

constexpr int kMaxKernelParameters = 8;

/// Names of the parameters in order, such as "ln_period".
std::span<const std::string_view> parameter_names(KernelFamily family);

/// A covariance with derivatives by the logarithms of its parameters.
struct KernelPoint {
  CeleriteKernel kernel;
  double white_variance = 0.0;
  int parameters = 0;
  /// [oscillator][coefficient][parameter], without the last parameter, which is ln s.
  std::array<std::array<std::array<double, kMaxKernelParameters>, 4>, kMaxOscillators> jacobian{};

  /// Gradient by the parameters from that by the coefficients. @param out (parameters,)
  void chain(const CeleriteGradient& gradient, std::span<double> out) const;
};

/// @param theta logarithms of the parameters in the order of `parameter_names`
KernelPoint kernel_point(KernelFamily family, std::span<const double> theta);

}  // namespace skyloom::numerics
