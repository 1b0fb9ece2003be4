// Identities of the patch fit: what must not change its result (photometry-kernel.md 11).

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/photometry/fit/kernel_problem.hpp"
#include "pipelines/photometry/fit/kernel_solve.hpp"

#include "support/fit_patch.hpp"

namespace fit = skyloom::photometry::fit;
using skyloom::test::make_patch;

namespace {

skyloom::test::Patch small_patch(std::uint64_t seed) {
  return make_patch(seed, skyloom::test::small());
}

/// The patch with sources and bands in another order: source i of it is sources[i] of the first,
/// band b of it bands[b].
fit::Input permuted(const fit::Input& input, const std::vector<std::size_t>& sources,
                    const std::vector<std::size_t>& bands) {
  fit::Input out = input;
  for (std::size_t b = 0; b < bands.size(); ++b) {
    out.frames[b] = input.frames[bands[b]];
    out.frames[b].band = static_cast<int>(b);
  }
  for (std::size_t i = 0; i < sources.size(); ++i) {
    out.sources[i] = input.sources[sources[i]];
    for (std::size_t b = 0; b < bands.size(); ++b) {
      out.sources[i].flux[b] = input.sources[sources[i]].flux[bands[b]];
    }
  }
  return out;
}

double worst_flux_shift(const fit::Input& input, const std::vector<std::size_t>& sources,
                        const std::vector<std::size_t>& bands) {
  const auto one = fit::compute(input);
  const auto two = fit::compute(permuted(input, sources, bands));
  double worst = 0.0;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    for (std::size_t b = 0; b < bands.size(); ++b) {
      const auto& x = one.sources[sources[i]].bands[bands[b]];
      const auto& y = two.sources[i].bands[b];
      worst = std::max(worst, std::abs(x.flux - y.flux) / x.flux_err);
      worst = std::max(worst, std::abs(x.flux_err / y.flux_err - 1.0));
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("the order of sources and bands does not matter") {
  for (const std::uint64_t seed : {8U, 21U, 22U}) {
    auto patch = small_patch(seed);
    std::vector<std::size_t> sources(patch.truth.size());
    std::iota(sources.rbegin(), sources.rend(), std::size_t{0});
    INFO("patch " << seed);
    // With positions and shapes held the solution is unique.
    patch.input.options.forced = true;
    CHECK(worst_flux_shift(patch.input, sources, {2, 0, 1}) < 1e-6);
    // A free fit ends within rounding of where the last steps, of another rounding, lead.
    patch.input.options.forced = false;
    CHECK(worst_flux_shift(patch.input, sources, {2, 0, 1}) < 1e-5);
  }
}

TEST_CASE("sources that left the iteration are where a solution without leave ends") {
  int compared = 0;
  for (std::uint64_t seed = 31; seed < 40; ++seed) {
    auto patch = small_patch(seed);
    patch.input.options.shape_prior = fit::ShapePrior::none;
    // The two must not differ in what their boxes leave out.
    patch.input.options.truncation_sigma = 0.01;
    const auto frozen = fit::compute(patch.input);
    fit::Input from_there = patch.input;
    for (std::size_t s = 0; s < frozen.sources.size(); ++s) {
      const fit::SourceFit& found = frozen.sources[s];
      fit::SourceStart& start = from_there.sources[s];
      start.x = found.x;
      start.y = found.y;
      if (start.type != fit::SourceType::star) {
        start.re_pix = found.re_pix;
        start.axis_ratio = found.axis_ratio;
        start.phi_deg = found.phi_deg;
        start.sersic_n = found.sersic_n;
      }
      for (std::size_t b = 0; b < 3; ++b) {
        start.flux[b] = found.bands[b].flux;
      }
    }
    // Full Gauss-Newton steps of all parameters at once.
    fit::Workspace workspace;
    fit::Scene scene(from_there, workspace);
    fit::place_sources(scene);
    for (int step = 0; step < 8; ++step) {
      fit::wake_all(scene);
      fit::NewtonStep newton;
      fit::newton_step(scene, newton);
      std::vector<double> x = newton.x;
      for (std::size_t i = 0; i < x.size(); ++i) {
        x[i] = std::clamp(x[i] + newton.step[i], newton.lower[i], newton.upper[i]);
      }
      fit::PatchProblem(scene).set(x);
    }
    scene.evaluate(false);
    for (std::size_t s = 0; s < frozen.sources.size(); ++s) {
      for (std::size_t b = 0; b < 3; ++b) {
        const fit::BandFit& band = frozen.sources[s].bands[b];
        if (band.flux > 20.0 * band.flux_err) {
          INFO("patch " << seed << " source " << s << " band " << b);
          CHECK(std::abs(scene.sources()[s].flux[b] - band.flux) < 0.05 * band.flux_err);
          ++compared;
        }
      }
    }
  }
  CHECK(compared > 20);
}

TEST_CASE("data and errors a thousand times larger give fluxes a thousand times larger") {
  // A power of two keeps every rounding; others may not.
  struct Row {
    float scale;
    double tolerance;
  };
  for (const Row& row : {Row{1000.0F, 1e-5}, Row{0.001F, 1e-5}, Row{1024.0F, 0.0}}) {
    auto patch = small_patch(15);
    const auto one = fit::compute(patch.input);
    const auto scale = static_cast<double>(row.scale);
    for (auto& frame : patch.input.frames) {
      for (float& v : frame.data.pixels()) {
        v *= row.scale;
      }
      for (float& v : frame.invvar.pixels()) {
        v /= row.scale * row.scale;
      }
      frame.gain_e_per_flux /= scale;
    }
    for (auto& source : patch.input.sources) {
      for (double& f : source.flux) {
        f *= scale;
      }
    }
    const auto two = fit::compute(patch.input);
    INFO("scale " << scale);
    CHECK(two.iterations == one.iterations);
    for (std::size_t s = 0; s < one.sources.size(); ++s) {
      for (std::size_t b = 0; b < 3; ++b) {
        const auto& x = one.sources[s].bands[b];
        const auto& y = two.sources[s].bands[b];
        CHECK(std::abs(y.flux / scale - x.flux) <= row.tolerance * x.flux_err);
        CHECK(y.flux_err / scale == Approx(x.flux_err).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("the conditional error of a flux is that of its unit image alone") {
  auto patch = small_patch(23);
  patch.input.sources.resize(1);
  patch.input.options.forced = true;
  patch.input.options.keep_models = true;
  // Uneven weights, and pixels without any.
  for (auto& frame : patch.input.frames) {
    for (std::size_t i = 0; i < frame.invvar.pixels().size(); ++i) {
      frame.invvar.pixels()[i] = i % 11 == 0 ? 0.0F : 0.5F + 0.1F * static_cast<float>(i % 7);
    }
  }
  const auto result = fit::compute(patch.input);
  for (std::size_t b = 0; b < 3; ++b) {
    const auto& band = result.sources[0].bands[b];
    double sum = 0.0;
    for (std::size_t i = 0; i < result.models[b].pixels().size(); ++i) {
      const double unit = static_cast<double>(result.models[b].pixels()[i]) / band.flux;
      sum += unit * unit * static_cast<double>(patch.input.frames[b].invvar.pixels()[i]);
    }
    INFO("band " << b);
    CHECK(band.flux_err_cond == Approx(1.0 / std::sqrt(sum)).epsilon(1e-5));
    CHECK(band.flux_err > band.flux_err_cond);
  }
  // Without good pixels there is no error.
  for (float& weight : patch.input.frames[1].invvar.pixels()) {
    weight = 0.0F;
  }
  CHECK(std::isnan(fit::compute(patch.input).sources[0].bands[1].flux_err_cond));
}
