// Choice of boxes, periods and band limits per source: as small as the light left out stays below
// Options::truncation_sigma in significance, in every frame.

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "pipelines/photometry/fit/kernel_scene.hpp"
#include "skyloom/sky/psf_mixture.hpp"

namespace skyloom::photometry::fit {

namespace {

constexpr std::array kHalfSizes{7, 11, 15, 23, 31, 39, 47, 63, 95, 127, 191, 255, 383};
/// Largest box on one grid; beyond it the wide terms of a galaxy go to grids of their own.
constexpr int kSingleLevel = 63;
constexpr std::array kBandLimits{0.24, 0.32, 0.40, 0.47, 0.5, 0.6, 0.7, 0.8, 0.95};
constexpr double kNativeLimit = 0.5;  ///< cycles per pixel a stamp at native sampling carries
/// A starting flux may be too small by this factor before boxes are too small.
constexpr double kFluxMargin = 1.3;

sky::Mixture mixture_for(const Source& source) {
  switch (source.type) {
    case SourceType::exp:
      return sky::exponential_mixture();
    case SourceType::dev:
      return sky::de_vaucouleurs_mixture();
    default:
      return sky::sersic_mixture(source.value[5]);
  }
}

/// Integral of I^2 beyond radius h for a sum of circular Gaussians.
double power_outside(const sky::Mixture& mixture, double re_pix, double psf_sigma, double h) {
  double sum = 0.0;
  for (std::size_t k = 0; k < mixture.variance.size(); ++k) {
    const double vk = 1.3 * mixture.variance[k] * re_pix * re_pix + psf_sigma * psf_sigma;
    for (std::size_t l = 0; l < mixture.variance.size(); ++l) {
      const double vl = 1.3 * mixture.variance[l] * re_pix * re_pix + psf_sigma * psf_sigma;
      const double exponent = 0.5 * h * h * (1.0 / vk + 1.0 / vl);
      if (exponent < 60.0) {
        sum += mixture.amplitude[k] * mixture.amplitude[l] / (2.0 * std::numbers::pi * (vk + vl)) *
               std::exp(-exponent);
      }
    }
  }
  return std::max(0.0, sum);
}

/// Frequency beyond which a sum of Gaussians of given variances (pixels^2 per unit of `width`)
/// keeps less than `tau / amplitude` of light in the mean square, whatever the PSF does.
double band_of(const sky::Mixture& mixture, double width, double amplitude, double tau) {
  for (double k = 0.01; k < 1.0; k *= 1.1) {
    double power = 0.0;
    for (std::size_t i = 0; i < mixture.variance.size(); ++i) {
      for (std::size_t j = 0; j < mixture.variance.size(); ++j) {
        const double v = (mixture.variance[i] + mixture.variance[j]) * width;
        const double exponent = 2.0 * std::numbers::pi * std::numbers::pi * v * k * k;
        if (exponent < 60.0) {
          power += v > 0.0 ? mixture.amplitude[i] * mixture.amplitude[j] * std::exp(-exponent) /
                                 (2.0 * std::numbers::pi * v)
                           : 1e30;
        }
      }
    }
    if (amplitude * std::sqrt(std::max(0.0, power)) < tau) {
      return k;
    }
  }
  return 1.0;
}

double minor_axis_factor(const Source& source) {
  const double ee = std::hypot(source.value[3], source.value[4]);
  const double q = 1.0 / (2.0 * std::exp(ee) - 1.0);
  return std::exp(2.0 * source.value[2]) * q * q;
}

/// Ring means of |P|^2 on a small grid.
std::vector<double> ring_power(const sky::PsfStamp& stamp) {
  const int period = 64;
  const int k_max = stamp.oversampling > 1 ? 61 : 32;
  const sky::DftGrid grid({15, period, k_max});
  const auto transform = sky::psf_transform(stamp, grid);
  const auto kp = static_cast<std::size_t>(grid.padded_frequencies());
  std::vector<double> sum(static_cast<std::size_t>(k_max) + 1, 0.0);
  std::vector<int> count(sum.size(), 0);
  const double scale = static_cast<double>(period) * period;
  for (std::size_t q = 0; q < sum.size(); ++q) {
    for (std::size_t p = 0; p < sum.size(); ++p) {
      const double k = std::hypot(static_cast<double>(p), static_cast<double>(q));
      const auto ring = static_cast<std::size_t>(std::lround(k));
      if (ring >= sum.size() || static_cast<int>(q) > grid.q_limit()[p]) {
        continue;
      }
      for (std::size_t part = 0; part < (q == 0 ? 2U : 4U); part += 2) {
        const double weight = p == 0 ? 1.0 : 2.0;
        const double re = static_cast<double>(transform[(4 * q + part) * kp + p]) * scale / weight;
        const double im =
            static_cast<double>(transform[(4 * q + part + 1) * kp + p]) * scale / weight;
        sum[ring] += re * re + im * im;
        ++count[ring];
      }
    }
  }
  for (std::size_t r = 0; r < sum.size(); ++r) {
    sum[r] /= std::max(1, count[r]);
  }
  return sum;
}

std::vector<double> norms_outside(const sky::PsfStamp& stamp) {
  const int half = stamp.half_size_pix();
  const int centre = (stamp.values.width() - 1) / 2;
  const int s = stamp.oversampling;
  std::vector<double> power(static_cast<std::size_t>(half) + 2, 0.0);
  for (int y = -half; y <= half; ++y) {
    for (int x = -half; x <= half; ++x) {
      const double v = static_cast<double>(stamp.values(centre + y * s, centre + x * s));
      power[static_cast<std::size_t>(std::max(std::abs(x), std::abs(y)))] += v * v;
    }
  }
  for (std::size_t h = power.size() - 1; h-- > 0;) {
    power[h] += power[h + 1];
  }
  std::vector<double> norm(power.size() - 1);
  for (std::size_t h = 0; h < norm.size(); ++h) {
    norm[h] = std::sqrt(power[h + 1]);
  }
  return norm;
}

int ladder(int half) {
  for (const int h : kHalfSizes) {
    if (h >= half) {
      return h;
    }
  }
  return kHalfSizes.back();
}

}  // namespace

namespace {

/// True when some, but not all, terms of the source are convolved with a mixture instead of a
/// stamp.
bool has_terms_for_mixture(const Source& source) {
  const sky::Mixture profile = mixture_for(source);
  const double widest =
      std::sqrt(*std::max_element(profile.variance.begin(), profile.variance.end())) *
      std::exp(source.box_log_re);
  return std::any_of(source.place.begin(), source.place.end(), [&](const Placement& place) {
    const sky::PsfStamp& stamp = place.psf->stamp;
    return stamp.mixture != nullptr && stamp.mixture_from_pix > 0.0 &&
           widest >= stamp.mixture_from_pix;
  });
}

}  // namespace

std::shared_ptr<PsfModel> Scene::psf_at(std::size_t frame, double x, double y) const {
  const FrameData& data = input_.frames[frame];
  auto model = std::make_shared<PsfModel>();
  model->stamp = data.psf->at(x + data.psf_x0, y + data.psf_y0);
  model->fwhm_pix = data.psf->fwhm_pix();
  model->norm_outside = norms_outside(model->stamp);
  model->ring_power = ring_power(model->stamp);
  return model;
}

int Scene::half_size_needed(const Source& source, std::size_t f) const {
  const PsfModel& psf = *source.place[f].psf;
  const auto b = static_cast<std::size_t>(frames_[f].input->band);
  const double amplitude = kFluxMargin * source.box_flux[b] * std::sqrt(frames_[f].mean_weight);
  const double tau = truncation_sigma_;
  const auto psf_part = [&](int h) {
    return static_cast<std::size_t>(h) < psf.norm_outside.size()
               ? psf.norm_outside[static_cast<std::size_t>(h)]
               : 0.0;
  };
  const bool star = source.type == SourceType::star;
  sky::Mixture mixture;
  double re = 0.0;
  if (!star) {
    mixture = mixture_for(source);
    const auto [a, bb, c, d] = frames_[f].input->matrix;
    re = std::exp(source.value[2]) * std::sqrt(std::abs(a * d - bb * c));
  }
  for (const int h : kHalfSizes) {
    double outside = psf_part(h);
    if (!star) {
      outside += std::sqrt(0.6 * power_outside(mixture, re, psf.fwhm_pix / 2.3548200450309493, h));
    }
    if (amplitude * outside < tau) {
      return h;
    }
  }
  return kHalfSizes.back() + 1;
}

double Scene::frequency_needed(const Source& source, std::size_t f) const {
  const PsfModel& psf = *source.place[f].psf;
  const auto b = static_cast<std::size_t>(frames_[f].input->band);
  const double amplitude = kFluxMargin * source.box_flux[b] * std::sqrt(frames_[f].mean_weight);
  const double limit = psf.stamp.oversampling > 1 ? kBandLimits.back() : kNativeLimit;
  const sky::Mixture mixture = mixture_for(source);
  const double width = 0.7 * minor_axis_factor(source);
  std::vector<double> beyond(psf.ring_power.size() + 1, 0.0);
  for (std::size_t r = psf.ring_power.size(); r-- > 0;) {
    const double k = static_cast<double>(r) * kRingStep;
    double profile = 0.0;
    for (std::size_t i = 0; i < mixture.variance.size(); ++i) {
      profile += mixture.amplitude[i] * std::exp(-2.0 * std::numbers::pi * std::numbers::pi *
                                                 mixture.variance[i] * width * k * k);
    }
    beyond[r] = beyond[r + 1] +
                psf.ring_power[r] * profile * profile * 2.0 * std::numbers::pi * k * kRingStep;
  }
  for (const double k : kBandLimits) {
    if (k >= limit) {
      break;
    }
    const auto r =
        std::min(beyond.size() - 1, static_cast<std::size_t>(std::lround(k / kRingStep)));
    if (amplitude * std::sqrt(beyond[r]) < truncation_sigma_) {
      return k;
    }
  }
  return limit;
}

void Scene::choose_levels(Source& source, int half, int reach, double k_max) const {
  constexpr double kInfinity = 1e30;
  const auto period_of = [](int h, int extent) {
    // 33 pixels more than the box: light of a PSF stamp of 55 pixels does not come round.
    return std::max({h + extent + 2, h + 33, 7 * h / 5 + 27});
  };
  source.levels.clear();
  if (half <= kSingleLevel && reach <= 2 * kSingleLevel && !has_terms_for_mixture(source)) {
    const int period = period_of(half, reach);
    source.levels.push_back({{half, period, static_cast<int>(k_max * period)}, 0.0, kInfinity, {}});
    return;
  }
  // Widths of the groups of terms in pixels. The image of a term ends at 5 sigma plus the PSF.
  constexpr std::array kSigmaEdges{0.0, 6.5, sky::kVeryWidePix, 60.0, kInfinity};
  const sky::Mixture mixture = mixture_for(source);
  const double re = std::exp(source.box_log_re);
  double amplitude = 0.0;
  for (const Frame& frame : frames_) {
    amplitude =
        std::max(amplitude, kFluxMargin * std::sqrt(frame.mean_weight) *
                                source.box_flux[static_cast<std::size_t>(frame.input->band)]);
  }
  for (std::size_t g = kSigmaEdges.size() - 1; g-- > 0;) {
    double widest = -1.0;
    sky::Mixture group;
    for (std::size_t k = 0; k < mixture.variance.size(); ++k) {
      const double sigma = std::sqrt(mixture.variance[k]) * re;
      if (sigma >= kSigmaEdges[g] && sigma < kSigmaEdges[g + 1]) {
        widest = std::max(widest, sigma);
        group.amplitude.push_back(mixture.amplitude[k]);
        group.variance.push_back(mixture.variance[k]);
      }
    }
    if (widest < 0.0) {
      continue;
    }
    // Room for a size or shape that grows during the fit before boxes are chosen again.
    const int extent = static_cast<int>(std::ceil(7.0 * widest)) + 31;
    const int h = source.levels.empty() ? half : std::min(half, ladder(extent));
    const int period = period_of(h, std::min(extent, 1200));
    const double band =
        band_of(group, 0.5 * minor_axis_factor(source), amplitude, truncation_sigma_);
    source.levels.push_back({{h, period, static_cast<int>(std::min(k_max, band) * period)},
                             kSigmaEdges[g],
                             kSigmaEdges[g + 1],
                             {}});
  }
}

bool Scene::place(int s) {
  Source& source = sources_[static_cast<std::size_t>(s)];
  bool same = source.place.size() == frames_.size();
  source.place.resize(frames_.size());
  source.box_log_re = source.value[2];
  int half = kHalfSizes.front();
  int reach = half;
  double k_max = kBandLimits.front();
  int farthest = 0;
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    const FrameData& data = *frames_[f].input;
    const double x = data.matrix[0] * source.value[0] + data.matrix[1] * source.value[1] + data.dx;
    const double y = data.matrix[2] * source.value[0] + data.matrix[3] * source.value[1] + data.dy;
    Placement& place = source.place[f];
    const int centre_x = static_cast<int>(std::nearbyint(x));
    const int centre_y = static_cast<int>(std::nearbyint(y));
    same = same && place.centre_x == centre_x && place.centre_y == centre_y;
    place.centre_x = centre_x;
    place.centre_y = centre_y;
    if (place.psf == nullptr) {
      place.psf = frames_[f].psf ? frames_[f].psf : psf_at(f, x, y);
    }
    if (frames_[f].n_good == 0) {
      continue;
    }
    reach = std::max(reach, half_size_needed(source, f));
    farthest = std::max({farthest, place.centre_x, frames_[f].width - 1 - place.centre_x,
                         place.centre_y, frames_[f].height - 1 - place.centre_y});
    if (source.type != SourceType::star) {
      k_max = std::max(k_max, frequency_needed(source, f));
    }
  }
  if (reach > kHalfSizes.back()) {
    source.flags |= kFlagBoxLimited;
    reach = kHalfSizes.back();
  } else {
    source.flags &= ~static_cast<std::uint32_t>(kFlagBoxLimited);
  }
  half = std::min(reach, ladder(farthest));
  same = same && source.half == half;
  source.half = half;
  if (source.type != SourceType::star) {
    std::vector<Level> before = std::move(source.levels);
    choose_levels(source, half, reach, k_max);
    const auto equal = [](const Level& a, const Level& b) {
      return a.grid == b.grid && a.sigma_low == b.sigma_low && a.sigma_high == b.sigma_high;
    };
    // The terms of several levels are told apart by the size their boxes were chosen for.
    same =
        same && before.size() == 1 &&
        std::equal(before.begin(), before.end(), source.levels.begin(), source.levels.end(), equal);
    if (same) {
      source.levels = std::move(before);
    }
  }
  if (same) {
    return false;
  }
  allocate(source);
  return true;
}

void Scene::allocate(Source& source) const {
  std::size_t total = 0;
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    Placement& place = source.place[f];
    const int h = source.half;
    place.clip = frames_[f].n_good == 0
                     ? Box{}
                     : Box{place.centre_x - h, place.centre_x + h + 1, place.centre_y - h,
                           place.centre_y + h + 1}
                           .intersect({0, frames_[f].width, 0, frames_[f].height});
    if (place.clip.empty()) {
      place.clip = {};
    }
    place.stride = (static_cast<std::ptrdiff_t>(place.clip.width()) + 15) / 16 * 16;
    place.plane = place.stride * place.clip.height();
    place.offset = total;
    total += static_cast<std::size_t>(place.plane * source.n_images);
  }
  source.pixels.assign(total, 0.0F);
  source.value_valid = false;
  source.derivatives_valid = false;
}

}  // namespace skyloom::photometry::fit
