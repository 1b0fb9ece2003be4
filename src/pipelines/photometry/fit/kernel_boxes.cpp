// Choice of boxes, periods and band limits per source: as small as the light left out stays below
// Options::truncation_sigma in significance, in every frame.

#include "pipelines/photometry/fit/kernel_boxes.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "pipelines/photometry/fit/kernel_scene.hpp"

namespace skyloom::photometry::fit {

namespace {

constexpr std::array kBandLimits{0.24, 0.32, 0.40, 0.47, 0.5, 0.6, 0.7, 0.8, 0.95};
constexpr double kNativeLimit = 0.5;  ///< cycles per pixel a stamp at native sampling carries

sky::Mixture mixture_for(const Source& source) {
  switch (source.type) {
    case SourceType::star:
      return {};
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
  constexpr std::size_t kMaxTerms = 32;
  std::array<double, kMaxTerms> variance{};
  std::array<double, kMaxTerms> light{};
  const std::size_t n = std::min(kMaxTerms, mixture.variance.size());
  for (std::size_t k = 0; k < n; ++k) {
    variance[k] = 1.3 * mixture.variance[k] * re_pix * re_pix + psf_sigma * psf_sigma;
    light[k] = mixture.amplitude[k] * std::exp(-0.5 * h * h / variance[k]);
  }
  double sum = 0.0;
  for (std::size_t k = 0; k < n; ++k) {
    for (std::size_t l = 0; l <= k; ++l) {
      const double pair =
          light[k] * light[l] / (2.0 * std::numbers::pi * (variance[k] + variance[l]));
      sum += k == l ? pair : 2.0 * pair;
    }
  }
  return std::max(0.0, sum);
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

std::shared_ptr<PsfModel> Scene::psf_at(std::size_t frame, double x, double y) const {
  const FrameData& data = input_.frames[frame];
  return work_.psf_at(data.psf, x + data.psf_x0, y + data.psf_y0);
}

double Scene::truncation_of(const Source& source) const {
  return source.free ? truncation_sigma_ : input_.options.truncation_sigma;
}

int Scene::half_size_needed(const Source& source, const sky::Mixture& mixture, std::size_t f,
                            int at_least, double share) const {
  const PsfExtent& psf = source.place[f].psf->extent();
  const auto b = static_cast<std::size_t>(frames_[f].input->band);
  const double amplitude = kFluxMargin * source.box_flux[b] * std::sqrt(frames_[f].mean_weight);
  const double tau = share * truncation_of(source);
  const auto psf_part = [&](int h) {
    return static_cast<std::size_t>(h) < psf.norm_outside.size()
               ? psf.norm_outside[static_cast<std::size_t>(h)]
               : 0.0;
  };
  const bool star = source.type == SourceType::star;
  const double light =
      star ? 1.0 : std::accumulate(mixture.amplitude.begin(), mixture.amplitude.end(), 0.0);
  double re = 0.0;
  if (!star) {
    const auto [a, bb, c, d] = frames_[f].input->matrix;
    re = std::exp(source.value[2]) * std::sqrt(std::abs(a * d - bb * c));
  }
  for (const int h : kHalfSizes) {
    if (h < at_least) {
      continue;
    }
    double outside = light * psf_part(h);
    if (amplitude * outside < tau && !star) {
      outside += std::sqrt(0.6 * power_outside(mixture, re, psf.fwhm_pix / 2.3548200450309493, h));
    }
    if (amplitude * outside < tau) {
      return h;
    }
  }
  return std::max(at_least, kHalfSizes.back() + 1);
}

double Scene::frequency_needed(const Source& source, std::span<const double> profile_power,
                               std::size_t f, double at_least) const {
  const PsfExtent& psf = source.place[f].psf->extent();
  const auto b = static_cast<std::size_t>(frames_[f].input->band);
  const double amplitude = kFluxMargin * source.box_flux[b] * std::sqrt(frames_[f].mean_weight);
  const double limit = psf.oversampling > 1 ? kBandLimits.back() : kNativeLimit;
  std::array<double, kRings + 1> beyond{};
  const std::size_t rings = psf.ring_power.size();
  for (std::size_t r = rings; r-- > 0;) {
    beyond[r] = beyond[r + 1] + psf.ring_power[r] * profile_power[r];
  }
  for (const double k : kBandLimits) {
    if (k < at_least) {
      continue;
    }
    if (k >= limit) {
      break;
    }
    const auto r = std::min(rings, static_cast<std::size_t>(std::lround(k / kRingStep)));
    if (amplitude * std::sqrt(beyond[r]) < truncation_of(source)) {
      return k;
    }
  }
  return limit;
}

namespace {

/// Power of the profile in rings of frequency, minor axis.
void fill_profile_power(const Source& source, const sky::Mixture& mixture,
                        std::span<double> power) {
  const double width = 0.7 * minor_axis_factor(source);
  for (std::size_t r = 0; r < power.size(); ++r) {
    const double k = static_cast<double>(r) * kRingStep;
    double profile = 0.0;
    for (std::size_t i = 0; i < mixture.variance.size(); ++i) {
      profile += mixture.amplitude[i] * std::exp(-2.0 * std::numbers::pi * std::numbers::pi *
                                                 mixture.variance[i] * width * k * k);
    }
    power[r] = profile * profile * 2.0 * std::numbers::pi * k * kRingStep;
  }
}

}  // namespace

bool Scene::place(int s) {
  Source& source = sources_[static_cast<std::size_t>(s)];
  const bool star = source.type == SourceType::star;
  const sky::Mixture mixture = mixture_for(source);
  std::array<double, kRings> profile_power{};
  if (!star) {
    fill_profile_power(source, mixture, profile_power);
  }
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
    reach = std::max(reach, half_size_needed(source, mixture, f, reach, 1.0));
    farthest = std::max({farthest, place.centre_x, frames_[f].width - 1 - place.centre_x,
                         place.centre_y, frames_[f].height - 1 - place.centre_y});
    if (!star) {
      k_max = std::max(k_max, frequency_needed(source, profile_power, f, k_max));
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
  if (!star) {
    std::vector<Level> before = std::move(source.levels);
    choose_levels(source, mixture, half, reach, k_max);
    const auto equal = [](const Level& a, const Level& b) {
      return a.grid == b.grid && a.low == b.low && a.high == b.high;
    };
    same =
        same && before.size() == source.levels.size() &&
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
  source.n_images = source.free && derivatives_ ? source.n_parameters + 1 : 1;
  std::size_t total = 0;
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    Placement& place = source.place[f];
    const int h = source.half;
    place.clip = frames_[f].n_good == 0 || source.unseen
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
  // Every pixel of a box is written when it is rendered.
  work_.need_pixels(source.pixels, total);
  source.value_valid = false;
  source.derivatives_valid = false;
}

void Scene::make_room_for_derivatives() {
  derivatives_ = true;
  for (Source& source : sources_) {
    if (source.free && !source.place.empty()) {
      allocate(source);
    }
  }
}

void Scene::find_lit_pixels(std::size_t f) {
  // A bit stands for 16 pixels of a row.
  constexpr int kBlock = 16;
  constexpr int kBits = 64;
  Frame& frame = frames_[f];
  const int blocks = (frame.width + kBlock - 1) / kBlock;
  const auto words = static_cast<std::size_t>((blocks + kBits - 1) / kBits);
  frame.covered.assign(words * static_cast<std::size_t>(frame.height), 0);
  for (const Source& source : sources_) {
    const Box& clip = source.place[f].clip;
    const int first = clip.x0 / kBlock;
    const int end = (clip.x1 + kBlock - 1) / kBlock;
    for (int word = first / kBits; !clip.empty() && word * kBits < end; ++word) {
      const int low = std::max(0, first - word * kBits);
      const int high = std::min(kBits, end - word * kBits);
      const std::uint64_t below = high == kBits ? 0 : ~std::uint64_t{0} << high;
      const std::uint64_t mask = (~std::uint64_t{0} << low) & ~below;
      for (int y = clip.y0; y < clip.y1; ++y) {
        frame.covered[static_cast<std::size_t>(y) * words + static_cast<std::size_t>(word)] |= mask;
      }
    }
  }
  std::vector<RowPiece>& lit = work_.lit;
  lit.clear();
  for (int y = 0; y < frame.height; ++y) {
    const std::uint64_t* row = frame.covered.data() + static_cast<std::size_t>(y) * words;
    const auto is_lit = [row](int b) { return ((row[b / kBits] >> (b % kBits)) & 1U) != 0; };
    for (int b = 0; b < blocks; ++b) {
      if (row[b / kBits] == 0) {
        b = b / kBits * kBits + kBits - 1;
        continue;
      }
      if (!is_lit(b)) {
        continue;
      }
      const int first = b;
      while (b < blocks && is_lit(b)) {
        ++b;
      }
      lit.push_back({y, first * kBlock, std::min(b * kBlock, frame.width)});
    }
  }
  if (frame.summed_weight == weight_id_ && lit == frame.lit) {
    return;
  }
  const bool same_weights = frame.summed_weight == weight_id_;
  frame.lit.swap(lit);
  frame.summed_weight = weight_id_;
  std::fill(frame.model.begin(), frame.model.end(), 0.0F);
  sum_dark_pixels(frame, same_weights ? &lit : nullptr);
}

namespace {

/// Sums of w, w d, w d^2 of part of a row.
void add_dark(const Frame& frame, int y, int x0, int x1, std::array<double, 3>& sum) {
  const float* w = frame.weight.data() + y * frame.stride;
  const float* d = frame.data.data() + y * frame.stride;
  // Four sums of each kind: a fixed order that fits into vectors.
  constexpr int kSums = 4;
  double s0[kSums] = {};
  double s1[kSums] = {};
  double s2[kSums] = {};
  int x = x0;
  for (; x + kSums <= x1; x += kSums) {
    for (int k = 0; k < kSums; ++k) {
      const auto weight = static_cast<double>(w[x + k]);
      const auto data = static_cast<double>(d[x + k]);
      s0[k] += weight;
      s1[k] += weight * data;
      s2[k] += weight * data * data;
    }
  }
  for (; x < x1; ++x) {
    const auto weight = static_cast<double>(w[x]);
    const auto data = static_cast<double>(d[x]);
    s0[0] += weight;
    s1[0] += weight * data;
    s2[0] += weight * data * data;
  }
  sum[0] += (s0[0] + s0[1]) + (s0[2] + s0[3]);
  sum[1] += (s1[0] + s1[1]) + (s1[2] + s1[3]);
  sum[2] += (s2[0] + s2[1]) + (s2[2] + s2[3]);
}

}  // namespace

void Scene::sum_dark_pixels(Frame& frame, const std::vector<RowPiece>* before) {
  frame.dark = {};
  frame.dark_rows.resize(static_cast<std::size_t>(frame.height));
  auto piece = frame.lit.begin();
  const std::vector<RowPiece>& last = before != nullptr ? *before : frame.lit;
  auto old = last.begin();
  for (int y = 0; y < frame.height; ++y) {
    auto& row = frame.dark_rows[static_cast<std::size_t>(y)];
    const auto other_row = [y](const RowPiece& p) { return p.y != y; };
    const auto end = std::find_if(piece, frame.lit.end(), other_row);
    const auto old_end = std::find_if(old, last.end(), other_row);
    if (before == nullptr || !std::equal(piece, end, old, old_end)) {
      row = {};
      int x = 0;
      for (; piece != end; ++piece) {
        add_dark(frame, y, x, piece->x0, row);
        x = piece->x1;
      }
      add_dark(frame, y, x, frame.width, row);
    }
    piece = end;
    old = old_end;
    for (std::size_t k = 0; k < row.size(); ++k) {
      frame.dark[k] += row[k];
    }
  }
}

}  // namespace skyloom::photometry::fit
