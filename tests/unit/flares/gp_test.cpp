// The fit of the quiet star on simulated light curves: drawn from the process itself, with flares,
// outliers and bad errors.

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/flares/gp/kernel.hpp"
#include "pipelines/flares/gp/kernel_search.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/core/random.hpp"
#include "skyloom/numerics/celerite_terms.hpp"

using namespace skyloom;              // NOLINT(google-build-using-namespace): a test
using namespace skyloom::flares::gp;  // NOLINT(google-build-using-namespace): a test
using numerics::KernelFamily;

namespace {

constexpr std::size_t kCadences = 500;
constexpr double kStep_d = 0.02;
constexpr double kMedian = 2000.0;
constexpr double kError = 4e-4;

struct Simulated {
  std::vector<double> time, flux, error;
  std::vector<double> quiet;  ///< the star without noise
  std::vector<std::uint8_t> flare;

  [[nodiscard]] LightCurve curve() const { return {time, flux, error, flare}; }
};

/// Covariance from the coefficients.
double covariance(const numerics::CeleriteKernel& kernel, double tau) {
  double sum = 0.0;
  for (int o = 0; o < kernel.count; ++o) {
    const numerics::Oscillator& term = kernel.oscillator[static_cast<std::size_t>(o)];
    const auto& c = term.coefficient;
    sum += term.overdamped ? c[0] * std::exp(-c[1] * tau) + c[2] * std::exp(-c[3] * tau)
                           : std::exp(-c[2] * tau) *
                                 (c[0] * std::cos(c[3] * tau) + c[1] * std::sin(c[3] * tau));
  }
  return sum;
}

/// A draw from the process by the Cholesky factor of its matrix, and white noise.
Simulated simulate(KernelFamily family, const std::vector<double>& theta, const std::string& key) {
  const numerics::KernelPoint point = numerics::kernel_point(family, theta);
  const double noise = std::sqrt(kError * kError + point.white_variance);
  const Rng random(11, "gp", key);
  Simulated s;
  std::vector<std::vector<double>> l(kCadences, std::vector<double>(kCadences, 0.0));
  for (std::size_t i = 0; i < kCadences; ++i) {
    s.time.push_back(1354.1 + kStep_d * static_cast<double>(i + (i > 240 ? 50 : 0)));
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = covariance(point.kernel, s.time[i] - s.time[j]);
      sum *= i == j ? 1.0 + 1e-10 : 1.0;
      for (std::size_t k = 0; k < j; ++k) {
        sum -= l[i][k] * l[j][k];
      }
      l[i][j] = i == j ? std::sqrt(sum) : sum / l[j][j];
    }
    double y = 0.0;
    for (std::size_t j = 0; j <= i; ++j) {
      y += l[i][j] * random.normal(j);
    }
    s.quiet.push_back(kMedian * (1.0 + y));
    s.flux.push_back(s.quiet.back() + kMedian * noise * random.normal(i, 1));
    s.error.push_back(kMedian * kError);
    s.flare.push_back(0);
  }
  return s;
}

const std::vector<double> kRotating{-4.3, 0.1, 0.7, 0.7, -0.7, -7.0, -0.3, -8.5};

}  // namespace

TEST_CASE("the fit is at least as good as the true parameters, and finds the period") {
  const std::vector<std::vector<double>> truths{kRotating,
                                                {-4.3, -0.9, 2.0, 1.0, -1.0, -6.5, 0.5, -8.0},
                                                {-5.0, 0.5, 1.0, 0.5, -0.3, -6.0, 0.0, -8.5},
                                                {-6.5, -0.4, 1.5, 1.5, -0.7, -7.5, 0.0, -7.6}};
  for (std::size_t k = 0; k < truths.size(); ++k) {
    CAPTURE(k);
    const Simulated s = simulate(KernelFamily::rotation_sho, truths[k], std::to_string(k));
    Options options;
    options.priors = false;
    options.clip_sigma = 0.0;
    const Model model = fit(s.curve(), options);
    CHECK(model.converged);
    // The true parameters of flux / mean flux are those of flux / median within the error of the
    // median, a shift and a factor of a thousandth.
    Samples samples;
    for (std::size_t i = 0; i < kCadences; ++i) {
      samples.time.push_back(s.time[i] - s.time[kCadences / 2]);
      samples.y.push_back(s.flux[i] / model.median_flux - 1.0);
      samples.variance.push_back(std::pow(s.error[i] / model.median_flux, 2));
      samples.scale.push_back(1.0);
    }
    Prior none;
    Posterior posterior(KernelFamily::rotation_sho, none, false, samples);
    std::vector<double> gradient(truths[k].size());
    CHECK(model.objective <= posterior(truths[k], gradient) + 0.1);
    if (k < 2) {
      CHECK(fit(s.curve(), {}).theta[1] == Approx(truths[k][1]).margin(0.15));
    }
  }
}

