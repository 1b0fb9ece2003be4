// The sky that patches have in common, and how fluxes follow it.

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/photometry/catalogue/kernel_sky.hpp"
#include "skyloom/core/random.hpp"

#include "support/fit_patch.hpp"

namespace fit = skyloom::photometry::fit;
using skyloom::photometry::catalogue::combine_skies;
using skyloom::photometry::catalogue::PatchSky;
using skyloom::photometry::catalogue::SkyModel;

namespace {

/// 8 x 8 patches of error 1 about a level, a gradient along x and a scatter.
std::vector<PatchSky> patches(std::uint64_t seed, double gradient, double scatter,
                              std::vector<double>* truth = nullptr) {
  const skyloom::Rng rng(seed, "sky", "test");
  std::vector<PatchSky> out;
  for (int i = 0; i < 64; ++i) {
    const double x = 100.0 * (i % 8);
    const double y = 100.0 * (i / 8);
    const double sky =
        5.0 + gradient * (x / 350.0 - 1.0) + scatter * rng.normal(static_cast<std::uint64_t>(i), 1);
    if (truth != nullptr) {
      truth->push_back(sky);
    }
    out.push_back({x, y, sky + rng.normal(static_cast<std::uint64_t>(i), 0), 1.0});
  }
  return out;
}

double rms(const SkyModel& model, const std::vector<double>& truth) {
  double sum = 0.0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    sum += std::pow(model.patches[i].sky - truth[i], 2);
  }
  return std::sqrt(sum / static_cast<double>(truth.size()));
}

}  // namespace

TEST_CASE("patches of one sky share its mean", "[sky]") {
  int constant = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const SkyModel model = combine_skies(patches(seed, 0.0, 0.0));
    REQUIRE(model.patches.size() == 64);
    constant += model.order == 0 && model.scatter == 0.0 ? 1 : 0;
    // 64 measurements of error 1: five standard errors of their mean.
    CHECK(std::abs(model.patches[27].sky - 5.0) < 5.0 / 8.0 + 3.0 * model.scatter);
  }
  CHECK(constant >= 20);
}

TEST_CASE("a gradient of the sky is kept", "[sky]") {
  std::vector<double> truth;
  const SkyModel model = combine_skies(patches(3, 6.0, 0.0, &truth));
  CHECK(model.order >= 1);
  CHECK(rms(model, truth) < 0.35);
  CHECK(model.patches[27].err < 0.4);
}

TEST_CASE("a sky that varies from patch to patch is shrunk as far as it is noise", "[sky]") {
  for (const double scatter : {1.0, 3.0, 20.0}) {
    std::vector<double> truth;
    const SkyModel model = combine_skies(patches(5, 0.0, scatter, &truth));
    CAPTURE(scatter, model.scatter);
    CHECK(model.scatter > 0.6 * scatter);
    CHECK(model.scatter < 1.5 * scatter);
    // The best linear estimate has the error s / sqrt(1 + s^2).
    CHECK(rms(model, truth) < 1.25 * scatter / std::hypot(1.0, scatter));
    CHECK(model.patches[0].err == Approx(scatter / std::hypot(1.0, scatter)).epsilon(0.2));
  }
}

TEST_CASE("a patch that disagrees keeps its own sky", "[sky]") {
  std::vector<PatchSky> all = patches(7, 0.0, 0.0);
  all[20].sky = 40.0;
  all[21].err = std::numeric_limits<double>::quiet_NaN();
  all[21].sky = -3.0;
  const SkyModel model = combine_skies(all);
  CHECK(model.n_outliers == 1);
  CHECK(model.patches[20].sky == 40.0);
  CHECK(model.patches[20].err == 1.0);
  CHECK(model.patches[21].sky == -3.0);
  CHECK(std::abs(model.patches[22].sky - 5.0) < 0.7);
}

TEST_CASE("few patches keep their own skies", "[sky]") {
  std::vector<PatchSky> all = patches(9, 0.0, 0.0);
  all.resize(3);
  const SkyModel model = combine_skies(all);
  CHECK(model.order == -1);
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(model.patches[i].sky == all[i].sky);
    CHECK(model.patches[i].err == all[i].err);
  }
}

TEST_CASE("fluxes follow a sky that is set to another value", "[sky]") {
  skyloom::test::PatchOptions options;
  options.side = 100;
  options.bands = 2;
  options.mean_sources = 8.0;
  int compared = 0;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    fit::Input input = skyloom::test::make_patch(seed, options).input;
    const fit::Result free = fit::compute(input);
    // A shift small enough for the response to be linear, of the sky of band 0 only.
    const double shift = 0.5 * free.frames[0].sky_err;
    fit::Input held = input;
    held.frames[0].fit_sky = false;
    held.frames[0].sky_start = free.frames[0].sky + shift;
    for (std::size_t i = 0; i < held.sources.size(); ++i) {
      // From the solution, so that the same boxes are chosen.
      for (std::size_t b = 0; b < 2; ++b) {
        held.sources[i].flux[b] = free.sources[i].bands[b].flux;
      }
    }
    const fit::Result other = fit::compute(held);
    for (std::size_t i = 0; i < input.sources.size(); ++i) {
      const fit::SourceFit& s = free.sources[i];
      for (std::size_t b = 0; b < 2; ++b) {
        const double snr = s.bands[b].flux / s.bands[b].flux_err;
        if (input.sources[i].role != fit::Role::base || !(snr > 10.0)) {
          continue;
        }
        const double expected = s.flux_per_sky[b * 2] * shift / s.bands[b].flux_err;
        const double found =
            (other.sources[i].bands[b].flux - s.bands[b].flux) / s.bands[b].flux_err;
        CAPTURE(seed, i, b, snr, expected, found);
        CHECK(std::abs(found - expected) < 0.02 + 0.2 * std::abs(expected));
        compared += std::abs(expected) > 0.02 ? 1 : 0;
      }
    }
  }
  CHECK(compared >= 5);
}

