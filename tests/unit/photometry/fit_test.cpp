// What the patch fit finds: the truth without noise, the same from any start, errors, the roles of
// sources.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/photometry/fit/kernel.hpp"
#include "skyloom/core/errors.hpp"

#include "support/fit_patch.hpp"

namespace fit = skyloom::photometry::fit;
using skyloom::Image;
using skyloom::test::make_patch;
using skyloom::test::Patch;
using skyloom::test::PatchOptions;
using skyloom::test::small;

namespace {

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
