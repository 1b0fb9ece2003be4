// The smooth wing of an effective PSF (photometry.md 16.13; epsf.md 9, "AK+").

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "skyloom/sky/effective_psf.hpp"
#include "skyloom/sky/psf.hpp"

namespace skyloom::sky {
namespace {

constexpr double kSignificance = 3.0;
// The smoothing kernel is a projection with sum of squares 0.4416: errors of ring means are larger
// than the scatter of the samples says by its inverse root.
constexpr double kCorrelation = 1.505;
constexpr std::size_t kFirstRing = 3;
constexpr std::size_t kMinRings = 3;
constexpr double kBlendPix = 2.0;
constexpr double kMinBeta = 1.1;  // the light of a flatter wing diverges
constexpr double kMaxBeta = 8.0;
constexpr double kStartBeta = 3.0;
constexpr int kBetaRounds = 50;
constexpr double kBetaTolerance = 1e-8;

struct Ring {
  double n = 0.0;
  double radius = 0.0;  // mean of the samples
  double mean = 0.0;
  double square = 0.0;
  double error = 0.0;
};

/// Rings one pixel wide around whole radii that fit into the square.
std::vector<Ring> rings_of(const Image<double>& psf, int oversamp) {
  const int centre = (psf.width() - 1) / 2;
  std::vector<Ring> rings(static_cast<std::size_t>(centre / oversamp) + 1);
  for (int y = 0; y < psf.height(); ++y) {
    for (int x = 0; x < psf.width(); ++x) {
      const double r = std::hypot(x - centre, y - centre) / oversamp;
      const auto k = static_cast<std::size_t>(std::lround(r));
      if (k < rings.size()) {
        Ring& ring = rings[k];
        ring.n += 1.0;
        ring.radius += (r - ring.radius) / ring.n;
        const double delta = psf(y, x) - ring.mean;
        ring.mean += delta / ring.n;
        ring.square += delta * (psf(y, x) - ring.mean);
      }
    }
  }
  for (Ring& ring : rings) {
    ring.error =
        ring.n > 1.0 ? kCorrelation * std::sqrt(ring.square / (ring.n - 1.0) / ring.n) : 0.0;
  }
  return rings;
}

/// Moffat through the rings: ln light = level - beta ln(1 + r^2/alpha^2).
struct Moffat {
  double level = 0.0;
  double alpha = 1.0;
  double beta = kStartBeta;

  [[nodiscard]] double at(double r) const {
    return std::exp(level - beta * std::log1p(r * r / (alpha * alpha)));
  }
};

/// Weighted fit to rings first...last of a Moffat whose width is that of the core.
Moffat fit_rings(const std::vector<Ring>& rings, std::size_t first, std::size_t last, double fwhm) {
  Moffat moffat;
  for (int round = 0; round < kBetaRounds; ++round) {
    moffat.alpha = 0.5 * fwhm / std::sqrt(std::pow(2.0, 1.0 / moffat.beta) - 1.0);
    double sw = 0.0;
    double sx = 0.0;
    double sy = 0.0;
    double sxx = 0.0;
    double sxy = 0.0;
    for (std::size_t k = first; k <= last; ++k) {
      const double relative = rings[k].mean / rings[k].error;
      const double weight = relative * relative;
      const double x = std::log1p(std::pow(rings[k].radius / moffat.alpha, 2));
      const double y = std::log(rings[k].mean);
      sw += weight;
      sx += weight * x;
      sy += weight * y;
      sxx += weight * x * x;
      sxy += weight * x * y;
    }
    const double beta =
        std::clamp(-(sw * sxy - sx * sy) / (sw * sxx - sx * sx), kMinBeta, kMaxBeta);
    moffat.level = (sy + beta * sx) / sw;
    const double change = std::abs(beta - moffat.beta);
    moffat.beta = beta;
    if (change < kBetaTolerance) {
      break;
    }
  }
  return moffat;
}

Image<float> as_floats(const Image<double>& image) {
  Image<float> out(image.width(), image.height());
  std::transform(image.pixels().begin(), image.pixels().end(), out.pixels().begin(),
                 [](double value) { return static_cast<float>(value); });
  return out;
}

}  // namespace

WingFit replace_wing(Image<double>& psf, int oversamp) {
  const std::vector<Ring> rings = rings_of(psf, oversamp);
  std::size_t last = 0;  // last significant ring
  for (std::size_t k = kFirstRing; k < rings.size() && last == 0; ++k) {
    if (!(rings[k].mean > kSignificance * rings[k].error)) {
      last = k - 1;
    }
  }
  const std::size_t first = std::max<std::size_t>(2, last / 2);
  if (last < first + kMinRings - 1) {
    return {};
  }
  const double fwhm = sky::measured_fwhm_pix({as_floats(psf), oversamp});
  if (!std::isfinite(fwhm)) {
    return {};
  }
  const Moffat wing = fit_rings(rings, first, last, fwhm);
  const auto radius = static_cast<double>(last);
  const int centre = (psf.width() - 1) / 2;
  for (int y = 0; y < psf.height(); ++y) {
    for (int x = 0; x < psf.width(); ++x) {
      const double r = std::hypot(x - centre, y - centre) / oversamp;
      const double share = std::clamp((r - radius + kBlendPix) / kBlendPix, 0.0, 1.0);
      if (share > 0.0) {
        psf(y, x) += share * (wing.at(r) - psf(y, x));
      }
    }
  }
  return {radius, -2.0 * wing.beta};
}

}  // namespace skyloom::sky
