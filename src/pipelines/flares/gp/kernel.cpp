#include "pipelines/flares/gp/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "pipelines/flares/gp/kernel_prior.hpp"
#include "pipelines/flares/gp/kernel_search.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/numerics/periodogram.hpp"
#include "skyloom/numerics/robust.hpp"

namespace skyloom::flares::gp {

namespace {

constexpr std::size_t kLeastCadences = 50;
constexpr std::size_t kFinalists = 2;
/// A finalist of the bins this much worse than the best does not win on all data.
constexpr double kFinalistMargin = 15.0;
constexpr int kFullIterations = 150;
constexpr double kFullTolerance = 0.02;

/// Below this period the bins hide part of what the smooth term does between rotations, and optima
/// that are one on the bins are several on all cadences.
constexpr double kLnFast = -std::numbers::ln2;  // half a day

/// The light curve in relative flux, time from the middle.
struct Relative {
  std::vector<double> time, y, error;
  double median_flux = 0.0;
  double cadence = 0.0;  ///< median time step
};

Relative relative(const LightCurve& curve) {
  Relative r;
  r.median_flux = numerics::median(curve.flux);
  if (!(r.median_flux > 0.0)) {
    throw UnitError(Reason::no_good_data, "Gaussian process: the median flux is not positive");
  }
  const double middle = 0.5 * (curve.time.front() + curve.time.back());
  std::vector<double> steps;
  for (std::size_t i = 0; i < curve.time.size(); ++i) {
    r.time.push_back(curve.time[i] - middle);
    r.y.push_back(curve.flux[i] / r.median_flux - 1.0);
    r.error.push_back(curve.flux_err[i] / r.median_flux);
    if (i > 0) {
      steps.push_back(curve.time[i] - curve.time[i - 1]);
    }
  }
  r.cadence = numerics::median(steps);
  return r;
}

Samples select(const Relative& r, std::span<const std::uint8_t> used) {
  Samples s;
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (used[i] != 0) {
      s.time.push_back(r.time[i]);
      s.y.push_back(r.y[i]);
      s.variance.push_back(r.error[i] * r.error[i]);
      s.scale.push_back(1.0);
    }
  }
  return s;
}

/// Optima of the bins worth a search on all samples, best first.
std::vector<Optimum> choose_finalists(Posterior& coarse, numerics::KernelFamily family) {
  const Prior& prior = coarse.prior();
  std::vector<Optimum> finalists =
      search_starts(coarse, starting_points(family, prior), kFinalists);
  std::erase_if(finalists, [limit = finalists.front().objective + kFinalistMargin](
                               const Optimum& o) { return o.objective > limit; });
  if (finalists.front().theta[1] < kLnFast) {
    Optimum variant = finalists.front();
    variant.theta = with_short_smooth_term(family, prior, variant.theta);
    variant.length = curvature_lengths(coarse, variant.theta);
    finalists.push_back(std::move(variant));
  }
  return finalists;
}

/// Best of the finalists on all samples; ties to the better one on the bins.
Optimum best_on_all(Posterior& full, const std::vector<Optimum>& finalists) {
  Optimum best;
  bool any = false;
  for (const Optimum& finalist : finalists) {
    Optimum found = refine(full, finalist, kFullIterations, kFullTolerance);
    if (!any || found.objective < best.objective) {
      best = std::move(found);
      any = true;
    }
  }
  return best;
}

struct Moments {
  std::vector<double> mean, variance;
};

Moments condition(Posterior& posterior, const Options& options, std::span<const double> theta,
                  std::span<const double> time) {
  const numerics::KernelPoint point = numerics::kernel_point(options.family, theta);
  Moments moments{std::vector<double>(time.size()), std::vector<double>(time.size())};
  if (!posterior.process().predict(point.kernel, point.white_variance, time, moments.mean,
                                   moments.variance)) {
    throw UnitError(Reason::numerical, "Gaussian process: the covariance is not positive definite");
  }
  return moments;
}

/// Takes cadences out whose residual is beyond `sigma` robust standard deviations. @return how many
std::size_t clip(const Relative& r, std::span<const double> mean, double sigma,
                 std::vector<std::uint8_t>& used) {
  std::vector<double> residuals;
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (used[i] != 0) {
      residuals.push_back(r.y[i] - mean[i]);
    }
  }
  const double center = numerics::median(residuals);
  const double limit = sigma * numerics::robust_scatter(residuals);
  std::size_t clipped = 0;
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (used[i] != 0 && std::abs(r.y[i] - mean[i] - center) > limit) {
      used[i] = 0;
      ++clipped;
    }
  }
  return clipped;
}

