#pragma once
// Fluxes of bright stars with the PSF that was built from their own field, over kinds of PSF and
// seeds.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "unit/epsf/helpers.hpp"

namespace skyloom::test {

inline MoffatPart moffat(double fwhm, double beta, double share = 1.0) {
  MoffatPart part;
  part.fwhm_pix = fwhm;
  part.beta = beta;
  part.share = share;
  return part;
}

/// Three Moffats, one of them off the centre, and four spikes; the size varies over the field.
inline TruePsf complex_psf(double fwhm) {
  TruePsf psf{{moffat(fwhm, 3.5, 0.68), moffat(1.3 * fwhm, 2.5, 0.18), moffat(2.5 * fwhm, 2.3, 0.1),
               moffat(2.5 * fwhm, 3.0, 0.02), moffat(2.5 * fwhm, 3.0, 0.02)}};
  psf.parts[1].dx = 0.15 * fwhm;
  psf.parts[1].dy = 0.06 * fwhm;
  psf.parts[3].g1 = 0.6;
  psf.parts[4].g1 = -0.6;
  for (MoffatPart& part : psf.parts) {
    part.size_x = 0.03;
  }
  return psf;
}

inline std::vector<std::pair<std::string, TruePsf>> campaign_psfs() {
  MoffatPart varying = moffat(3.6, 3.0);
  varying.size_x = 0.05;
  varying.g1_x = 0.05;
  varying.g2_y = 0.05;
  MoffatPart patchy = moffat(3.6, 3.0);
  patchy.wave = 0.06;
  patchy.wave_g = 0.04;
  MoffatPart kolmogorov = moffat(3.6, 3.0);
  kolmogorov.kolmogorov = true;
  kolmogorov.size_x = 0.03;
  return {{"moffat44", {{moffat(4.4, 3.0)}}},
          {"wings", {{moffat(4.0, 2.5)}}},
          {"var", {{varying}}},
          {"patchy", {{patchy}}},
          {"under", {{moffat(2.0, 3.0)}}},
          {"complex", complex_psf(3.2)},
          {"complexus", complex_psf(1.8)},
          {"kolm", {{kolmogorov}}}};
}

/// 400 objects, 40 % of them galaxies.
inline FieldOptions campaign_options(std::uint64_t seed) {
  FieldOptions options;
  options.size = 1024;
  options.n_stars = 237;
  options.n_galaxies = 160;
  options.n_saturated = 3;
  options.min_separation_pix = 8.0;
  options.n_bad_pixels = 500;
  options.seed = seed;
  return options;
}

struct FieldScore {
  photometry::epsf::Result result;
  FluxError psf_only;                ///< noise-free stars
  std::vector<double> bright_error;  ///< of real stars with S/N > 100, other objects removed
};

/// Flux errors of the field's own bright stars; what is left in their stamps is their light, noise,
/// sky and bad pixels.
inline std::vector<double> bright_star_errors(const sky::FieldPsf& psf, const TruePsf& truth,
                                              const TrueField& field) {
  const FieldOptions& options = field.options;
  std::vector<photometry::epsf::Star> stars;
  std::vector<double> fluxes;
  for (std::size_t k = 0; k < field.objects.size(); ++k) {
    const TrueObject& object = field.objects[k];
    const double reach = 29.0;
    if (!object.star || static_cast<int>(k) < options.n_saturated || object.x < reach ||
        object.y < reach || object.x > options.size - reach || object.y > options.size - reach) {
      continue;
    }
    const double sx = scaled(object.x, options.size);
    const double sy = scaled(object.y, options.size);
    photometry::epsf::Star star =
        noise_free_star(truth, options.size, object.x, object.y, object.flux, options.sky_sigma);
    double information = 0.0;
    bool whole = true;
    std::size_t i = 0;
    for (int y = star.box.y0; y < star.box.y1; ++y) {
      for (int x = star.box.x0; x < star.box.x1; ++x, ++i) {
        const double p = truth.pixel(sx, sy, x - object.x, y - object.y);
        const bool core = std::hypot(x - object.x, y - object.y) < 2.5;
        whole = whole && !(core && field.bad(y, x) != 0);
        information +=
            p * p / (options.sky_sigma * options.sky_sigma + object.flux * p / options.gain);
        const bool painted = std::abs(x - std::lround(object.x)) <= painted_radius(object) &&
                             std::abs(y - std::lround(object.y)) <= painted_radius(object);
        const double others = field.light(y, x) - (painted ? object.flux * p : 0.0);
        star.data[i] = static_cast<float>(static_cast<double>(field.data(y, x)) - others);
        star.masked[i] = field.bad(y, x) != 0 ? 1 : 0;
      }
    }
    if (whole && object.flux * std::sqrt(information) > 100.0) {
      stars.push_back(std::move(star));
      fluxes.push_back(object.flux);
    }
  }
  photometry::epsf::fit_stars(psf, stars, {options.gain, 0.0}, 10);
  std::vector<double> errors;
  for (std::size_t k = 0; k < stars.size(); ++k) {
    if (stars[k].row.used) {
      errors.push_back(stars[k].row.flux / fluxes[k] - 1.0);
    }
  }
  return errors;
}

inline FieldScore score_field(const TruePsf& truth, const FieldOptions& options) {
  const TrueField field = make_field(truth, options);
  FieldScore score;
  score.result = photometry::epsf::build(make_input(field), {});
  if (score.result.psf) {
    score.psf_only =
        psf_only_error(*score.result.psf, truth, options.size, options.sky_sigma, options.gain);
    score.bright_error = bright_star_errors(*score.result.psf, truth, field);
  }
  return score;
}

inline FluxError robust(const std::vector<double>& errors) {
  FluxError result;
  result.bias = photometry::epsf::median_of(errors);
  result.scatter = photometry::epsf::robust_sigma(errors, result.bias);
  return result;
}

/// One kind of PSF over several seeds, printed line by line; numbers in percent.
struct CampaignScore {
  FluxError pooled;
  double worst_bias = 0.0;     ///< of a field's real bright stars
  double worst_scatter = 0.0;  ///< likewise
  double psf_bias = 0.0;       ///< median over fields of |bias| of noise-free stars
  double psf_worst = 0.0;
  double psf_scatter = 0.0;  ///< median over fields
  int built = 0;
};

inline CampaignScore run_campaign(const std::string& name, const TruePsf& truth, int seeds) {
  CampaignScore total;
  std::vector<double> all;
  std::vector<double> biases;
  std::vector<double> scatters;
  for (int seed = 1; seed <= seeds; ++seed) {
    const FieldScore score = score_field(truth, campaign_options(static_cast<std::uint64_t>(seed)));
    if (!score.result.psf) {
      continue;
    }
    ++total.built;
    const FluxError bright = robust(score.bright_error);
    const photometry::epsf::Diagnostics& d = score.result.diagnostics;
    std::printf(
        "%-10s seed %2d  psf only %+.3f +- %.3f  bright %+.3f +- %.3f (%zu)  stars %d+%d "
        "order %d gp %.1f  predicted %.3f  apcor %+.2f+-%.2f  %s\n",
        name.c_str(), seed, 100 * score.psf_only.bias, 100 * score.psf_only.scatter,
        100 * bright.bias, 100 * bright.scatter, score.bright_error.size(), d.n_stars, d.n_wing,
        d.order, d.gp_gain, 100 * d.flux_err_pred, 100 * d.apcor, 100 * d.apcor_err,
        photometry::epsf::to_string(score.result.level).c_str());
    std::fflush(stdout);
    all.insert(all.end(), score.bright_error.begin(), score.bright_error.end());
    biases.push_back(std::abs(score.psf_only.bias));
    scatters.push_back(score.psf_only.scatter);
    total.worst_bias = std::max(total.worst_bias, std::abs(bright.bias));
    total.worst_scatter = std::max(total.worst_scatter, bright.scatter);
  }
  total.pooled = robust(all);
  total.psf_worst = biases.empty() ? 0.0 : *std::max_element(biases.begin(), biases.end());
  total.psf_bias = photometry::epsf::median_of(biases);
  total.psf_scatter = photometry::epsf::median_of(scatters);
  std::printf(
      "%-10s %d fields: bright %+.3f +- %.3f %% (worst field bias %.3f, scatter %.3f), psf "
      "only bias %.3f (worst %.3f) scatter %.3f\n",
      name.c_str(), total.built, 100 * total.pooled.bias, 100 * total.pooled.scatter,
      100 * total.worst_bias, 100 * total.worst_scatter, 100 * total.psf_bias,
      100 * total.psf_worst, 100 * total.psf_scatter);
  std::fflush(stdout);
  return total;
}

}  // namespace skyloom::test
