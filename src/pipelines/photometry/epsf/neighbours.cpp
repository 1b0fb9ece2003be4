#include "pipelines/photometry/epsf/neighbours.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "pipelines/photometry/epsf/star_model.hpp"

namespace skyloom::photometry::epsf {
namespace {

constexpr double kCoreFraction = 0.08;  // of the peak: pixels that set a neighbour's amplitude
constexpr double kInnerError = 0.03;
constexpr double kChi2Error = 0.01;

/// Model of one neighbour for flux 1 and where it lies.
struct Patch {
  Box box;     // inside the band
  int x0 = 0;  // of the stamp
  int y0 = 0;
  Image<float> p;
  double flux = 0.0;

  [[nodiscard]] double at(int y, int x) const { return static_cast<double>(p(y - y0, x - x0)); }
};

/// Half size that reaches down to a tenth of the sky noise.
int useful_radius(const sky::FieldPsfModel& model, double flux, double sigma) {
  const double alpha = std::exp(model.lambda[0]);
  const double peak = flux * (model.beta - 1.0) / (std::numbers::pi * alpha * alpha);
  const double contrast = std::max(peak / (0.1 * sigma), 1.0);
  const double radius = 1.3 * alpha * std::sqrt(std::pow(contrast, 1.0 / model.beta) - 1.0);
  return static_cast<int>(std::clamp(std::ceil(radius), 8.0, 60.0));
}

/// The light of all neighbours on the pixels that are kept, and their amplitudes.
class Crowd {
 public:
  Crowd(const sky::FieldPsf& psf, double sigma_sky, const NearPixels& near)
      : psf_(psf), sigma_sky_(sigma_sky), near_(near), light_(near.data().size(), 0.0F) {}

  [[nodiscard]] Patch make_patch(double x, double y, double flux) {
    const int half = useful_radius(psf_.model(), flux, sigma_sky_);
    const int cx = static_cast<int>(std::lround(x));
    const int cy = static_cast<int>(std::lround(y));
    const Box whole{cx - half, cx + half + 1, cy - half, cy + half + 1};
    Patch patch;
    patch.x0 = whole.x0;
    patch.y0 = whole.y0;
    patch.box = whole.intersect(near_.band());
    StarModel(psf_, psf_.shape(x, y)).fill<false>(whole, x, y, values_);
    patch.p = Image<float>(whole.width(), whole.height());
    std::copy_n(values_.p.begin(), patch.p.pixels().size(), patch.p.pixels().begin());
    return patch;
  }

  void add(const Patch& patch, double flux) {
    each_kept(patch.box, [&](std::size_t k, int y, int x) {
      light_[k] += static_cast<float>(flux * patch.at(y, x));
    });
  }

  /// Amplitude of a patch against what the other light leaves.
  [[nodiscard]] double amplitude(const Patch& patch, double sky) const {
    const double limit = kCoreFraction * static_cast<double>(*std::max_element(
                                             patch.p.pixels().begin(), patch.p.pixels().end()));
    double product = 0.0;
    double square = 0.0;
    each_kept(patch.box, [&](std::size_t k, int y, int x) {
      const double p = patch.at(y, x);
      if (p > limit && near_.mask()[k] == 0) {
        product += p * (static_cast<double>(near_.data()[k]) - sky -
                        static_cast<double>(light_[k]) + patch.flux * p);
        square += p * p;
      }
    });
    return square > 0.0 ? std::max(product / square, 0.0) : 0.0;
  }

  /// Light of all but one, on a star's stamp.
  void put_on(Star& star, const Patch* own) const {
    std::size_t i = 0;
    for (int y = star.box.y0; y < star.box.y1; ++y) {
      for (int x = star.box.x0; x < star.box.x1; ++x, ++i) {
        const bool inside = own != nullptr && own->box.contains(x, y);
        const double others =
            static_cast<double>(light_[static_cast<std::size_t>(near_.offset(y, x))]) -
            (inside ? own->flux * own->at(y, x) : 0.0);
        star.neighbours[i] =
            static_cast<float>(others) + (star.galaxies.empty() ? 0.0F : star.galaxies[i]);
      }
    }
  }

 private:
  template <class Visit>
  void each_kept(const Box& box, Visit&& visit) const {
    for (int y = box.y0; y < box.y1; ++y) {
      for (int x = box.x0; x < box.x1; ++x) {
        const std::ptrdiff_t k = near_.offset(y, x);
        if (k != NearPixels::kAbsent) {
          visit(static_cast<std::size_t>(k), y, x);
        }
      }
    }
  }

