#include "pipelines/photometry/epsf/second_pass.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "pipelines/photometry/epsf/neighbours.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/sky/render.hpp"

namespace skyloom::photometry::epsf {
namespace {

constexpr double kSame = 2.0;         // pixels: a catalogue row and a detection are one source
constexpr double kLightReach = 10.0;  // pixels beyond the stamp ...
constexpr double kGalaxyReach = 4.0;  // ... and half-light radii, that a source's light may reach
constexpr int kMaxSteps = 30;

bool is_near(double x, double y, double other_x, double other_y) {
  return std::abs(x - other_x) < kSame && std::abs(y - other_y) < kSame &&
         std::hypot(x - other_x, y - other_y) < kSame;
}

/// Rows of the catalogue that a star's stamp may hold light of and nobody else accounts for.
std::vector<fit::SourceStart> others_near(const Star& star, const Input& input,
                                          const Selection& selection) {
  std::vector<fit::SourceStart> out;
  for (const CatalogueSource& row : input.catalogue) {
    const double reach = kLightReach + (row.is_star ? 0.0 : kGalaxyReach * row.re_pix);
    if (row.x < star.box.x0 - reach || row.x > star.box.x1 + reach || row.y < star.box.y0 - reach ||
        row.y > star.box.y1 + reach || is_near(row.x, row.y, star.row.x, star.row.y)) {
      continue;
    }
    const bool known =
        std::any_of(selection.neighbours.begin(), selection.neighbours.end(),
                    [&](const Neighbour& n) { return is_near(row.x, row.y, n.x, n.y); });
    if (known) {
      continue;
    }
    fit::SourceStart source;
    source.type = row.is_star ? fit::SourceType::star : row.type;
    source.role = star.box.contains(row.x, row.y) ? fit::Role::base : fit::Role::halo_free;
    source.x = row.x - star.box.x0;
    source.y = row.y - star.box.y0;
    source.re_pix = row.re_pix;
    source.axis_ratio = row.axis_ratio;
    source.phi_deg = row.phi_deg;
    source.sersic_n = row.sersic_n;
    out.push_back(std::move(source));
  }
  return out;
}

/// The stamp with everything but the fitted sources subtracted, as the patch fit takes it.
fit::Input fit_input(const Star& star, const std::shared_ptr<const sky::FieldPsf>& psf, double gain,
                     const NearPixels& near) {
  fit::FrameData frame;
  frame.data = Image<float>(star.box.width(), star.box.height());
  frame.invvar = Image<float>(star.box.width(), star.box.height());
  std::size_t i = 0;
  for (int y = star.box.y0; y < star.box.y1; ++y) {
    for (int x = star.box.x0; x < star.box.x1; ++x, ++i) {
      const bool good = near.mask()[static_cast<std::size_t>(near.offset(y, x))] == 0;
      frame.data.pixels()[i] = star.data[i] - star.neighbours[i];
      frame.invvar.pixels()[i] = good ? 1.0F / star.variance[i] : 0.0F;
    }
  }
  frame.gain_e_per_flux = gain;
  frame.psf = psf;
  frame.psf_x0 = star.box.x0;
  frame.psf_y0 = star.box.y0;
  fit::Input input;
  input.width = star.box.width();
  input.height = star.box.height();
  input.n_bands = 1;
  input.frames.push_back(std::move(frame));
  input.options.noise = fit::Noise::total;
  input.options.solver = fit::Solver::levenberg_marquardt;
  input.options.max_iterations = kMaxSteps;
  return input;
}

void subtract_star(const sky::FieldPsf& psf, const Star& star, const fit::SourceFit& fitted,
                   Image<float>& data) {
  Image<float> light(data.width(), data.height());
  sky::ImageBlock block;
  block.data = light.pixels().data();
  block.stride = light.width();
  block.plane = static_cast<std::ptrdiff_t>(light.pixels().size());
  block.clip = light.box();
  sky::RenderScratch scratch;
  sky::PointSource(psf.at(star.row.x, star.row.y))
      .render(fitted.x, fitted.y, false, block, scratch);
  const auto flux = static_cast<float>(fitted.bands.front().flux);
  for (std::size_t k = 0; k < light.pixels().size(); ++k) {
    data.pixels()[k] -= flux * light.pixels()[k];
  }
}

/// Light of the fitted other sources on the stamp; empty when the fit says nothing.
std::vector<float> light_of_others(const Star& star, const Input& band, double gain,
                                   const std::shared_ptr<const sky::FieldPsf>& psf,
                                   const Selection& selection) {
  std::vector<fit::SourceStart> others = others_near(star, band, selection);
  if (others.empty()) {
    return {};
  }
  fit::Input input = fit_input(star, psf, gain, selection.near);
  fit::SourceStart own;
  own.x = star.row.x - star.box.x0;
  own.y = star.row.y - star.box.y0;
  own.flux = {star.row.flux};
  input.sources.push_back(own);
  for (fit::SourceStart& other : others) {
    other.flux = {std::numeric_limits<double>::quiet_NaN()};
    input.sources.push_back(other);
  }
  fit::Result together = fit::compute(input);
  if (!std::isfinite(together.sources.front().bands.front().flux)) {
    return {};
  }
  // Once more without the star, everything but the fluxes held: this time the model is wanted.
  subtract_star(*psf, star, together.sources.front(), input.frames.front().data);
  input.sources.erase(input.sources.begin());
  for (std::size_t k = 0; k < input.sources.size(); ++k) {
    const fit::SourceFit& fitted = together.sources[k + 1];
    fit::SourceStart& source = input.sources[k];
    source.x = fitted.x;
    source.y = fitted.y;
    source.flux = {fitted.bands.front().flux};
    if (std::isfinite(fitted.re_pix)) {
      source.re_pix = fitted.re_pix;
      source.axis_ratio = fitted.axis_ratio;
      source.phi_deg = fitted.phi_deg;
    }
    if (std::isfinite(fitted.sersic_n)) {
      source.sersic_n = fitted.sersic_n;
    }
  }
  input.options.forced = true;
  input.options.keep_models = true;
  const fit::Result alone = fit::compute(input);
  const auto model = alone.models.front().pixels();
  const bool usable =
      std::all_of(model.begin(), model.end(), [](float v) { return std::isfinite(v); });
  return usable ? std::vector<float>(model.begin(), model.end()) : std::vector<float>{};
}

}  // namespace

int subtract_catalogued(const std::shared_ptr<const sky::FieldPsf>& psf, const Input& input,
                        double gain, double sigma_sky, const Options& options,
                        Selection& selection) {
  const auto is_galaxy = [&](const Neighbour& neighbour) {
    return neighbour.star < 0 &&
           std::any_of(input.catalogue.begin(), input.catalogue.end(),
                       [&](const CatalogueSource& row) {
                         return !row.is_star && is_near(row.x, row.y, neighbour.x, neighbour.y);
                       });
  };
  if (options.reject_galaxies) {
    selection.neighbours.erase(
        std::remove_if(selection.neighbours.begin(), selection.neighbours.end(), is_galaxy),
        selection.neighbours.end());
  }
  subtract_neighbours(*psf, sigma_sky, selection);
  int changed = 0;
  for (Star& star : selection.stars) {
    if (!star.row.used) {
      continue;
    }
    try {
      star.galaxies = light_of_others(star, input, gain, psf, selection);
    } catch (const UnitError&) {
      star.galaxies.clear();  // a stamp without data for the fit stays as it was
    }
    if (!star.galaxies.empty()) {
      ++changed;
      std::transform(star.neighbours.begin(), star.neighbours.end(), star.galaxies.begin(),
                     star.neighbours.begin(), std::plus<>());
    }
  }
  return changed;
}

}  // namespace skyloom::photometry::epsf
