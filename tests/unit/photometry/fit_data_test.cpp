// What the patch fit is given: masked pixels, empty bands, frames on other grids, large galaxies,
// PSFs that vary.

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