TEST_CASE("mean and variance are those of the star, and what is masked has no say") {
  Simulated s = simulate(KernelFamily::rotation_sho, kRotating, "mask");
  for (std::size_t i = 100; i < 110; ++i) {
    s.flux[i] += kMedian * 0.2 * std::exp(-0.3 * static_cast<double>(i - 100));
    s.flare[i] = 1;
  }
  s.error[300] = std::numeric_limits<double>::quiet_NaN();
  s.error[301] = 0.0;
  const Model model = fit(s.curve(), {});
  CHECK(model.n_used + model.n_clipped == kCadences - 12);
  CHECK(model.mean.size() == kCadences);
  double chi2 = 0.0;
  for (std::size_t i = 0; i < kCadences; ++i) {
    CHECK(model.variance[i] > 0.0);
    const double pull = (s.quiet[i] - model.mean[i]) / std::sqrt(model.variance[i]);
    CHECK(std::abs(pull) < 5.0);
    chi2 += pull * pull / kCadences;
    CHECK((s.flare[i] == 0 || model.used[i] == 0));
  }
  CHECK(chi2 == Approx(1.0).margin(0.3));
  CHECK(model.variance[105] > model.variance[50]);
  // Twice as high a flare with the same median: the same model, bit for bit.
  Simulated higher = s;
  for (std::size_t i = 100; i < 110; ++i) {
    higher.flux[i] += higher.flux[i] > model.median_flux ? kMedian : 0.0;
  }
  const Model again = fit(higher.curve(), {});
  REQUIRE(again.median_flux == model.median_flux);
  CHECK(again.theta == model.theta);
  CHECK(again.mean == model.mean);
  CHECK(again.variance == model.variance);
}

TEST_CASE("the unit of flux does not matter") {
  const Simulated s = simulate(KernelFamily::rotation_sho, kRotating, "unit");
  Simulated scaled = s;
  for (std::size_t i = 0; i < kCadences; ++i) {
    scaled.flux[i] *= 1024.0;
    scaled.error[i] *= 1024.0;
  }
  const Model model = fit(s.curve(), {});
  const Model other = fit(scaled.curve(), {});
  CHECK(other.theta == model.theta);
  CHECK(other.mean[17] == 1024.0 * model.mean[17]);
  CHECK(other.variance[17] == 1024.0 * 1024.0 * model.variance[17]);
}

TEST_CASE("outliers are clipped and the fit is repeated without them") {
  Simulated s = simulate(KernelFamily::rotation_sho, kRotating, "outliers");
  for (const std::size_t i : {20U, 200U, 420U}) {
    s.flux[i] += (i == 200 ? -1.0 : 1.0) * 30.0 * kMedian * kError;
  }
  const Model model = fit(s.curve(), {});
  CHECK(model.n_clipped >= 3);
  CHECK(model.n_clipped < 20);
  for (const std::size_t i : {20U, 200U, 420U}) {
    CHECK(model.used[i] == 0);
  }
  Options keep;
  keep.clip_sigma = 0.0;
  const Model unclipped = fit(s.curve(), keep);
  CHECK(unclipped.n_clipped == 0);
  CHECK(unclipped.theta.back() > model.theta.back());
}

TEST_CASE("two oscillators fit too") {
  const std::vector<double> truth{-4.5, 0.3, 1.0, -5.5, 0.0, -8.5};
  const Simulated s = simulate(KernelFamily::sho2, truth, "two");
  Options options;
  options.family = KernelFamily::sho2;
  const Model model = fit(s.curve(), options);
  CHECK(model.converged);
  CHECK(model.theta.size() == 6);
  CHECK(model.theta[1] == Approx(truth[1]).margin(0.3));
}

TEST_CASE("bins of one cadence change nothing, and bins stop at gaps") {
  const Simulated s = simulate(KernelFamily::rotation_sho, kRotating, "bins");
  Samples samples{s.time, s.flux, s.error, std::vector<double>(kCadences, 1.0)};
  const Samples single = binned(samples, kStep_d);
  CHECK(single.time == samples.time);
  CHECK(single.y == samples.y);
  CHECK(single.scale == samples.scale);
  // The same numbers as if taken every two minutes.
  const double shrink = 120.0 / 86400.0 / kStep_d;
  for (double& t : samples.time) {
    t *= shrink;
  }
  const Samples bins = binned(samples, shrink * kStep_d);
  double covered = 0.0;
  for (std::size_t i = 0; i < bins.time.size(); ++i) {
    covered += 1.0 / bins.scale[i];
    CHECK(1.0 / bins.scale[i] <= 12.0 + 1e-9);
    CHECK((bins.time[i] <= samples.time[240] || bins.time[i] >= samples.time[241]));
  }
  CHECK(covered == Approx(static_cast<double>(kCadences)));
}

TEST_CASE("what cannot be fitted is a failed unit") {
  Simulated s = simulate(KernelFamily::rotation_sho, kRotating, "bad");
  const auto reason = [&] {
    try {
      fit(s.curve(), {});
    } catch (const UnitError& error) {
      return error.reason();
    }
    return Reason::none;
  };
  std::fill(s.flare.begin() + 49, s.flare.end(), std::uint8_t{1});
  CHECK(reason() == Reason::no_good_data);
  std::fill(s.flare.begin(), s.flare.end(), std::uint8_t{0});
  for (double& flux : s.flux) {
    flux -= 2.0 * kMedian;
  }
  CHECK(reason() == Reason::no_good_data);
}

TEST_CASE("constant flux has a model") {
  Simulated s = simulate(KernelFamily::rotation_sho, kRotating, "constant");
  std::fill(s.flux.begin(), s.flux.end(), kMedian);
  const Model model = fit(s.curve(), {});
  CHECK(model.rotation.frequencies == 0);
  CHECK(model.mean[250] == Approx(kMedian).epsilon(1e-9));
  CHECK(std::isfinite(model.variance[250]));
}
