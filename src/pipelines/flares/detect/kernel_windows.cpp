#include "kernel_windows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "skyloom/core/errors.hpp"
#include "skyloom/numerics/robust.hpp"

namespace skyloom::flares {
namespace {

constexpr int kPad = WindowNetwork::kWindow / 2;

double population_scatter(const std::vector<double>& values) {
  double mean = 0.0;
  for (const double value : values) {
    mean += value / static_cast<double>(values.size());
  }
  double square = 0.0;
  for (const double value : values) {
    square += (value - mean) * (value - mean) / static_cast<double>(values.size());
  }
  return std::sqrt(square);
}

double middle(std::vector<double>& values) {
  const auto half = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), half, values.end());
  return values.size() % 2 == 1 ? *half : 0.5 * (*std::max_element(values.begin(), half) + *half);
}

}  // namespace

Windows find_windows(std::span<const double> time, std::span<const double> flux, GapRule rule) {
  const int n = static_cast<int>(time.size());
  if (n < 2) {
    throw UnitError(Reason::no_good_data, "fewer than two cadences");
  }
  std::vector<double> steps;
  for (std::size_t i = 1; i < time.size(); ++i) {
    steps.push_back(time[i] - time[i - 1]);
    if (!(steps.back() > 0.0)) {
      throw UnitError(Reason::bad_input,
                      "time does not increase after cadence " + std::to_string(i - 1));
    }
  }
  Windows out;
  out.median_flux = numerics::median(flux);
  if (!(out.median_flux > 0.0) || !std::isfinite(out.median_flux)) {
    throw UnitError(Reason::no_good_data, "the median flux is not positive");
  }
  out.cadence_d = numerics::median(steps);
  out.gap_threshold_d = out.cadence_d + 1.5 * population_scatter(steps);
  if (rule == GapRule::native) {
    out.gap_threshold_d = std::max(out.gap_threshold_d, 1.5 * out.cadence_d);
  }
  out.predicted.assign(time.size(), 0);
  std::fill(out.predicted.begin() + std::min(n, kPad),
            out.predicted.begin() + std::max(std::min(n, kPad), n - kPad), std::uint8_t{1});
  for (int j = 0; j + 1 < n; ++j) {
    if (steps[static_cast<std::size_t>(j)] >= out.gap_threshold_d) {
      out.gaps.push_back(j);
      std::fill(out.predicted.begin() + std::max(0, j - kPad),
                out.predicted.begin() + std::min(n, j + kPad), std::uint8_t{0});
    }
  }
  return out;
}

template <class Real>
std::vector<Real> normalised(std::span<const double> flux, double median_flux) {
  std::vector<Real> out;
  out.reserve(flux.size());
  for (const double value : flux) {
    out.push_back(static_cast<Real>(value / median_flux - 1.0));
  }
  return out;
}

template <class Real>
std::vector<double> flare_probability(const Network<Real>& network, std::span<const double> logits,
                                      const Windows& windows, Edge edge) {
  double without = std::numeric_limits<double>::quiet_NaN();
  if (edge == Edge::peer) {
    const std::vector<Real> zero_flux(WindowNetwork::kWindow, Real{-1});
    without = probability(network.window_logit(zero_flux));
  }
  std::vector<double> out(windows.predicted.size(), without);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (windows.predicted[i] != 0) {
      out[i] = probability(logits[i - kPad]);
    }
  }
  return out;
}

template <class Real>
std::vector<double> flare_probability(const Network<Real>& network, std::span<const Real> y,
                                      const Windows& windows, Edge edge,
                                      NetworkWorkspace<Real>& work) {
  return flare_probability(network, network.logits(y, work), windows, edge);
}

std::vector<double> combined(std::span<const std::vector<double>> models, Combine how) {
  std::vector<double> out(models.empty() ? 0 : models.front().size());
  std::vector<double> values(models.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    double sum = 0.0;
    for (std::size_t m = 0; m < models.size(); ++m) {
      values[m] = models[m][i];
      sum += values[m];
    }
    if (how == Combine::mean || std::isnan(sum)) {
      out[i] = sum / static_cast<double>(models.size());
    } else {
      out[i] = middle(values);
    }
  }
  return out;
}

template std::vector<float> normalised(std::span<const double>, double);
template std::vector<double> normalised(std::span<const double>, double);
template std::vector<double> flare_probability(const Network<float>&, std::span<const double>,
                                               const Windows&, Edge);
template std::vector<double> flare_probability(const Network<double>&, std::span<const double>,
                                               const Windows&, Edge);
template std::vector<double> flare_probability(const Network<float>&, std::span<const float>,
                                               const Windows&, Edge, NetworkWorkspace<float>&);
template std::vector<double> flare_probability(const Network<double>&, std::span<const double>,
                                               const Windows&, Edge, NetworkWorkspace<double>&);

}  // namespace skyloom::flares