TEST_CASE("halves of a patch measure its sky independently", "[sky]") {
  skyloom::test::PatchOptions options = skyloom::test::small();
  fit::Input input = skyloom::test::make_patch(4, options).input;
  const fit::Result all = fit::compute(input);
  input.base = {0, 40, 0, input.height};
  const fit::Result left = fit::compute(input);
  input.base = {40, input.width, 0, input.height};
  const fit::Result right = fit::compute(input);
  for (std::size_t f = 0; f < all.frames.size(); ++f) {
    CHECK(all.frames[f].base_sky == Approx(all.frames[f].sky).margin(1e-4));
    CHECK(all.frames[f].base_sky_err == Approx(all.frames[f].sky_err));
    const double a = std::pow(left.frames[f].base_sky_err, -2.0);
    const double b = std::pow(right.frames[f].base_sky_err, -2.0);
    CHECK(a + b == Approx(std::pow(all.frames[f].sky_err, -2.0)));
    CHECK((a * left.frames[f].base_sky + b * right.frames[f].base_sky) / (a + b) ==
          Approx(all.frames[f].sky).margin(1e-4));
    CHECK(std::abs(left.frames[f].base_sky - right.frames[f].base_sky) > 1e-3);
  }
}

TEST_CASE("a free sky does not hold back the fluxes of extended galaxies", "[sky]") {
  // Its information is that of all pixels of a wide patch, a million times that of such a flux.
  constexpr int kSide = 600;
  fit::SourceStart galaxy;
  galaxy.type = fit::SourceType::dev;
  galaxy.x = 301.3;
  galaxy.y = 298.8;
  galaxy.re_pix = 12.0;
  galaxy.axis_ratio = 0.7;
  galaxy.flux = {3e5};
  skyloom::Image<double> model(kSide, kSide);
  const auto psf = skyloom::test::moffat_stamp(3.5, 20);
  skyloom::test::add_source(model, galaxy, galaxy.flux[0], psf);
  fit::FrameData frame;
  frame.data = skyloom::Image<float>(kSide, kSide);
  frame.invvar = skyloom::Image<float>(kSide, kSide, 1.0F);
  frame.psf = std::make_shared<skyloom::test::StampPsf>(psf, 3.5);
  const skyloom::Rng rng(1, "sky", "wide");
  for (std::size_t i = 0; i < model.pixels().size(); ++i) {
    frame.data.pixels()[i] = static_cast<float>(model.pixels()[i] + rng.normal(i, 0));
  }
  fit::Input input;
  input.width = kSide;
  input.height = kSide;
  input.n_bands = 1;
  input.frames.push_back(frame);
  input.sources.push_back(galaxy);
  const fit::Result free = fit::compute(input);
  input.frames[0].fit_sky = false;
  input.frames[0].sky_start = free.frames[0].sky;
  const fit::Result held = fit::compute(input);
  const fit::BandFit& flux = free.sources[0].bands[0];
  REQUIRE(flux.flux / flux.flux_err > 200.0);
  CHECK(std::abs(held.sources[0].bands[0].flux - flux.flux) < 0.05 * flux.flux_err);
}

TEST_CASE("a halo source that the pixels hardly see is left out", "[sky]") {
  fit::Input input = skyloom::test::make_patch(6, skyloom::test::small()).input;
  const fit::Result alone = fit::compute(input);
  fit::SourceStart outside;
  outside.type = fit::SourceType::sersic;
  outside.role = fit::Role::halo_free;
  outside.x = -30.0;
  outside.y = 45.0;
  outside.flux.assign(static_cast<std::size_t>(input.n_bands), 700.0);
  input.sources.push_back(outside);
  const fit::Result with = fit::compute(input);
  CHECK(with.sources.back().flags & fit::kFlagNoData);
  for (std::size_t i = 0; i < alone.sources.size(); ++i) {
    for (std::size_t b = 0; b < alone.sources[i].bands.size(); ++b) {
      const fit::BandFit& flux = alone.sources[i].bands[b];
      if (std::isfinite(flux.flux)) {
        CHECK(std::abs(with.sources[i].bands[b].flux - flux.flux) < 0.02 * flux.flux_err);
      }
    }
  }
  // Where its light matters it stays, however far its centre is from the pixels.
  input.sources.back().type = fit::SourceType::star;
  input.sources.back().x = -6.0;
  input.sources.back().flux.assign(static_cast<std::size_t>(input.n_bands), 20000.0);
  CHECK_FALSE(fit::compute(input).sources.back().flags & fit::kFlagNoData);
}