void store(Model& model, const Optimum& optimum, const Options& options, const Prior& prior) {
  model.theta = optimum.theta;
  model.objective = optimum.objective;
  model.log_likelihood = -optimum.objective;
  for (std::size_t i = 0; i < optimum.theta.size() && options.priors; ++i) {
    const double deviation = (optimum.theta[i] - prior.mean[i]) / prior.sd[i];
    model.log_likelihood += 0.5 * deviation * deviation;
  }
  model.iterations = optimum.iterations;
  model.converged = optimum.converged;
}

/// Cadences outside flares with a usable error.
std::vector<std::uint8_t> quiet_cadences(const LightCurve& curve) {
  std::vector<std::uint8_t> used(curve.time.size());
  for (std::size_t i = 0; i < used.size(); ++i) {
    const double error = curve.flux_err[i];
    used[i] = curve.flare[i] == 0 && std::isfinite(error) && error > 0.0 ? 1 : 0;
  }
  return used;
}

}  // namespace

Rotation rotation_period(std::span<const double> time, std::span<const double> y) {
  Rotation rotation;
  if (time.size() < 2) {
    return rotation;
  }
  const double step = 1.0 / (5.0 * (time.back() - time.front()));
  const numerics::PeriodogramPeak peak = numerics::periodogram_peak(time, y, 0.1, 10.0, step);
  if (peak.power > 0.0) {
    rotation = {1.0 / peak.frequency, peak.power, peak.false_alarm, peak.frequencies};
  }
  return rotation;
}

Model fit(const LightCurve& curve, const Options& options) {
  Model model;
  model.used = quiet_cadences(curve);
  const auto usable =
      static_cast<std::size_t>(std::count(model.used.begin(), model.used.end(), std::uint8_t{1}));
  if (usable < kLeastCadences) {
    throw UnitError(Reason::no_good_data, "Gaussian process: " + std::to_string(usable) +
                                              " quiet cadences with errors, expected at least " +
                                              std::to_string(kLeastCadences));
  }
  const Relative r = relative(curve);
  model.median_flux = r.median_flux;
  Samples samples = select(r, model.used);
  model.rotation = rotation_period(samples.time, samples.y);
  const Prior prior = make_prior(options.family, scales_of(samples, model.rotation));

  Posterior coarse(options.family, prior, options.priors, binned(samples, r.cadence));
  Posterior full(options.family, prior, options.priors, samples);
  Optimum best = best_on_all(full, choose_finalists(coarse, options.family));
  model.evaluations = coarse.evaluations() + full.evaluations();
  Moments moments = condition(full, options, best.theta, r.time);
  double constant = full.process().mean();
  if (options.clip_sigma > 0.0) {
    model.n_clipped = clip(r, moments.mean, options.clip_sigma, model.used);
  }
  if (model.n_clipped > 0) {
    Posterior clipped(options.family, prior, options.priors, select(r, model.used));
    best = refine(clipped, best, kFullIterations, kFullTolerance);
    model.evaluations += clipped.evaluations();
    moments = condition(clipped, options, best.theta, r.time);
    constant = clipped.process().mean();
  }
  store(model, best, options, prior);
  model.constant = constant;
  model.n_used = usable - model.n_clipped;
  for (double& mean : moments.mean) {
    mean = (1.0 + mean) * r.median_flux;
  }
  for (double& variance : moments.variance) {
    variance *= r.median_flux * r.median_flux;
  }
  model.mean = std::move(moments.mean);
  model.variance = std::move(moments.variance);
  return model;
}

}  // namespace skyloom::flares::gp
