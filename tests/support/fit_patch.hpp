#pragma once
// Simulated patches with known truth for tests and benchmarks of the patch fit. Images are rendered
// on grids much larger than those the fit chooses, noise is Poisson plus sky (as a Gaussian).

#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pipelines/photometry/fit/kernel.hpp"
#include "skyloom/core/random.hpp"
#include "skyloom/sky/profile.hpp"
#include "skyloom/sky/render.hpp"

namespace skyloom::test {

namespace fit = photometry::fit;

class StampPsf : public sky::Psf {
 public:
  StampPsf(sky::PsfStamp stamp, double fwhm_pix) : stamp_(std::move(stamp)), fwhm_(fwhm_pix) {}
  [[nodiscard]] sky::PsfStamp at(double /*x*/, double /*y*/) const override { return stamp_; }
  [[nodiscard]] bool is_constant() const override { return true; }
  [[nodiscard]] double fwhm_pix() const override { return fwhm_; }

 private:
  sky::PsfStamp stamp_;
  double fwhm_;
};

inline sky::PsfStamp moffat_stamp(double fwhm_pix, int radius) {
  const double beta = 3.5;
  const double alpha = fwhm_pix / (2.0 * std::sqrt(std::pow(2.0, 1.0 / beta) - 1.0));
  Image<float> image(2 * radius + 1, 2 * radius + 1);
  std::vector<double> values;
  double sum = 0.0;
  for (int y = -radius; y <= radius; ++y) {
    for (int x = -radius; x <= radius; ++x) {
      values.push_back(std::pow(1.0 + (x * x + y * y) / (alpha * alpha), -beta));
      sum += values.back();
    }
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    image.pixels()[i] = static_cast<float>(values[i] / sum);
  }
  return {std::move(image), 1};
}

/// Adds flux * unit image of a source to an image in frame pixels.
inline void add_source(Image<double>& image, const fit::SourceStart& source, double flux,
                       const sky::PsfStamp& psf) {
  std::vector<float> data(image.pixels().size(), 0.0F);
  const sky::ImageBlock block{data.data(), image.width(), 0, image.box()};
  sky::RenderScratch scratch;
  if (source.type == fit::SourceType::star) {
    sky::PointSource(psf).render(source.x, source.y, false, block, scratch);
  } else {
    const sky::DftGrid grid({95, 230, 110});
    sky::GalaxyFactors factors;
    const auto mixture = source.type == fit::SourceType::exp ? sky::exponential_mixture()
                         : source.type == fit::SourceType::dev
                             ? sky::de_vaucouleurs_mixture()
                             : sky::sersic_mixture(source.sersic_n);
    factors.compute(
        grid, sky::RadialTable(mixture), nullptr,
        sky::shape_matrix(sky::to_parameters({source.re_pix, source.axis_ratio, source.phi_deg})),
        {1.0, 0.0, 0.0, 1.0}, false);
    sky::render_galaxy(grid, sky::psf_transform(psf, grid), factors, source.x, source.y,
                       static_cast<int>(std::lround(source.x)),
                       static_cast<int>(std::lround(source.y)), false, block, scratch);
  }
  for (std::size_t i = 0; i < data.size(); ++i) {
    image.pixels()[i] += flux * static_cast<double>(data[i]);
  }
}

struct Patch {
  fit::Input input;                     ///< with disturbed starts
  std::vector<fit::SourceStart> truth;  ///< with the true fluxes
};

struct PatchOptions {
  int side = 170;
  int bands = 5;
  double mean_sources = 12.4;
  double min_distance = 8.0;
  double disturbance = 1.0;  ///< of the starts, 1 = like a good catalogue
  double gain = 3.0;         ///< electrons per flux unit; sky sigma is 1
  bool noise = true;
};

/// A patch that fits in a moment: about six sources in three bands.
inline PatchOptions small(bool noise = true) {
  PatchOptions options;
  options.side = 90;
  options.bands = 3;
  options.mean_sources = 6.0;
  options.noise = noise;
  return options;
}

inline fit::SourceStart random_source(const Rng& rng, std::uint64_t i, int bands) {
  fit::SourceStart s;
  const double kind = rng.uniform(i, 2);
  s.type = kind < 0.63   ? fit::SourceType::star
           : kind < 0.79 ? fit::SourceType::exp
           : kind < 0.89 ? fit::SourceType::dev
                         : fit::SourceType::sersic;
  // Counts falling as 1 / flux between 100 and 20000 sky sigmas.
  const double flux = 1.0 / (1.0 / 20000.0 + rng.uniform(i, 3) * (1.0 / 100.0 - 1.0 / 20000.0));
  const double colour = 0.3 * rng.normal(i, 4);
  for (int b = 0; b < bands; ++b) {
    s.flux.push_back(flux * std::exp(colour * (b - 2)));
  }
  s.re_pix = std::exp(rng.uniform(i, std::log(1.5), std::log(6.0), 5));
  s.axis_ratio = rng.uniform(i, 0.3, 0.95, 6);
  s.phi_deg = rng.uniform(i, 0.0, 180.0, 7);
  s.sersic_n = std::exp(rng.uniform(i, std::log(0.7), std::log(5.0), 8));
  return s;
}

inline fit::SourceStart disturbed(const fit::SourceStart& truth, const Rng& rng, std::uint64_t i,
                                  double strength) {
  fit::SourceStart s = truth;
  const double offset = (truth.type == fit::SourceType::star ? 0.16 : 0.3) * strength;
  s.x += offset * rng.normal(i, 20);
  s.y += offset * rng.normal(i, 21);
  for (std::size_t b = 0; b < s.flux.size(); ++b) {
    const auto lane = static_cast<std::uint32_t>(30 + 2 * b);
    s.flux[b] = rng.uniform(i, lane + 1) < 0.05
                    ? std::numeric_limits<double>::quiet_NaN()
                    : s.flux[b] * std::exp(0.12 * strength * rng.normal(i, lane));
  }
  s.re_pix *= std::exp(0.2 * strength * rng.normal(i, 22));
  s.axis_ratio = std::fmin(1.0, std::fmax(0.1, s.axis_ratio + 0.07 * strength * rng.normal(i, 23)));
  s.phi_deg += 8.0 * strength * rng.normal(i, 24);
  s.sersic_n = 3.0;
  return s;
}

inline Patch make_patch(std::uint64_t seed, const PatchOptions& options = {}) {
  const Rng rng(seed, "patch", "test");
  Patch patch;
  const double area = options.side * options.side;
  const int wanted = static_cast<int>(rng.poisson(0, options.mean_sources));
  for (std::uint64_t i = 1; static_cast<int>(patch.truth.size()) < wanted && i < 2000; ++i) {
    const double x = rng.uniform(i, 4.0, options.side - 5.0, 0);
    const double y = rng.uniform(i, 4.0, options.side - 5.0, 1);
    bool free = true;
    for (const auto& other : patch.truth) {
      free = free && std::hypot(other.x - x, other.y - y) >= options.min_distance;
    }
    if (free) {
      auto source = random_source(rng, i, options.bands);
      source.x = x;
      source.y = y;
      patch.truth.push_back(source);
    }
  }
  patch.input.width = options.side;
  patch.input.height = options.side;
  patch.input.n_bands = options.bands;
  for (int b = 0; b < options.bands; ++b) {
    const double fwhm = 3.2 + 0.25 * b;
    const auto psf = moffat_stamp(fwhm, 27);
    Image<double> model(options.side, options.side);
    for (const auto& source : patch.truth) {
      add_source(model, source, source.flux[static_cast<std::size_t>(b)], psf);
    }
    fit::FrameData frame;
    frame.band = b;
    frame.data = Image<float>(options.side, options.side);
    frame.invvar = Image<float>(options.side, options.side, 1.0F);
    frame.gain_e_per_flux = options.gain;
    frame.psf = std::make_shared<StampPsf>(psf, fwhm);
    for (std::size_t i = 0; i < static_cast<std::size_t>(area); ++i) {
      const double m = model.pixels()[i];
      const double sigma = std::sqrt(1.0 + std::fmax(0.0, m) / options.gain);
      const double noise =
          options.noise ? sigma * rng.normal(100000 + i, static_cast<std::uint32_t>(b)) : 0.0;
      frame.data.pixels()[i] = static_cast<float>(m + 0.3 + noise);
    }
    patch.input.frames.push_back(std::move(frame));
  }
  for (std::size_t i = 0; i < patch.truth.size(); ++i) {
    patch.input.sources.push_back(disturbed(patch.truth[i], rng, i + 1, options.disturbance));
  }
  return patch;
}

}  // namespace skyloom::test
