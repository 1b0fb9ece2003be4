// The patch fit: exact recovery without noise, gradient and Schur complement against brute force,
// invariances, masks, errors and roles.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/photometry/fit/kernel_errors.hpp"
#include "pipelines/photometry/fit/kernel_scene.hpp"
#include "pipelines/photometry/fit/kernel_solve.hpp"
#include "skyloom/core/errors.hpp"

#include "support/fit_patch.hpp"

namespace fit = skyloom::photometry::fit;
using skyloom::Image;
using skyloom::test::make_patch;
using skyloom::test::Patch;
using skyloom::test::PatchOptions;

namespace {

PatchOptions small(bool noise = true) {
  PatchOptions options;
  options.side = 90;
  options.bands = 3;
  options.mean_sources = 6.0;
  options.noise = noise;
  return options;
}

/// All free sources active, boxes placed, everything evaluated.
void prepare(fit::Scene& scene) {
  fit::place_sources(scene);
  for (auto& source : scene.sources()) {
    source.active = source.free;
  }
  scene.evaluate(true);
}

double total_chi2(const fit::Result& result) {
  double sum = 0.0;
  for (const auto& frame : result.frames) {
    sum += frame.chi2;
  }
  return sum;
}

double largest_flux_shift(const fit::Result& a, const fit::Result& b) {
  double worst = 0.0;
  for (std::size_t s = 0; s < a.sources.size(); ++s) {
    for (std::size_t k = 0; k < a.sources[s].bands.size(); ++k) {
      const auto& x = a.sources[s].bands[k];
      worst = std::max(worst, std::abs(x.flux - b.sources[s].bands[k].flux) / x.flux_err);
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("without noise the truth comes back") {
  auto patch = make_patch(3, small(false));
  patch.input.options.shape_prior = fit::ShapePrior::none;
  const auto result = fit::compute(patch.input);
  for (std::size_t s = 0; s < patch.truth.size(); ++s) {
    const auto& truth = patch.truth[s];
    const auto& source = result.sources[s];
    if (truth.flux[1] < 300.0) {
      continue;
    }
    INFO("source " << s << " type " << static_cast<int>(truth.type));
    CHECK(source.x == Approx(truth.x).margin(0.3 * source.x_err));
    CHECK(source.y == Approx(truth.y).margin(0.3 * source.y_err));
    for (std::size_t b = 0; b < 3; ++b) {
      CHECK(source.bands[b].flux == Approx(truth.flux[b]).margin(0.3 * source.bands[b].flux_err));
    }
    if (truth.type != fit::SourceType::star) {
      CHECK(source.re_pix == Approx(truth.re_pix).margin(0.3 * source.re_err_pix));
    }
  }
  for (const auto& frame : result.frames) {
    CHECK(frame.sky == Approx(0.3).margin(0.3 * frame.sky_err));
  }
}

TEST_CASE("the gradient is that of chi2 / 2 minimised over fluxes and skies") {
  auto patch = make_patch(5, small());
  fit::Workspace workspace;
  fit::Scene scene(patch.input, workspace);
  prepare(scene);
  const int n = scene.active_parameters();
  std::vector<double> g(static_cast<std::size_t>(n));
  scene.gradient(g);
  std::vector<double> h(g.size() * g.size());
  scene.normal_matrix(h);
  std::size_t i = 0;
  for (auto& source : scene.sources()) {
    for (int k = 0; k < source.n_parameters; ++k, ++i) {
      const auto p = static_cast<std::size_t>(k);
      const double centre = source.value[p];
      // A step of a tenth of an error, larger than the rounding of chi2.
      const double sigma = 1.0 / std::sqrt(h[i * g.size() + i] + 1e-6);
      const double step = std::min(0.03, 0.3 * sigma);
      source.value[p] = centre + step;
      const double up = 0.5 * scene.evaluate(false);
      source.value[p] = centre - step;
      const double down = 0.5 * scene.evaluate(false);
      source.value[p] = centre;
      const double numeric = (up - down) / (2.0 * step);
      INFO("parameter " << k << " of type " << static_cast<int>(source.type));
      CHECK(g[i] * sigma == Approx(numeric * sigma).epsilon(0.01).margin(0.02));
    }
  }
}

TEST_CASE("the normal matrix is the Schur complement of the full one") {
  auto patch = make_patch(6, small());
  fit::Workspace workspace;
  fit::Scene scene(patch.input, workspace);
  prepare(scene);
  const auto n = static_cast<std::size_t>(scene.active_parameters());
  std::vector<double> h(n * n);
  scene.normal_matrix(h);
  // Brute force in double from the rendered images.
  std::vector<double> expected(n * n, 0.0);
  for (int b = 0; b < scene.n_bands(); ++b) {
    const auto& frame = scene.frames()[static_cast<std::size_t>(b)];
    const std::size_t pixels =
        static_cast<std::size_t>(frame.width) * static_cast<std::size_t>(frame.height);
    std::vector<std::vector<double>> linear;
    std::vector<std::vector<double>> columns;
    for (const auto& source : scene.sources()) {
      const auto block = scene.block(source, static_cast<std::size_t>(b));
      for (int m = 0; m < source.n_images; ++m) {
        std::vector<double> image(pixels, 0.0);
        const double scale = m == 0 ? 1.0 : source.flux[static_cast<std::size_t>(b)];
        for (int y = block.clip.y0; y < block.clip.y1; ++y) {
          for (int x = block.clip.x0; x < block.clip.x1; ++x) {
            image[static_cast<std::size_t>(y * frame.width + x)] =
                scale * static_cast<double>(
                            block.data[m * block.plane + (y - block.clip.y0) * block.stride + x -
                                       block.clip.x0]);
          }
        }
        (m == 0 ? linear : columns).push_back(std::move(image));
      }
    }
    linear.emplace_back(pixels, 1.0);
    const auto dot = [](const std::vector<double>& a, const std::vector<double>& c) {
      double sum = 0.0;
      for (std::size_t i = 0; i < a.size(); ++i) {
        sum += a[i] * c[i];
      }
      return sum;
    };
    const std::size_t l = linear.size();
    std::vector<double> a(l * l);
    for (std::size_t i = 0; i < l; ++i) {
      for (std::size_t j = 0; j < l; ++j) {
        a[i * l + j] = dot(linear[i], linear[j]);
      }
    }
    skyloom::numerics::SmallCholesky factor;
    REQUIRE(factor.factor(a, static_cast<int>(l)));
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<double> row(l);
      for (std::size_t k = 0; k < l; ++k) {
        row[k] = dot(columns[i], linear[k]);
      }
      factor.solve(row);
      for (std::size_t j = 0; j < n; ++j) {
        double value = dot(columns[i], columns[j]);
        for (std::size_t k = 0; k < l; ++k) {
          value -= row[k] * dot(columns[j], linear[k]);
        }
        expected[i * n + j] += value;
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const double scale = std::sqrt(expected[i * n + i] * expected[j * n + j]);
      REQUIRE(std::abs(h[i * n + j] - expected[i * n + j]) < 2e-4 * scale + 1e-9);
    }
  }
}

TEST_CASE("covariances of fluxes agree with the inverse of the full matrix") {
  auto patch = make_patch(7, small());
  for (auto& frame : patch.input.frames) {
    frame.gain_e_per_flux = 0.0;
  }
  fit::Workspace workspace;
  fit::Scene scene(patch.input, workspace);
  prepare(scene);
  const auto n = static_cast<std::size_t>(scene.active_parameters());
  std::vector<double> h(n * n);
  scene.normal_matrix(h);
  const std::vector<double> prior(n, 4.0);
  for (std::size_t i = 0; i < n; ++i) {
    h[i * n + i] += prior[i];
  }
  skyloom::numerics::SmallCholesky factor;
  REQUIRE(factor.factor(h, static_cast<int>(n)));
  const auto inverse = factor.inverse();
  // Without source noise the sandwich is the inverse itself.
  const auto cov = fit::covariance(scene, inverse, prior);
  for (std::size_t i = 0; i < n; ++i) {
    CHECK(cov.theta[i * n + i] == Approx(inverse[i * n + i]).epsilon(2e-4));
  }
  for (int b = 0; b < scene.n_bands(); ++b) {
    const auto& band = scene.band(b);
    const auto l = static_cast<std::size_t>(band.size());
    std::vector<double> coupling(l * n);
    scene.coupling_matrix(scene.gram(), band, b, coupling);
    for (std::size_t i = 0; i < l; ++i) {
      std::vector<double> unit(l, 0.0);
      unit[i] = 1.0;
      band.factor.solve(unit);
      std::vector<double> projected(n, 0.0);
      for (std::size_t k = 0; k < l; ++k) {
        for (std::size_t j = 0; j < n; ++j) {
          projected[j] += unit[k] * coupling[k * n + j];
        }
      }
      std::vector<double> solved = projected;
      factor.solve(solved);
      double expected = unit[i];
      for (std::size_t j = 0; j < n; ++j) {
        expected += projected[j] * solved[j];
      }
      CHECK(cov.linear[static_cast<std::size_t>(b)][i * l + i] == Approx(expected).epsilon(5e-4));
    }
  }
}

TEST_CASE("the result is the same twice") {
  auto patch = make_patch(8, small());
  const auto once = fit::compute(patch.input);
  const auto twice = fit::compute(patch.input);
  REQUIRE(once.sources.size() == twice.sources.size());
  for (std::size_t s = 0; s < once.sources.size(); ++s) {
    CHECK(once.sources[s].x == twice.sources[s].x);
    CHECK(once.sources[s].bands[0].flux == twice.sources[s].bands[0].flux);
    CHECK(once.sources[s].bands[0].flux_err == twice.sources[s].bands[0].flux_err);
  }
}

TEST_CASE("both solvers find the same minimum") {
  for (const std::uint64_t seed : {11U, 12U, 13U, 14U}) {
    auto patch = make_patch(seed, small());
    const auto tao = fit::compute(patch.input);
    patch.input.options.solver = fit::Solver::levenberg_marquardt;
    const auto lm = fit::compute(patch.input);
    INFO("patch " << seed << " chi2 " << total_chi2(tao) << " and " << total_chi2(lm));
    CHECK(largest_flux_shift(tao, lm) < 0.1);
  }
}

TEST_CASE("the fit forgets where it started") {
  using skyloom::Rng;
  std::vector<double> shifts;
  int converged = 0;
  int sources = 0;
  for (std::uint64_t seed = 100; seed < 130; ++seed) {
    auto patch = make_patch(seed, small());
    std::vector<fit::Result> results;
    for (const std::uint64_t draw : {1U, 2U}) {
      const Rng rng(draw, "starts", "test");
      for (std::size_t i = 0; i < patch.truth.size(); ++i) {
        patch.input.sources[i] = skyloom::test::disturbed(patch.truth[i], rng, 100 * seed + i, 1.0);
      }
      results.push_back(fit::compute(patch.input));
    }
    for (std::size_t i = 0; i < patch.truth.size(); ++i) {
      converged += results[0].sources[i].converged ? 1 : 0;
      ++sources;
      double shift = 0.0;
      double best = 0.0;
      for (std::size_t b = 0; b < 3; ++b) {
        const auto& one = results[0].sources[i].bands[b];
        const auto& two = results[1].sources[i].bands[b];
        shift = std::max(shift, std::abs(one.flux - two.flux) / one.flux_err);
        best = std::max(best, one.flux / one.flux_err);
      }
      if (best > 20.0) {
        shifts.push_back(shift);
      }
    }
  }
  REQUIRE(shifts.size() >= 60);
  std::sort(shifts.begin(), shifts.end());
  const double high = shifts[static_cast<std::size_t>(0.99 * static_cast<double>(shifts.size()))];
  INFO("99th percentile " << high << " of " << shifts.size() << ", worst " << shifts.back());
  CHECK(high < 0.05);
  INFO(converged << " of " << sources << " converged");
  CHECK(converged >= 0.99 * sources);
}

TEST_CASE("of the halo, only sources that meet a reported one are fitted to the end") {
  PatchOptions options;
  options.bands = 3;
  options.mean_sources = 40.0;
  auto patch = make_patch(16, options);
  auto& sources = patch.input.sources;
  std::size_t n_base = 0;
  for (auto& source : sources) {
    source.role = source.x < 80.0 && source.y < 80.0 ? fit::Role::base : fit::Role::halo_free;
    n_base += source.role == fit::Role::base ? 1 : 0;
  }
  REQUIRE(n_base >= 2);
  // Nothing is there, far from the reported sources.
  fit::SourceStart nothing;
  nothing.x = 160.0;
  nothing.y = 165.0;
  nothing.role = fit::Role::halo_free;
  nothing.flux = {10.0, 10.0, 10.0};
  sources.push_back(nothing);
  const auto result = fit::compute(patch.input);
  CHECK((result.sources.back().flags & fit::kFlagNotFitted) != 0U);
  CHECK((result.sources.back().flags & fit::kFlagNoData) == 0U);
  CHECK(result.sources.back().x == nothing.x);
  std::vector<fit::Role> roles;
  for (const auto& source : sources) {
    roles.push_back(source.role);
  }
  // The same with every source reported.
  for (auto& source : sources) {
    source.role = fit::Role::base;
  }
  const auto all = fit::compute(patch.input);
  int held = 0;
  int fitted = 0;
  for (std::size_t i = 0; i < patch.truth.size(); ++i) {
    const auto& band = all.sources[i].bands[1];
    if (roles[i] == fit::Role::base) {
      INFO("source " << i);
      CHECK(result.sources[i].bands[1].flux == Approx(band.flux).margin(0.15 * band.flux_err));
    }
    if (roles[i] == fit::Role::base || band.flux < 30.0 * band.flux_err) {
      continue;
    }
    // Bright remote ones were fitted before they were held.
    CHECK(result.sources[i].x == Approx(all.sources[i].x).margin(all.sources[i].x_err));
    ((result.sources[i].flags & fit::kFlagNotFitted) != 0U ? held : fitted) += 1;
  }
  CHECK(held > 0);
  CHECK(fitted > 0);
}

TEST_CASE("what masked pixels hold does not matter") {
  auto patch = make_patch(9, small());
  for (std::size_t f = 0; f < patch.input.frames.size(); ++f) {
    auto& frame = patch.input.frames[f];
    for (std::size_t i = f; i < frame.data.pixels().size(); i += 37) {
      frame.invvar.pixels()[i] = 0.0F;
      frame.data.pixels()[i] = 0.0F;
    }
  }
  const auto zero = fit::compute(patch.input);
  for (std::size_t f = 0; f < patch.input.frames.size(); ++f) {
    auto& frame = patch.input.frames[f];
    std::size_t k = 0;
    for (std::size_t i = f; i < frame.data.pixels().size(); i += 37, ++k) {
      frame.data.pixels()[i] = k % 2 == 0 ? std::numeric_limits<float>::quiet_NaN() : 1e30F;
      frame.invvar.pixels()[i] = k % 3 == 0 ? std::numeric_limits<float>::quiet_NaN() : 0.0F;
    }
  }
  const auto garbage = fit::compute(patch.input);
  for (std::size_t s = 0; s < zero.sources.size(); ++s) {
    CHECK(zero.sources[s].x == garbage.sources[s].x);
    CHECK(zero.sources[s].bands[1].flux == garbage.sources[s].bands[1].flux);
  }
}

TEST_CASE("bands and patches without good pixels") {
  auto patch = make_patch(10, small());
  auto& frame = patch.input.frames[1];
  std::fill(frame.invvar.pixels().begin(), frame.invvar.pixels().end(), 0.0F);
  const auto result = fit::compute(patch.input);
  for (const auto& source : result.sources) {
    CHECK(std::isnan(source.bands[1].flux));
    CHECK(std::isfinite(source.bands[0].flux));
  }
  CHECK(result.frames[1].npix == 0);
  for (auto& other : patch.input.frames) {
    std::fill(other.invvar.pixels().begin(), other.invvar.pixels().end(), 0.0F);
  }
  try {
    static_cast<void>(fit::compute(patch.input));
    FAIL("no error");
  } catch (const skyloom::UnitError& error) {
    CHECK(error.reason() == skyloom::Reason::no_good_data);
  }
  patch.input.frames[0].psf = nullptr;
  CHECK_THROWS_AS(fit::compute(patch.input), skyloom::UnitError);
}

TEST_CASE("linear halo sources and forced fits keep positions and shapes") {
  auto patch = make_patch(16, small());
  patch.input.sources[0].role = fit::Role::halo_linear;
  const auto result = fit::compute(patch.input);
  CHECK(result.sources[0].x == patch.input.sources[0].x);
  CHECK((result.sources[0].flags & fit::kFlagNotFitted) != 0U);
  CHECK(std::isfinite(result.sources[0].bands[0].flux));
  CHECK(std::isnan(result.sources[0].x_err));
  patch.input.options.forced = true;
  patch.input.sources = patch.truth;
  const auto forced = fit::compute(patch.input);
  for (std::size_t s = 0; s < patch.truth.size(); ++s) {
    CHECK(forced.sources[s].x == patch.truth[s].x);
    for (std::size_t b = 0; b < 3; ++b) {
      const auto& band = forced.sources[s].bands[b];
      CHECK(std::abs(band.flux - patch.truth[s].flux[b]) < 5.0 * band.flux_err);
    }
  }
  CHECK(forced.iterations == 0);
}

TEST_CASE("two frames of a band, one of them shifted and turned, give one flux") {
  using skyloom::test::moffat_stamp;
  const auto psf = moffat_stamp(3.5, 25);
  fit::SourceStart source;
  source.type = fit::SourceType::exp;
  source.x = 30.2;
  source.y = 27.7;
  source.re_pix = 2.5;
  source.axis_ratio = 0.6;
  source.phi_deg = 35.0;
  fit::Input input;
  input.width = 60;
  input.height = 60;
  input.n_bands = 1;
  for (int f = 0; f < 2; ++f) {
    fit::FrameData frame;
    auto seen = source;
    if (f == 1) {
      // Turned by 90 degrees: (x, y) -> (-y, x) + (60, 5).
      frame.matrix = {0.0, -1.0, 1.0, 0.0};
      frame.dx = 60.0;
      frame.dy = 5.0;
      seen.x = -source.y + 60.0;
      seen.y = source.x + 5.0;
      seen.phi_deg = source.phi_deg + 90.0;
    }
    Image<double> model(60, f == 1 ? 70 : 60);
    skyloom::test::add_source(model, seen, 5000.0, psf);
    frame.data = Image<float>(model.width(), model.height());
    frame.invvar = Image<float>(model.width(), model.height(), 1.0F);
    for (std::size_t i = 0; i < model.pixels().size(); ++i) {
      frame.data.pixels()[i] = static_cast<float>(model.pixels()[i]) + (f == 0 ? 2.0F : -3.0F);
    }
    frame.psf = std::make_shared<skyloom::test::StampPsf>(psf, 3.5);
    input.frames.push_back(std::move(frame));
  }
  source.x += 0.3;
  source.y -= 0.2;
  source.re_pix = 3.0;
  source.phi_deg = 25.0;
  input.sources = {source};
  input.options.shape_prior = fit::ShapePrior::none;
  const auto result = fit::compute(input);
  CHECK(result.sources[0].x == Approx(30.2).margin(1e-3));
  CHECK(result.sources[0].y == Approx(27.7).margin(1e-3));
  CHECK(result.sources[0].re_pix == Approx(2.5).epsilon(1e-3));
  CHECK(result.sources[0].phi_deg == Approx(35.0).margin(0.1));
  CHECK(result.sources[0].bands[0].flux == Approx(5000.0).epsilon(5e-4));
  CHECK(result.frames[0].sky == Approx(2.0).margin(3e-3));
  CHECK(result.frames[1].sky == Approx(-3.0).margin(3e-3));
  CHECK(result.converged_all);
}

TEST_CASE("a large galaxy is rendered right in several levels") {
  using skyloom::test::moffat_stamp;
  const auto psf = moffat_stamp(3.7, 27);
  fit::SourceStart source;
  source.type = fit::SourceType::dev;
  source.x = 100.3;
  source.y = 95.8;
  source.re_pix = 40.0;
  source.axis_ratio = 0.6;
  source.phi_deg = 35.0;
  source.flux = {4e6};
  fit::Input input;
  input.width = 200;
  input.height = 200;
  input.n_bands = 1;
  fit::FrameData frame;
  frame.data = Image<float>(200, 200);
  frame.invvar = Image<float>(200, 200, 1.0F);
  frame.psf = std::make_shared<skyloom::test::StampPsf>(psf, 3.7);
  // Truth on one grid with a period beyond the end of the profile (8.4 Re^2 variance, 5 sigma).
  const skyloom::sky::DftGrid grid({127, 900, 420});
  skyloom::sky::GalaxyFactors factors;
  factors.compute(grid, skyloom::sky::RadialTable(skyloom::sky::de_vaucouleurs_mixture()), nullptr,
                  skyloom::sky::shape_matrix(skyloom::sky::to_parameters({40.0, 0.6, 35.0})),
                  {1.0, 0.0, 0.0, 1.0}, false);
  std::vector<float> truth(200 * 200);
  skyloom::sky::RenderScratch scratch;
  skyloom::sky::render_galaxy(grid, skyloom::sky::psf_transform(psf, grid), factors, source.x,
                              source.y, 100, 96, false, {truth.data(), 200, 0, {0, 200, 0, 200}},
                              scratch);
  for (std::size_t i = 0; i < truth.size(); ++i) {
    frame.data.pixels()[i] = 4e6F * truth[i] + 1.0F;
  }
  input.frames.push_back(frame);
  input.sources = {source};
  input.options.keep_models = true;
  input.options.forced = true;
  const auto forced = fit::compute(input);
  CHECK(forced.sources[0].bands[0].flux == Approx(4e6).epsilon(2e-4));
  double worst = 0.0;
  double square = 0.0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const double d = static_cast<double>(forced.models[0].pixels()[i]) + forced.frames[0].sky -
                     static_cast<double>(frame.data.pixels()[i]);
    worst = std::max(worst, std::abs(d));
    square += d * d;
  }
  INFO("worst " << worst << " of sigma, all together " << std::sqrt(square));
  CHECK(worst < 3e-4 * 4e6 * static_cast<double>(truth[96 * 200 + 100]));
  input.options.forced = false;
  input.options.shape_prior = fit::ShapePrior::none;
  input.sources[0].re_pix = 30.0;
  input.sources[0].x += 0.4;
  const auto free = fit::compute(input);
  CHECK(free.sources[0].re_pix == Approx(40.0).epsilon(5e-3));
  CHECK(free.sources[0].bands[0].flux == Approx(4e6).epsilon(5e-3));
}

namespace {

/// Moffat whose width grows with x.
class VaryingPsf : public skyloom::sky::Psf {
 public:
  [[nodiscard]] static double width(double x) { return 3.0 + 0.01 * x; }
  [[nodiscard]] skyloom::sky::PsfStamp at(double x, double /*y*/) const override {
    return skyloom::test::moffat_stamp(width(x), 25);
  }
  [[nodiscard]] bool is_constant() const override { return false; }
  [[nodiscard]] double fwhm_pix() const override { return 3.5; }
};

}  // namespace

TEST_CASE("a varying PSF is evaluated where the source is") {
  fit::Input input;
  input.width = 120;
  input.height = 60;
  input.n_bands = 1;
  fit::FrameData frame;
  frame.data = Image<float>(120, 60);
  frame.invvar = Image<float>(120, 60, 1.0F);
  frame.psf = std::make_shared<VaryingPsf>();
  frame.psf_x0 = 50.0;
  Image<double> model(120, 60);
  for (const double x : {20.3, 90.6}) {
    fit::SourceStart star;
    star.x = x;
    star.y = 30.2;
    skyloom::test::add_source(
        model, star, 1e4, skyloom::test::moffat_stamp(VaryingPsf::width(std::round(x) + 50.0), 25));
    star.y += 0.3;
    input.sources.push_back(star);
  }
  for (std::size_t i = 0; i < model.pixels().size(); ++i) {
    frame.data.pixels()[i] = static_cast<float>(model.pixels()[i]);
  }
  input.frames.push_back(std::move(frame));
  const auto result = fit::compute(input);
  for (const auto& source : result.sources) {
    CHECK(source.bands[0].flux == Approx(1e4).epsilon(1e-3));
    CHECK(source.y == Approx(30.2).margin(2e-3));
  }
}

TEST_CASE("stop ends a fit early") {
  auto patch = make_patch(17, small());
  int calls = 0;
  patch.input.stop = [&calls] { return ++calls > 2; };
  const auto result = fit::compute(patch.input);
  CHECK(result.stopped);
  CHECK(result.sources.empty());
}

TEST_CASE("sources outside the ROI and on top of each other do not fail") {
  auto patch = make_patch(18, small());
  auto outside = patch.input.sources[0];
  outside.x = -12.0;
  outside.y = 40.0;
  patch.input.sources.push_back(outside);
  outside.x = -400.0;
  patch.input.sources.push_back(outside);
  patch.input.sources.push_back(patch.input.sources[0]);
  const auto result = fit::compute(patch.input);
  const std::size_t n = patch.input.sources.size();
  CHECK((result.sources[n - 2].flags & fit::kFlagNoData) != 0U);
  CHECK(std::isnan(result.sources[n - 2].bands[0].flux));
  CHECK(std::isfinite(result.sources[n - 1].bands[0].flux));
}

TEST_CASE("different starts end at the same fluxes") {
  // 99 % of the fluxes within 0.05 sigma: bright sources; the rest have valleys, hence the median.
  std::vector<double> shifts;
  for (std::uint64_t seed = 30; seed < 36; ++seed) {
    auto patch = make_patch(seed, small());
    const auto one = fit::compute(patch.input);
    const skyloom::Rng rng(99, "other", "start");
    auto again = patch.input;
    again.options.shape_prior = fit::ShapePrior::weak;
    for (std::size_t i = 0; i < again.sources.size(); ++i) {
      // The prior pulls towards the start, so only what it does not contain is changed.
      for (double& flux : again.sources[i].flux) {
        flux *= std::exp(0.12 * rng.normal(i, 3));
      }
    }
    const auto two = fit::compute(again);
    for (std::size_t s = 0; s < one.sources.size(); ++s) {
      for (std::size_t b = 0; b < one.sources[s].bands.size(); ++b) {
        const auto& x = one.sources[s].bands[b];
        if (x.flux > 20.0 * x.flux_err) {
          shifts.push_back(std::abs(x.flux - two.sources[s].bands[b].flux) / x.flux_err);
        }
      }
    }
  }
  REQUIRE(shifts.size() > 20);
  std::sort(shifts.begin(), shifts.end());
  CHECK(shifts[shifts.size() * 99 / 100] < 0.05);
}

TEST_CASE("sources that share no pixels do not slow or move each other") {
  // Two patches side by side with an empty strip between them, sky known. On the right, everything
  // starts as a huge flat SERSIC three pixels off; nothing of that may reach the left.
  constexpr int kGap = 150;
  auto left = make_patch(41, small());
  const auto right = make_patch(42, small());
  const int side = left.input.width;
  fit::Input both = left.input;
  both.width = 2 * side + kGap;
  both.options.shape_prior = fit::ShapePrior::none;
  for (std::size_t f = 0; f < both.frames.size(); ++f) {
    fit::FrameData& frame = both.frames[f];
    frame.fit_sky = false;
    frame.sky_start = 0.3;
    frame.data = Image<float>(both.width, side, 0.3F);
    frame.invvar = Image<float>(both.width, side, 1.0F);
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) {
        frame.data(y, x) = left.input.frames[f].data(y, x);
        frame.data(y, x + side + kGap) = right.input.frames[f].data(y, x);
      }
    }
  }
  fit::Input spoiled = both;
  for (fit::SourceStart source : right.input.sources) {
    source.x += side + kGap;
    both.sources.push_back(source);
    source.type = fit::SourceType::sersic;
    source.x += 3.0;
    source.re_pix = 20.0;
    source.axis_ratio = 0.15;
    source.sersic_n = 6.0;
    spoiled.sources.push_back(source);
  }
  const auto calm = fit::compute(both);
  const auto wild = fit::compute(spoiled);
  for (std::size_t s = 0; s < left.input.sources.size(); ++s) {
    INFO("source " << s);
    CHECK(calm.sources[s].converged);
    CHECK(wild.sources[s].converged);
    for (std::size_t b = 0; b < calm.sources[s].bands.size(); ++b) {
      const auto& band = calm.sources[s].bands[b];
      CHECK(std::abs(band.flux - wild.sources[s].bands[b].flux) < 0.02 * band.flux_err);
    }
  }
}

TEST_CASE("errors describe the scatter") {
  std::vector<double> pulls;
  for (std::uint64_t seed = 40; seed < 60; ++seed) {
    auto patch = make_patch(seed, small());
    const auto result = fit::compute(patch.input);
    for (std::size_t s = 0; s < result.sources.size(); ++s) {
      for (std::size_t b = 0; b < 3; ++b) {
        const auto& band = result.sources[s].bands[b];
        if (patch.truth[s].flux[b] > 20.0 * band.flux_err &&
            patch.truth[s].type == fit::SourceType::star) {
          pulls.push_back((band.flux - patch.truth[s].flux[b]) / band.flux_err);
        }
      }
    }
  }
  REQUIRE(pulls.size() > 60);
  double square = 0.0;
  for (const double p : pulls) {
    square += p * p;
  }
  const double rms = std::sqrt(square / static_cast<double>(pulls.size()));
  INFO("pull rms " << rms << " of " << pulls.size());
  CHECK(rms > 0.8);
  CHECK(rms < 1.25);
}
