// The Gaussian process against dense algebra and reference fits made outside this project
// (shared/data/flares), and on a fast rotator with flares (shared/data/flares_real).

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <hdf5.h>

#include "pipelines/flares/gp/kernel.hpp"
#include "pipelines/flares/gp/kernel_prior.hpp"
#include "pipelines/flares/gp/kernel_search.hpp"
#include "skyloom/core/random.hpp"
#include "skyloom/io/fits.hpp"
#include "skyloom/io/hdf5.hpp"
#include "skyloom/numerics/celerite_terms.hpp"
#include "skyloom/numerics/robust.hpp"

using namespace skyloom;  // NOLINT(google-build-using-namespace): a test
using numerics::KernelFamily;

namespace {

const std::filesystem::path kFolder = std::filesystem::path(SKYLOOM_TEST_DATA) / "flares";

bool no_data() {
  if (std::filesystem::exists(kFolder / "gp_oracle.h5")) {
    return false;
  }
  WARN("skipped: no shared/data/flares");
  return true;
}

/// A dataset of numbers, scalar or not.
std::vector<double> numbers(const char* file, const std::string& name) {
  const hid_t opened = H5Fopen((kFolder / file).c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  const hid_t set = H5Dopen2(opened, name.c_str(), H5P_DEFAULT);
  REQUIRE(set >= 0);
  const hid_t space = H5Dget_space(set);
  std::vector<double> values(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
  REQUIRE(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
  H5Sclose(space);
  H5Dclose(set);
  H5Fclose(opened);
  return values;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(a[i] - b[i]));
  }
  return worst;
}

/// The light curve of an expected_*.h5 file.
struct Star {
  std::string name;
  std::vector<double> time, flux, error;
  std::vector<std::uint8_t> flare;

  [[nodiscard]] flares::gp::LightCurve curve() const { return {time, flux, error, flare}; }
  /// Cadences that are fitted: outside flares.
  [[nodiscard]] std::size_t quiet() const {
    return static_cast<std::size_t>(std::count(flare.begin(), flare.end(), std::uint8_t{0}));
  }
};

Star read_star(const std::string& name, const char* fits) {
  const std::string expected = "expected_" + name + ".h5";
  const Table table = io::read_fits_table(kFolder / fits);
  Star star{name, numbers(expected.c_str(), "time"), {}, {}, {}};
  for (const double row : numbers(expected.c_str(), "row")) {
    const auto i = static_cast<std::size_t>(row);
    star.flux.push_back(table.get<float>("PDCSAP_FLUX")[i]);
    star.error.push_back(table.get<float>("PDCSAP_FLUX_ERR")[i]);
  }
  for (const double mask : numbers(expected.c_str(), "flare_mask")) {
    star.flare.push_back(mask != 0.0 ? 1 : 0);
  }
  return star;
}

std::vector<Star> stars() {
  return {read_star("tic2760232_s2", "tess-s0002-0000000002760232-test-s_lc.fits"),
          read_star("tic188646744_s55", "tess-s0055-0000000188646744-test-s_lc.fits")};
}

/// A star whose points far above a running median, and what follows them, are masked: enough of a
/// flare mask to fit the rest.
Star brightenings_masked(const Table& table) {
  Star star;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const double flux = table.get<float>("PDCSAP_FLUX")[i];
    if (std::isfinite(table.get<double>("TIME")[i]) && std::isfinite(flux)) {
      star.time.push_back(table.get<double>("TIME")[i]);
      star.flux.push_back(flux);
      star.error.push_back(table.get<float>("PDCSAP_FLUX_ERR")[i]);
    }
  }
  const std::size_t n = star.time.size();
  std::vector<double> above(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t first = i > 30 ? i - 30 : 0;
    const std::size_t count = std::min(n, i + 31) - first;
    above[i] = star.flux[i] - numerics::median(std::span(star.flux).subspan(first, count));
  }
  const double limit = 4.0 * numerics::robust_scatter(above);
  star.flare.assign(n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = i > 5 ? i - 5 : 0; above[i] > limit && k < std::min(n, i + 15); ++k) {
      star.flare[k] = 1;
    }
  }
  return star;
}

flares::gp::Samples quiet_samples(const Star& star, double median_flux) {
  flares::gp::Samples samples;
  const double middle = 0.5 * (star.time.front() + star.time.back());
  for (std::size_t i = 0; i < star.time.size(); ++i) {
    if (star.flare[i] == 0 && star.error[i] > 0.0) {
      samples.time.push_back(star.time[i] - middle);
      samples.y.push_back(star.flux[i] / median_flux - 1.0);
      samples.variance.push_back(std::pow(star.error[i] / median_flux, 2));
      samples.scale.push_back(1.0);
    }
  }
  return samples;
}

double reference(const Star& star, const std::string& what) {
  return numbers("gp_fit_reference.h5", star.name + "/" + what).front();
}

}  // namespace

