// The patch fit with Gaussians in place of a PSF stamp: everywhere, for galaxies, or for their very
// wide terms alone. Data are made on one large grid; the Gaussians are far from the stamp on
// purpose, so that a term convolved with the wrong one shows.

#include <cmath>
#include <memory>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/photometry/fit/kernel.hpp"
#include "skyloom/sky/psf_mixture.hpp"

#include "support/fit_patch.hpp"

namespace fit = skyloom::photometry::fit;
namespace sky = skyloom::sky;
using skyloom::Image;

namespace {

constexpr int kSide = 160;

sky::PsfMixture lopsided() {
  return {{{0.6, 1.5, -0.5, {3.0, 0.5, 2.0}}, {0.4, -2.0, 1.0, {20.0, -4.0, 30.0}}}};
}

sky::PsfStamp moffat() {
  return skyloom::test::moffat_stamp(3.7, 27);
}

std::shared_ptr<const sky::Psf> stamp_psf() {
  return std::make_shared<skyloom::test::StampPsf>(moffat(), 3.7);
}

fit::SourceStart galaxy(double re_pix) {
  fit::SourceStart source;
  source.type = fit::SourceType::dev;
  source.x = 80.3;
  source.y = 75.8;
  source.re_pix = re_pix;
  source.axis_ratio = 0.7;
  source.phi_deg = 35.0;
  return source;
}

/// Terms of a galaxy narrower than `from_pix` convolved with the stamp, the others with Gaussians.
void add_galaxy(Image<float>& image, const fit::SourceStart& source, double flux, double from_pix) {
  const sky::DftGrid grid({95, 700, 340});
  const sky::Mixture profile = sky::de_vaucouleurs_mixture();
  for (const bool wide : {false, true}) {
    sky::Mixture part;
    for (std::size_t k = 0; k < profile.variance.size(); ++k) {
      if ((std::sqrt(profile.variance[k]) * source.re_pix >= from_pix) == wide) {
        part.variance.push_back(profile.variance[k]);
        part.amplitude.push_back(profile.amplitude[k]);
      }
    }
    if (part.variance.empty()) {
      continue;
    }
    sky::GalaxyFactors factors;
    factors.compute(
        grid, sky::RadialTable(part), nullptr,
        sky::shape_matrix(sky::to_parameters({source.re_pix, source.axis_ratio, source.phi_deg})),
        {1.0, 0.0, 0.0, 1.0}, false);
    std::vector<float> data(image.pixels().size(), 0.0F);
    sky::RenderScratch scratch;
    sky::render_galaxy(
        grid, wide ? sky::mixture_transform(lopsided(), grid) : sky::psf_transform(moffat(), grid),
        factors, source.x, source.y, static_cast<int>(std::lround(source.x)),
        static_cast<int>(std::lround(source.y)), false, {data.data(), kSide, 0, image.box()},
        scratch);
    for (std::size_t i = 0; i < data.size(); ++i) {
      image.pixels()[i] += static_cast<float>(flux) * data[i];
    }
  }
}

fit::Input input_of(const Image<float>& data, std::shared_ptr<const sky::Psf> psf,
                    std::vector<fit::SourceStart> sources) {
  fit::Input input;
  input.width = kSide;
  input.height = kSide;
  input.n_bands = 1;
  fit::FrameData frame;
  frame.data = data;
  frame.invvar = Image<float>(kSide, kSide, 1.0F);
  frame.psf = std::move(psf);
  input.frames.push_back(std::move(frame));
  input.sources = std::move(sources);
  input.options.keep_models = true;
  return input;
}

/// Fluxes with positions and shapes held, and the largest pixel the model is off by.
double check_forced(fit::Input input, const std::vector<double>& flux) {
  input.options.forced = true;
  const auto result = fit::compute(input);
  for (std::size_t s = 0; s < flux.size(); ++s) {
    INFO("source " << s);
    CHECK(result.sources[s].bands[0].flux == Approx(flux[s]).epsilon(3e-4));
  }
  double worst = 0.0;
  for (std::size_t i = 0; i < result.models[0].pixels().size(); ++i) {
    const double model = static_cast<double>(result.models[0].pixels()[i]) + result.frames[0].sky;
    worst =
        std::max(worst, std::abs(model - static_cast<double>(input.frames[0].data.pixels()[i])));
  }
  return worst;
}

constexpr double kFlux = 1e6;

}  // namespace

