// Grids of a galaxy: one, or several where the wide terms of its mixture need a large box but low
// frequencies only, and the narrow ones high frequencies but a small box. Which terms share a grid
// is what costs least.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
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

void Scene::choose_levels(Source& source, const sky::Mixture& mixture, int half, int reach,
                          double k_max) const {
  source.levels.clear();
  const int period = period_of(half, reach);
  const auto all = static_cast<int>(k_max * period);
  const double single = cost_of(half, all);
  const bool split = has_terms_for_mixture(source, mixture);
  const bool limited = (source.flags & kFlagBoxLimited) != 0;
  if (single < kCheap && !split && !limited) {
    source.levels.push_back({{half, period, all}, 0.0, kInfinity, 0.0});
    return;
  }
  const double re = std::exp(source.box_log_re);
  double amplitude = 0.0;
  for (const Frame& frame : frames_) {
    amplitude =
        std::max(amplitude, kFluxMargin * std::sqrt(frame.mean_weight) *
                                source.box_flux[static_cast<std::size_t>(frame.input->band)]);
  }
  std::vector<double> edge = edges_between_terms(mixture);
  const double wide = sky::kVeryWidePix / re;
  if (split) {
    edge.push_back(wide);
    std::sort(edge.begin(), edge.end());
  }
  edge.insert(edge.begin(), 0.0);
  edge.push_back(kInfinity);
  const std::size_t n = edge.size() - 1;  // groups of terms [edge[g], edge[g + 1])
  std::vector<Level> grid(n);             // box of the group, and band of it and all wider ones
  std::vector<double> band(n);
  int needed = kHalfSizes.front();
  for (std::size_t g = 0; g < n; ++g) {
    const sky::Mixture narrow = sky::part_of(mixture, 0.0, edge[g + 1]);
    for (std::size_t f = 0; f < frames_.size() && g + 1 < n; ++f) {
      if (frames_[f].n_good > 0) {
        needed = half_size_needed(source, narrow, f, needed, kShareOfLevel);
      }
    }
    int extent = g + 1 < n ? std::min(needed, reach) : reach;
    if (limited && extent >= reach) {
      const double widest =
          std::sqrt(*std::max_element(narrow.variance.begin(), narrow.variance.end())) * re;
      extent = std::clamp(few(static_cast<int>(std::ceil(7.0 * widest)) + 31), reach,
                          std::max(reach, kLongestReach));
    }
    const int h = g + 1 < n ? std::min(half, extent) : half;
    grid[g].grid = {h, period_of(h, extent), 0};
    band[g] = g == 0 ? k_max
                     : std::min(k_max, band_of(mixture, edge[g], 0.5 * minor_axis_factor(source),
                                               amplitude, kShareOfLevel * truncation_of(source)));
  }
  const auto frequencies = [&](std::size_t first, std::size_t last) {
    const int n_period = grid[last].grid.period;
    return std::min(static_cast<int>(k_max * n_period),
                    few(static_cast<int>(std::ceil(band[first] * n_period))));
  };
  // Least cost of the groups up to g, and where the last of their levels begins.
  std::vector<double> least(n, kInfinity);
  std::vector<std::size_t> begin(n, 0);
  for (std::size_t g = 0; g < n; ++g) {
    for (std::size_t b = 0; b <= g; ++b) {
      if (split && edge[b] < wide && edge[g + 1] > wide) {
        continue;
      }
      const double cost =
          (b > 0 ? least[b - 1] : 0.0) + cost_of(grid[g].grid.half, frequencies(b, g));
      if (cost < least[g]) {
        least[g] = cost;
        begin[g] = b;
      }
    }
  }
  if (!split && !limited && least[n - 1] > (1.0 - kWorthIt) * single) {
    source.levels.push_back({{half, period, all}, 0.0, kInfinity, 0.0});
    return;
  }
  for (std::size_t g = n; g > 0; g = begin[g - 1]) {
    const std::size_t b = begin[g - 1];
    Level level = grid[g - 1];
    level.grid.k_max = frequencies(b, g - 1);
    level.low = edge[b];
    level.high = edge[g];
    level.sigma_pix = level.low * re;
    source.levels.push_back(std::move(level));
  }
}

}  // namespace skyloom::photometry::fit