TEST_CASE("the oracle's likelihood, mean, variance and gradient are met") {
  if (no_data()) {
    return;
  }
  constexpr const char* kFile = "gp_oracle.h5";
  std::vector<double> t = numbers(kFile, "t");
  std::vector<double> wanted = numbers(kFile, "t_pred");
  const double middle = 0.5 * (t.front() + t.back());
  for (double& v : t) {
    v -= middle;
  }
  for (double& v : wanted) {
    v -= middle;
  }
  std::vector<double> variance = numbers(kFile, "yerr");
  for (double& v : variance) {
    v *= v;
  }
  numerics::CeleriteProcess process;
  process.set_data(t, numbers(kFile, "y"), variance, std::vector<double>(t.size(), 1.0));
  for (const std::string group : {"A", "B", "C", "D"}) {
    CAPTURE(group);
    const std::vector<double> theta = numbers(kFile, group + "/theta");
    const KernelFamily family = theta.size() == 8 ? KernelFamily::rotation_sho : KernelFamily::sho2;
    const numerics::KernelPoint point = numerics::kernel_point(family, theta);
    numerics::CeleriteGradient raw;
    const double log_like = process.log_likelihood(point.kernel, point.white_variance, raw);
    CHECK(std::abs(log_like - numbers(kFile, group + "/log_like")[0]) < 1e-6);
    CHECK(process.mean() == Approx(numbers(kFile, group + "/c0")[0]).margin(1e-12));
    CHECK(point.kernel.variance() == Approx(numbers(kFile, group + "/k0")[0]).epsilon(1e-12));
    const std::vector<double> expected = numbers(kFile, group + "/grad");
    double largest = 0.0;
    for (const double g : expected) {
      largest = std::max(largest, std::abs(g));
    }
    std::vector<double> gradient(theta.size());
    point.chain(raw, gradient);
    CHECK(largest_difference(gradient, expected) < 1e-6 * largest);
    std::vector<double> mean(wanted.size());
    std::vector<double> spread(wanted.size());
    REQUIRE(process.predict(point.kernel, point.white_variance, wanted, mean, spread));
    CHECK(largest_difference(mean, numbers(kFile, group + "/mu")) < 1e-9);
    CHECK(largest_difference(spread, numbers(kFile, group + "/var")) < 1e-12);
  }
}

TEST_CASE("the reference optima are reached, with priors") {
  if (no_data()) {
    return;
  }
  for (const Star& star : stars()) {
    CAPTURE(star.name);
    flares::gp::Options options;
    options.clip_sigma = 0.0;
    const flares::gp::Model model = flares::gp::fit(star.curve(), options);
    CHECK(model.n_used == star.quiet());
    CHECK(model.converged);
    CHECK(model.objective <= reference(star, "with_priors/objective"));
    // The clip of 4 sigma takes a few more out, and the mean of the rest stays where it is.
    const flares::gp::Model clipped = flares::gp::fit(star.curve(), {});
    CHECK(clipped.converged);
    CHECK(clipped.n_clipped > 0);
    CHECK(clipped.n_clipped < star.time.size() / 100);
    CHECK(clipped.log_likelihood > model.log_likelihood);
  }
}

TEST_CASE("the reference optima are reached, without priors") {
  if (no_data()) {
    return;
  }
  for (const Star& star : stars()) {
    CAPTURE(star.name);
    flares::gp::Options options;
    options.clip_sigma = 0.0;
    options.priors = false;
    const flares::gp::Model model = flares::gp::fit(star.curve(), options);
    CHECK(model.objective <= reference(star, "max_likelihood/objective") + 1.0);
    CHECK(model.objective == Approx(-model.log_likelihood));
  }
}

TEST_CASE("the rotation periods of real stars") {
  if (no_data()) {
    return;
  }
  const std::vector<Star> both = stars();
  const double periods[] = {0.3998478682915822, 2.7955818553024887};
  const int frequencies[] = {1358, 1346};
  for (std::size_t k = 0; k < 2; ++k) {
    std::vector<double> time;
    std::vector<double> flux;
    for (std::size_t i = 0; i < both[k].time.size(); ++i) {
      if (both[k].flare[i] == 0) {
        time.push_back(both[k].time[i]);
        flux.push_back(both[k].flux[i]);
      }
    }
    const flares::gp::Rotation rotation = flares::gp::rotation_period(time, flux);
    CHECK(rotation.period_d == Approx(periods[k]).epsilon(1e-9));
    // The reference goes one step beyond 10 per day.
    CHECK(rotation.frequencies == frequencies[k] - 1);
  }
}

TEST_CASE("on a fast rotator random starts find nothing better") {
  const std::filesystem::path file = std::filesystem::path(SKYLOOM_TEST_DATA) / "flares_real" /
                                     "tess-s0003-0000000029928567-customap-s_lc.fits";
  if (!std::filesystem::exists(file)) {
    WARN("skipped: no " << file);
    return;
  }
  const Star star = brightenings_masked(io::read_fits_table(file));
  flares::gp::Options options;
  options.clip_sigma = 0.0;
  const flares::gp::Model model = flares::gp::fit(star.curve(), options);
  CHECK(model.rotation.period_d == Approx(0.2269).epsilon(0.01));

  const flares::gp::Samples samples = quiet_samples(star, model.median_flux);
  const flares::gp::Prior prior =
      flares::gp::make_prior(options.family, flares::gp::scales_of(samples, model.rotation));
  flares::gp::Posterior posterior(options.family, prior, true, samples);
  std::vector<double> gradient(model.theta.size());
  CHECK(posterior(model.theta, gradient) == Approx(model.objective).epsilon(1e-12));
  const Rng random(1, "gp", "starts");
  for (std::uint64_t start = 0; start < 6; ++start) {
    flares::gp::Optimum from;
    for (std::size_t i = 0; i < prior.mean.size(); ++i) {
      from.theta.push_back(std::clamp(prior.mean[i] + prior.sd[i] * random.normal(8 * start + i),
                                      prior.lower[i], prior.upper[i]));
    }
    from.length = flares::gp::curvature_lengths(posterior, from.theta);
    const flares::gp::Optimum found = flares::gp::refine(posterior, from, 150, 0.02);
    CAPTURE(start, found.theta);
    CHECK(model.objective <= found.objective + 0.5);
  }
}