TEST_CASE("the very wide terms of galaxies see the Gaussians of a hybrid PSF") {
  const auto hybrid = sky::with_mixture(stamp_psf(), lopsided(), sky::kVeryWidePix);
  // The widest term of Re 12 is 35 pixels wide, the next 14.
  const auto source = galaxy(12.0);
  Image<float> data(kSide, kSide, 1.0F);
  add_galaxy(data, source, kFlux, sky::kVeryWidePix);
  const auto input = input_of(data, hybrid, {source});
  const double peak = 0.008 * kFlux;
  CHECK(check_forced(input, {kFlux}) < 3e-4 * peak);
  // The same data are not those of the stamp alone.
  auto plain = input;
  plain.frames[0].psf = stamp_psf();
  plain.options.forced = true;
  CHECK(fit::compute(plain).frames[0].chi2 > 20.0 * fit::compute(input).frames[0].chi2);
  // Free, from somewhere else.
  auto free = input;
  free.options.shape_prior = fit::ShapePrior::none;
  free.sources[0].re_pix = 9.0;
  free.sources[0].x += 0.4;
  const auto fitted = fit::compute(free);
  CHECK(fitted.sources[0].x == Approx(source.x).margin(0.01));
  CHECK(fitted.sources[0].re_pix == Approx(12.0).epsilon(5e-3));
  CHECK(fitted.sources[0].bands[0].flux == Approx(kFlux).epsilon(5e-3));
}

TEST_CASE("small galaxies and stars do not see the Gaussians of a hybrid PSF") {
  const auto source = galaxy(3.0);
  fit::SourceStart star;
  star.x = 40.2;
  star.y = 120.6;
  Image<double> model(kSide, kSide);
  skyloom::test::add_source(model, source, 1e4, moffat());
  skyloom::test::add_source(model, star, 1e4, moffat());
  Image<float> data(kSide, kSide);
  for (std::size_t i = 0; i < data.pixels().size(); ++i) {
    data.pixels()[i] = static_cast<float>(model.pixels()[i]);
  }
  const auto plain = fit::compute(input_of(data, stamp_psf(), {source, star}));
  const auto hybrid = fit::compute(input_of(
      data, sky::with_mixture(stamp_psf(), lopsided(), sky::kVeryWidePix), {source, star}));
  for (std::size_t s = 0; s < 2; ++s) {
    CHECK(hybrid.sources[s].x == plain.sources[s].x);
    CHECK(hybrid.sources[s].bands[0].flux == plain.sources[s].bands[0].flux);
  }
}

TEST_CASE("galaxies alone see the Gaussians, or stars do as well") {
  fit::SourceStart star;
  star.x = 40.2;
  star.y = 120.6;
  for (const double re : {3.0, 12.0}) {
    const auto source = galaxy(re);
    for (const bool all : {false, true}) {
      INFO("Re " << re << (all ? ", stars too" : ""));
      const auto psf = all ? sky::make_mixture_psf(lopsided(), 40.0)
                           : sky::with_mixture(stamp_psf(), lopsided(), 0.0);
      Image<float> data(kSide, kSide, -2.0F);
      add_galaxy(data, source, kFlux, 0.0);
      std::vector<float> image(data.pixels().size());
      sky::RenderScratch scratch;
      sky::PointSource(psf->at(0.0, 0.0))
          .render(star.x, star.y, false, {image.data(), kSide, 0, data.box()}, scratch);
      for (int y = 0; y < kSide; ++y) {
        for (int x = 0; x < kSide; ++x) {
          const auto at = static_cast<std::size_t>(y * kSide + x);
          const double light =
              all ? lopsided().at(x - star.x, y - star.y) : static_cast<double>(image[at]);
          data(y, x) += static_cast<float>(0.1 * kFlux * light);
        }
      }
      const auto input = input_of(data, psf, {source, star});
      CHECK(check_forced(input, {kFlux, 0.1 * kFlux}) < 3e-4 * 0.02 * kFlux);
    }
  }
}
