#include "pipelines/flares/gp/kernel_search.hpp"

#include <algorithm>
#include <cmath>

#include "skyloom/core/errors.hpp"
#include "skyloom/numerics/minimise.hpp"
#include "skyloom/numerics/robust.hpp"

namespace skyloom::flares::gp {

namespace {

constexpr double kBin_d = 24.0 / 1440.0;
constexpr double kBinSpan_d = 25.0 / 1440.0;
/// Objective outside the domain: finite, since line searches refuse infinity.
constexpr double kImpossible = 1e20;
constexpr int kCoarseIterations = 60;
constexpr double kCoarseTolerance = 0.5;
constexpr double kRefinedTolerance = 0.1;
constexpr double kDifferenceStep = 1e-4;

/// The same optimum reached from two starts.
bool same(const Optimum& a, const Optimum& b) {
  if (std::abs(a.objective - b.objective) < 0.01) {
    return true;
  }
  for (std::size_t i = 0; i < a.theta.size(); ++i) {
    if (std::abs(a.theta[i] - b.theta[i]) >= 0.1) {
      return false;
    }
  }
  return true;
}

/// Sorts by objective (ties keep their order), drops repetitions, keeps the first few.
void keep_best(std::vector<Optimum>& optima, std::size_t keep) {
  std::stable_sort(optima.begin(), optima.end(),
                   [](const Optimum& a, const Optimum& b) { return a.objective < b.objective; });
  std::vector<Optimum> kept;
  for (Optimum& candidate : optima) {
    const bool known =
        std::any_of(kept.begin(), kept.end(), [&](const Optimum& o) { return same(o, candidate); });
    if (!known && kept.size() < keep) {
      kept.push_back(std::move(candidate));
    }
  }
  optima = std::move(kept);
}

}  // namespace

Scales scales_of(const Samples& s, const Rotation& rotation) {
  const auto n = static_cast<double>(s.y.size());
  double mean = 0.0;
  for (const double y : s.y) {
    mean += y / n;
  }
  double square = 0.0;
  std::vector<double> errors;
  for (std::size_t i = 0; i < s.y.size(); ++i) {
    square += (s.y[i] - mean) * (s.y[i] - mean) / n;
    errors.push_back(std::sqrt(s.variance[i]));
  }
  const double error = numerics::median(errors);
  // Constant flux has no scatter of its own; the errors then set the scale.
  return {std::max(std::sqrt(square), 1e-3 * error), error, rotation};
}

Samples binned(const Samples& samples, double cadence) {
  Samples bins;
  const auto most = static_cast<std::size_t>(std::max(1.0, std::round(kBin_d / cadence)));
  const std::size_t n = samples.time.size();
  for (std::size_t first = 0; first < n;) {
    std::size_t last = first;
    double t = 0.0;
    double y = 0.0;
    double variance = 0.0;
    while (last < n && last - first < most &&
           samples.time[last] - samples.time[first] < kBinSpan_d) {
      t += samples.time[last];
      y += samples.y[last];
      variance += samples.variance[last];
      ++last;
    }
    const auto count = static_cast<double>(last - first);
    bins.time.push_back(t / count);
    bins.y.push_back(y / count);
    bins.variance.push_back(variance / count);
    bins.scale.push_back(1.0 / count);
    first = last;
  }
  return bins;
}

Posterior::Posterior(numerics::KernelFamily family, const Prior& prior, bool priors,
                     const Samples& samples)
    : family_(family), prior_(prior), priors_(priors) {
  process_.set_data(samples.time, samples.y, samples.variance, samples.scale);
}

double Posterior::operator()(std::span<const double> theta, std::span<double> gradient) {
  ++evaluations_;
  const numerics::KernelPoint point = numerics::kernel_point(family_, theta);
  numerics::CeleriteGradient raw;
  double objective = -process_.log_likelihood(point.kernel, point.white_variance, raw);
  point.chain(raw, gradient);
  bool finite = std::isfinite(objective);
  for (std::size_t i = 0; i < theta.size(); ++i) {
    gradient[i] = -gradient[i];
    if (priors_) {
      const double deviation = (theta[i] - prior_.mean[i]) / prior_.sd[i];
      objective += 0.5 * deviation * deviation;
      gradient[i] += deviation / prior_.sd[i];
    }
    finite = finite && std::isfinite(gradient[i]);
  }
  if (!finite) {
    std::fill(gradient.begin(), gradient.end(), 0.0);
    return kImpossible;
  }
  return objective;
}

std::vector<double> curvature_lengths(Posterior& posterior, std::span<const double> theta) {
  const std::size_t n = theta.size();
  std::vector<double> base(n);
  std::vector<double> moved(n);
  std::vector<double> lengths(n);
  std::vector<double> point(theta.begin(), theta.end());
  posterior(point, base);
  for (std::size_t i = 0; i < n; ++i) {
    point[i] = theta[i] + kDifferenceStep;
    posterior(point, moved);
    point[i] = theta[i];
    const double curvature = std::abs(moved[i] - base[i]) / kDifferenceStep;
    const double sd = posterior.prior().sd[i];
    lengths[i] = 1.0 / std::sqrt(std::max(curvature, 1.0 / (sd * sd)));
  }
  return lengths;
}

Optimum refine(Posterior& posterior, const Optimum& start, int max_iterations, double tolerance) {
  const std::size_t n = start.theta.size();
  const Prior& prior = posterior.prior();
  std::vector<double> theta(n);
  const auto natural = [&](std::span<const double> u) {
    for (std::size_t i = 0; i < n; ++i) {
      // Rounding must not lead out of the bounds.
      theta[i] =
          std::clamp(start.theta[i] + u[i] * start.length[i], prior.lower[i], prior.upper[i]);
    }
  };
  const numerics::Objective scaled = [&](std::span<const double> u, std::span<double> gradient) {
    natural(u);
    const double value = posterior(theta, gradient);
    for (std::size_t i = 0; i < n; ++i) {
      gradient[i] *= start.length[i];
    }
    return value;
  };
  std::vector<double> lower(n);
  std::vector<double> upper(n);
  for (std::size_t i = 0; i < n; ++i) {
    lower[i] = (prior.lower[i] - start.theta[i]) / start.length[i];
    upper[i] = (prior.upper[i] - start.theta[i]) / start.length[i];
  }
  const numerics::Minimum found = numerics::minimise(scaled, std::vector<double>(n, 0.0), lower,
                                                     upper, {max_iterations, tolerance});
  natural(found.x);
  return {theta, found.value, found.iterations, found.converged, start.length};
}

std::vector<Optimum> search_starts(Posterior& coarse,
                                   const std::vector<std::vector<double>>& starts,
                                   std::size_t keep) {
  std::vector<Optimum> optima;
  for (const std::vector<double>& start : starts) {
    const numerics::Minimum found = numerics::minimise(
        [&](auto x, auto g) { return coarse(x, g); }, start, coarse.prior().lower,
        coarse.prior().upper, {kCoarseIterations, kCoarseTolerance});
    if (found.value < kImpossible) {
      optima.push_back({found.x, found.value, found.iterations, found.converged, {}});
    }
  }
  if (optima.empty()) {
    throw UnitError(Reason::numerical, "Gaussian process: no start has a finite likelihood");
  }
  keep_best(optima, 2 * keep);
  for (Optimum& optimum : optima) {
    optimum.length = curvature_lengths(coarse, optimum.theta);
    optimum = refine(coarse, optimum, kCoarseIterations, kRefinedTolerance);
  }
  keep_best(optima, keep);
  for (Optimum& optimum : optima) {
    optimum.length = curvature_lengths(coarse, optimum.theta);
  }
  return optima;
}

}  // namespace skyloom::flares::gp
