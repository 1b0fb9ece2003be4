#include "pipelines/flares/gp/kernel_prior.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace skyloom::flares::gp {

namespace {

using numerics::KernelFamily;

/// Largest probability that a peak of white noise is as high.
constexpr double kSignificant = 1e-3;
/// Shorter periods of the smooth term would follow flares.
constexpr double kShortestSmooth_d = 0.2;
constexpr double kBox = 10.0;

/// Place of ln rho_s; ln sigma_s stands before it.
std::size_t smooth_period(KernelFamily family) {
  return family == KernelFamily::rotation_sho ? 6 : 4;
}

/// Change of a start against the prior means, by parameter.
using Shift = std::array<double, numerics::kMaxKernelParameters>;

/// ln period, and (Q0, dQ, sigma_s, rho_s) as in the table of flares-kernel.md 4.4: the middle two
/// of Rotation's parameters are given as they are, not as a change.
std::vector<Shift> rotation_shifts(const Prior& prior) {
  const auto entry = [&](double sigma, double period, double q0, double dq, double sigma_s,
                         double rho_s) {
    return Shift{sigma, period,  q0 - prior.mean[2],    dq - prior.mean[3],
                 0.0,   sigma_s, rho_s - prior.mean[6], -0.5};
  };
  std::vector<Shift> shifts;
  for (const double period : {0.0, -std::numbers::ln2, std::numbers::ln2}) {
    shifts.push_back(entry(0.0, period, 1.0, 1.0, -1.0, 0.0));
    shifts.push_back(entry(0.0, period, -3.0, 4.0, -0.5, -0.5));
    shifts.push_back(entry(0.0, period, 3.5, 1.5, -1.0, -1.0));
  }
  shifts.push_back(entry(-2.0, 0.0, 3.0, 1.0, 0.0, -0.5));
  shifts.push_back(entry(0.0, 0.0, 4.0, 2.0, -2.0, -1.2));
  shifts.push_back(entry(-1.5, 0.0, 0.0, 0.0, -0.5, 0.7));
  shifts.push_back(entry(0.0, 0.0, -3.0, 5.0, 0.5, 2.0));
  return shifts;
}

/// The same for two oscillators: sigma_1, rho_1, tau_1, sigma_2, rho_2.
std::vector<Shift> two_shifts() {
  std::vector<Shift> shifts;
  for (const double period : {0.0, -std::numbers::ln2, std::numbers::ln2}) {
    shifts.push_back({0.0, period, period, -1.0, 0.0, -0.5});
    shifts.push_back({0.0, period, period - 1.5, -0.5, -0.5, -0.5});
    shifts.push_back({0.0, period, period + 2.5, -1.0, -1.0, -0.5});
  }
  shifts.push_back({-2.0, 0.0, 2.0, 0.0, -0.5, -0.5});
  shifts.push_back({0.0, 0.0, 3.0, -2.0, -1.2, -0.5});
  shifts.push_back({-1.5, 0.0, -1.0, -0.5, 0.7, -0.5});
  shifts.push_back({0.0, 0.0, -2.5, 0.5, 2.0, -0.5});
  return shifts;
}

}  // namespace

Prior make_prior(KernelFamily family, const Scales& scales) {
  const bool known = scales.rotation.false_alarm < kSignificant;
  const double ln_period = std::log(known ? scales.rotation.period_d : 5.0);
  const double sd_period = known ? 0.2 : 2.0;
  const double ln_sigma = std::log(scales.scatter);
  const double ln_jitter = std::log(scales.median_error);
  Prior prior;
  if (family == KernelFamily::rotation_sho) {
    prior.mean = {ln_sigma, ln_period, 1.0, 1.0, std::log(0.5), ln_sigma, 0.0, ln_jitter};
    prior.sd = {2.0, sd_period, 2.0, 2.0, 1.0, 2.0, 1.5, 2.0};
  } else {
    // ln Q ~ N(1, 2^2) as for the rotation term, with tau = Q rho / pi.
    prior.mean = {ln_sigma, ln_period, ln_period + 1.0 - std::log(std::numbers::pi),
                  ln_sigma, 0.0,       ln_jitter};
    prior.sd = {2.0, sd_period, 2.0, 2.0, 1.5, 2.0};
  }
  for (const double mean : prior.mean) {
    prior.lower.push_back(mean - kBox);
    prior.upper.push_back(mean + kBox);
  }
  prior.lower[smooth_period(family)] = std::log(kShortestSmooth_d);
  return prior;
}

std::vector<std::vector<double>> starting_points(KernelFamily family, const Prior& prior) {
  const std::vector<Shift> shifts =
      family == KernelFamily::rotation_sho ? rotation_shifts(prior) : two_shifts();
  std::vector<std::vector<double>> starts;
  for (const Shift& shift : shifts) {
    std::vector<double> theta = prior.mean;
    for (std::size_t i = 0; i < theta.size(); ++i) {
      theta[i] = std::clamp(theta[i] + shift[i], prior.lower[i], prior.upper[i]);
    }
    starts.push_back(std::move(theta));
  }
  return starts;
}

std::vector<double> with_short_smooth_term(KernelFamily family, const Prior& prior,
                                           std::vector<double> theta) {
  const std::size_t rho = smooth_period(family);
  theta[rho - 1] =
      std::clamp(prior.mean[rho - 1] - 1.0, prior.lower[rho - 1], prior.upper[rho - 1]);
  theta[rho] = -1.2;
  return theta;
}

}  // namespace skyloom::flares::gp