  const sky::FieldPsf& psf_;
  double sigma_sky_;
  const NearPixels& near_;
  std::vector<float> light_;
  StampValues values_;
};

template <class Visit>
void each_good_pixel(const Star& star, Visit&& visit) {
  std::size_t k = 0;
  for (int y = star.box.y0; y < star.box.y1; ++y) {
    for (int x = star.box.x0; x < star.box.x1; ++x, ++k) {
      if (star.masked[k] == 0) {
        visit(k, x - star.row.x, y - star.row.y);
      }
    }
  }
}

/// Mean square of the residual in units of its noise over an annulus.
double mean_chi2(const sky::FieldPsf& psf, const Star& star, const Weighting& weighting,
                 double inner, double outer, StampValues& values) {
  const StarModel model(psf, psf.shape(star.row.x, star.row.y));
  model.fill<false>(star.box, star.row.x, star.row.y, values);
  double sum = 0.0;
  int count = 0;
  each_good_pixel(star, [&](std::size_t k, double u, double v) {
    const double r2 = u * u + v * v;
    if (star.clipped[k] == 0 && r2 >= inner * inner && r2 < outer * outer) {
      const double light = star.row.flux * static_cast<double>(values.p[k]);
      const double residual = star.light(k) - light;
      sum += residual * residual /
             pixel_variance(weighting, static_cast<double>(star.variance[k]), light);
      ++count;
    }
  });
  return count > 0 ? sum / count : 0.0;
}

}  // namespace

double effective_fwhm_pix(const sky::FieldPsfModel& model) {
  const double fwhm =
      2.0 * std::exp(model.lambda[0]) * std::sqrt(std::pow(2.0, 1.0 / model.beta) - 1.0);
  return std::sqrt(fwhm * fwhm + 0.7);
}

void subtract_neighbours(const sky::FieldPsf& psf, double sigma_sky, Selection& selection) {
  Crowd crowd(psf, sigma_sky, selection.near);
  std::vector<double> skies;
  for (const Star& star : selection.stars) {
    if (star.row.used) {
      skies.push_back(star.row.sky);
    }
  }
  const double sky = median_of(std::move(skies));
  std::vector<Patch> patches;
  for (const Neighbour& neighbour : selection.neighbours) {
    const Star* star =
        neighbour.star < 0 ? nullptr : &selection.stars[static_cast<std::size_t>(neighbour.star)];
    if (star != nullptr && !star->row.used) {
      patches.emplace_back();
      continue;
    }
    Patch patch = star != nullptr ? crowd.make_patch(star->row.x, star->row.y, star->row.flux)
                                  : crowd.make_patch(neighbour.x, neighbour.y, neighbour.flux);
    patch.flux = star != nullptr ? star->row.flux : 0.0;
    if (star != nullptr) {
      crowd.add(patch, patch.flux);
    }
    patches.push_back(std::move(patch));
  }
  for (int sweep = 0; sweep < 2; ++sweep) {
    for (std::size_t k = 0; k < patches.size(); ++k) {
      if (selection.neighbours[k].star < 0) {
        const double flux = crowd.amplitude(patches[k], sky);
        crowd.add(patches[k], flux - patches[k].flux);
        patches[k].flux = flux;
      }
    }
  }
  std::vector<const Patch*> own(selection.stars.size(), nullptr);
  for (std::size_t k = 0; k < patches.size(); ++k) {
    if (selection.neighbours[k].star >= 0) {
      own[static_cast<std::size_t>(selection.neighbours[k].star)] = &patches[k];
    }
  }
  for (std::size_t i = 0; i < selection.stars.size(); ++i) {
    crowd.put_on(selection.stars[i], own[i]);
  }
}

double clip_pixels(const sky::FieldPsf& psf, std::vector<Star>& stars, double gain,
                   double outer_error) {
  const double fwhm = effective_fwhm_pix(psf.model());
  double clipped = 0.0;
  double total = 0.0;
  StampValues values;
  for (Star& star : stars) {
    if (!star.row.used) {
      continue;
    }
    const StarModel model(psf, psf.shape(star.row.x, star.row.y));
    model.fill<false>(star.box, star.row.x, star.row.y, values);
    each_good_pixel(star, [&](std::size_t k, double u, double v) {
      const double r2 = u * u + v * v;
      const double light = star.row.flux * static_cast<double>(values.p[k]);
      const Weighting weighting{gain, r2 < 2.25 * fwhm * fwhm ? kInnerError : outer_error};
      const double residual = star.light(k) - light;
      const double limit = r2 < fwhm * fwhm ? 8.0 : 5.0;
      const bool fits =
          residual * residual <=
          limit * limit * pixel_variance(weighting, static_cast<double>(star.variance[k]), light);
      star.clipped[k] = fits ? 0 : 1;
      clipped += star.clipped[k];
      total += 1.0;
    });
  }
  return total > 0.0 ? clipped / total : 0.0;
}

void measure_core_chi2(const sky::FieldPsf& psf, std::vector<Star>& stars, double gain) {
  const double radius = 1.5 * effective_fwhm_pix(psf.model());
  StampValues values;
  for (Star& star : stars) {
    if (star.row.used && !star.row.wing) {
      star.row.chi2_core = mean_chi2(psf, star, {gain, kChi2Error}, 0.0, radius, values);
    }
  }
}

int reject_by_chi2(const sky::FieldPsf& psf, std::vector<Star>& stars, double gain) {
  measure_core_chi2(psf, stars, gain);
  std::vector<double> values;
  for (const Star& star : stars) {
    if (star.row.used && !star.row.wing) {
      values.push_back(star.row.chi2_core);
    }
  }
  const double centre = median_of(values);
  const double limit =
      std::max(centre + 5.0 * std::max(robust_sigma(values, centre) / 1.4826, 0.15), 2.0);
  const double wing_start = 2.0 * effective_fwhm_pix(psf.model());
  auto left = static_cast<int>(values.size());
  int count = 0;
  StampValues stamp;
  for (Star& star : stars) {
    if (!star.row.used) {
      continue;
    }
    // A saturated star with ghosts or trails shows far from its centre.
    const bool bad = star.row.wing
                         ? mean_chi2(psf, star, {gain, kChi2Error}, wing_start, 1e9, stamp) > 25.0
                         : star.row.chi2_core > limit && left > 4;
    if (bad) {
      star.row.used = false;
      star.row.reason = Rejected::chi2;
      left -= star.row.wing ? 0 : 1;
      ++count;
    }
  }
  return count;
}

}  // namespace skyloom::photometry::epsf
