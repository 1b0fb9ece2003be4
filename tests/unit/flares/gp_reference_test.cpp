// The Gaussian process against dense algebra and reference fits made outside this project
// (shared/data/flares).

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <hdf5.h>

#include "pipelines/flares/gp/kernel.hpp"
#include "skyloom/io/fits.hpp"
#include "skyloom/io/hdf5.hpp"
#include "skyloom/numerics/celerite_terms.hpp"

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
