// Grids of a galaxy: one, or several where the wide terms of its mixture need a large box but low
// frequencies only, and the narrow ones high frequencies but a small box. Which terms share a grid
// is what costs least.

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "pipelines/photometry/fit/kernel_boxes.hpp"
#include "pipelines/photometry/fit/kernel_scene.hpp"
#include "skyloom/sky/psf_mixture.hpp"

namespace skyloom::photometry::fit {

namespace {

constexpr double kInfinity = 1e30;
/// Each of several grids may leave out this share of what one may.
constexpr double kShareOfLevel = 0.3;
/// Several grids have to save this part of the cost of one.
constexpr double kWorthIt = 0.25;
/// Below this cost (multiply-adds per image) one grid is not compared with several.
constexpr double kCheap = 1.5e5;
/// Periods of very wide terms in pixels at most.
constexpr int kLongestReach = 1200;

/// Next of eight steps per octave: the PSF is transformed for every grid anew.
int few(int n) {
  int step = 1;
  while (16 * step <= n) {
    step *= 2;
  }
  return (n + step - 1) / step * step;
}

/// Period for a box of half size h on which light as far as `reach` does not come round.
int period_of(int h, int reach) {
  // 33 pixels more than the box: a PSF stamp of 55 pixels.
  return std::max({h + reach + 2, h + 33, 7 * h / 5 + 27});
}

/// Multiply-adds of an image (render_lanes.inc): spectrum, columns, rows.
double cost_of(int h, int frequencies) {
  const double k = frequencies;
  const double half = h + 1.0;
  return 20.0 * k * k + std::numbers::pi * half * k * k + 2.0 * (2.0 * h + 1.0) * half * (k + 1.0) +
         3000.0;
}

/// Frequency beyond which the terms with sigma in [low, ...) (units of Re) keep less than tau in
/// the mean square, whatever the PSF does; `width` is the square of the minor axis in pixels.
double band_of(const sky::Mixture& mixture, double low, double width, double amplitude,
               double tau) {
  const auto enough = [&](double k) {
    double beyond = 0.0;  // sum of the norms of the terms: not below the norm of the sum
    for (std::size_t i = 0; i < mixture.variance.size(); ++i) {
      const double v = mixture.variance[i] * width;
      const double exponent = 2.0 * std::numbers::pi * std::numbers::pi * v * k * k;
      if (mixture.variance[i] >= low * low && exponent < 40.0) {
        beyond += v > 0.0 ? std::abs(mixture.amplitude[i]) * std::exp(-exponent) /
                                std::sqrt(4.0 * std::numbers::pi * v)
                          : kInfinity;
      }
    }
    return amplitude * beyond < tau;
  };
  constexpr int kSteps = 48;
  const auto frequency = [](int step) { return 0.01 * std::pow(1.1, step); };
  int fails = -1;
  int suffices = kSteps;
  while (suffices - fails > 1) {
    const int middle = (fails + suffices) / 2;
    (enough(frequency(middle)) ? suffices : fails) = middle;
  }
  return frequency(suffices);
}

/// Powers of sqrt(2) half way between neighbouring widths of a mixture (units of Re), the narrowest
/// first: they stay what they are, and between the same terms, when the index changes a little.
std::vector<double> edges_between_terms(const sky::Mixture& mixture) {
  std::vector<double> sigma;
  for (const double v : mixture.variance) {
    sigma.push_back(std::sqrt(v));
  }
  std::sort(sigma.begin(), sigma.end());
  std::vector<double> edges;
  for (std::size_t k = 1; k < sigma.size(); ++k) {
    const double below = std::max(sigma[k - 1], 0.3 * sigma[k]);
    const double edge = std::exp2(0.5 * std::round(std::log2(sigma[k] * below)));
    if (edge > sigma[k - 1] && edge < sigma[k]) {
      edges.push_back(edge);
    }
  }
  return edges;
}

}  // namespace

bool Scene::has_terms_for_mixture(const Source& source, const sky::Mixture& profile) {
  const double widest =
      std::sqrt(*std::max_element(profile.variance.begin(), profile.variance.end())) *
      std::exp(source.box_log_re);
  return std::any_of(source.place.begin(), source.place.end(), [&](const Placement& place) {
    const sky::PsfStamp& stamp = place.psf->stamp();
    return stamp.mixture != nullptr && stamp.mixture_from_pix > 0.0 &&
           widest >= stamp.mixture_from_pix;
  });
}

std::vector<TermGroup> Scene::term_groups(const Source& source, const sky::Mixture& mixture,
                                          int half, int reach, double k_max) const {
  const double re = std::exp(source.box_log_re);
  double amplitude = 0.0;
  for (const Frame& frame : frames_) {
    amplitude =
        std::max(amplitude, kFluxMargin * std::sqrt(frame.mean_weight) *
                                source.box_flux[static_cast<std::size_t>(frame.input->band)]);
  }
  std::vector<double> edge = edges_between_terms(mixture);
  if (has_terms_for_mixture(source, mixture)) {
    edge.push_back(sky::kVeryWidePix / re);
    std::sort(edge.begin(), edge.end());
  }
  edge.push_back(kInfinity);
  std::vector<TermGroup> groups;
  int needed = kHalfSizes.front();
  for (const double high : edge) {
    TermGroup group;
    group.low = groups.empty() ? 0.0 : groups.back().high;
    group.high = high;
    const bool widest = high == kInfinity;
    const sky::Mixture narrow = sky::part_of(mixture, 0.0, high);
    for (std::size_t f = 0; f < frames_.size() && !widest; ++f) {
      if (frames_[f].n_good > 0) {
        needed = half_size_needed(source, narrow, f, needed, kShareOfLevel);
      }
    }
    int extent = widest ? reach : std::min(needed, reach);
    if ((source.flags & kFlagBoxLimited) != 0 && extent >= reach) {
      const double sigma =
          std::sqrt(*std::max_element(narrow.variance.begin(), narrow.variance.end())) * re;
      extent = std::clamp(few(static_cast<int>(std::ceil(7.0 * sigma)) + 31), reach,
                          std::max(reach, kLongestReach));
    }
    group.half = widest ? half : std::min(half, extent);
    group.period = period_of(group.half, extent);
    group.band = group.low > 0.0
                     ? std::min(k_max, band_of(mixture, group.low, 0.5 * minor_axis_factor(source),
                                               amplitude, kShareOfLevel * truncation_of(source)))
                     : k_max;
    groups.push_back(group);
  }
  return groups;
}

namespace {

/// Grid of neighbouring groups: the box of the widest, the band of the narrowest.
sky::GridShape grid_of(const TermGroup& narrowest, const TermGroup& widest, double k_max) {
  const int wanted = few(static_cast<int>(std::ceil(narrowest.band * widest.period)));
  return {widest.half, widest.period, std::min(static_cast<int>(k_max * widest.period), wanted)};
}

/// The division of all groups into levels that costs least, the widest level first.
/// @param edge no level may lie on both sides of it
std::vector<Level> cheapest_levels(const std::vector<TermGroup>& groups, double k_max, double re,
                                   double edge, double& cost) {
  const std::size_t n = groups.size();
  std::vector<double> least(n, kInfinity);  // of the groups up to this one
  std::vector<std::size_t> begin(n, 0);     // where the last of their levels begins
  for (std::size_t g = 0; g < n; ++g) {
    for (std::size_t b = 0; b <= g; ++b) {
      if (groups[b].low < edge && groups[g].high > edge) {
        continue;
      }
      const sky::GridShape grid = grid_of(groups[b], groups[g], k_max);
      const double sum = (b > 0 ? least[b - 1] : 0.0) + cost_of(grid.half, grid.k_max);
      if (sum < least[g]) {
        least[g] = sum;
        begin[g] = b;
      }
    }
  }
  cost = least[n - 1];
  std::vector<Level> levels;
  for (std::size_t g = n; g > 0; g = begin[g - 1]) {
    const TermGroup& narrowest = groups[begin[g - 1]];
    levels.push_back({grid_of(narrowest, groups[g - 1], k_max), narrowest.low, groups[g - 1].high,
                      narrowest.low * re});
  }
  return levels;
}

}  // namespace

void Scene::choose_levels(Source& source, const sky::Mixture& mixture, int half, int reach,
                          double k_max) const {
  const int period = period_of(half, reach);
  const sky::GridShape one{half, period, static_cast<int>(k_max * period)};
  const double cost_of_one = cost_of(half, one.k_max);
  const bool split = has_terms_for_mixture(source, mixture);
  const bool must = split || (source.flags & kFlagBoxLimited) != 0;
  source.levels.clear();
  if (must || cost_of_one >= kCheap) {
    const double re = std::exp(source.box_log_re);
    double cost = 0.0;
    source.levels = cheapest_levels(term_groups(source, mixture, half, reach, k_max), k_max, re,
                                    split ? sky::kVeryWidePix / re : kInfinity, cost);
    if (must || cost <= (1.0 - kWorthIt) * cost_of_one) {
      return;
    }
    source.levels.clear();
  }
  source.levels.push_back({one, 0.0, kInfinity, 0.0});
}

}  // namespace skyloom::photometry::fit
