#include "skyloom/sky/psf_mixture.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "skyloom/core/errors.hpp"

namespace skyloom::sky {
namespace {

constexpr double kFarthest2 = 100.0;        ///< squared Mahalanobis distance
constexpr double kLeastDeterminant = 1e-4;  ///< a term of sigma 0.1 pixels

struct Sample {
  double x;
  double y;
  double light;
};

/// The positive samples at whole pixels, with a sum of 1 if none is negative. @param sum of all
std::vector<Sample> whole_pixels(const PsfStamp& stamp, double& sum) {
  const int half = stamp.half_size_pix();
  const int centre = stamp.values.width() / 2;
  std::vector<Sample> samples;
  sum = 0.0;
  for (int y = -half; y <= half; ++y) {
    for (int x = -half; x <= half; ++x) {
      const auto value = static_cast<double>(
          stamp.values(centre + y * stamp.oversampling, centre + x * stamp.oversampling));
      if (std::isfinite(value)) {
        samples.push_back({static_cast<double>(x), static_cast<double>(y), value});
        sum += value;
      }
    }
  }
  std::erase_if(samples, [](const Sample& s) { return s.light <= 0.0; });
  for (Sample& s : samples) {
    s.light /= sum;
  }
  return samples;
}

double determinant(const Symmetric2& c) {
  return c.xx * c.yy - c.xy * c.xy;
}

/// A term prepared for evaluation.
struct Density {
  explicit Density(const GaussianTerm& term)
      : mean_x(term.mean_x),
        mean_y(term.mean_y),
        xx(term.covariance.yy / determinant(term.covariance)),
        xy(-term.covariance.xy / determinant(term.covariance)),
        yy(term.covariance.xx / determinant(term.covariance)),
        scale(term.weight / (2.0 * std::numbers::pi * std::sqrt(determinant(term.covariance)))) {}

  [[nodiscard]] double at(double x, double y) const {
    const double dx = x - mean_x;
    const double dy = y - mean_y;
    const double distance2 = xx * dx * dx + 2.0 * xy * dx * dy + yy * dy * dy;
    return distance2 < kFarthest2 ? scale * std::exp(-0.5 * distance2) : 0.0;
  }

  double mean_x;
  double mean_y;
  double xx;
  double xy;
  double yy;
  double scale;
};

/// Moments of the light that belongs to a term.
struct Moments {
  double light = 0.0;
  double x = 0.0;
  double y = 0.0;
  double xx = 0.0;
  double xy = 0.0;
  double yy = 0.0;

  void add(const Sample& s, double share) {
    const double light_here = share * s.light;
    light += light_here;
    x += light_here * s.x;
    y += light_here * s.y;
    xx += light_here * s.x * s.x;
    xy += light_here * s.x * s.y;
    yy += light_here * s.y * s.y;
  }

  /// Mean, covariance about it and light as a term.
  [[nodiscard]] GaussianTerm term() const {
    const double mx = x / light;
    const double my = y / light;
    return {light, mx, my, {xx / light - mx * mx, xy / light - mx * my, yy / light - my * my}};
  }
};

bool usable(const GaussianTerm& term) {
  return term.weight > 0.0 && determinant(term.covariance) > kLeastDeterminant &&
         term.covariance.xx > 0.0;
}

void scale_weights(PsfMixture& mixture, double total) {
  double sum = 0.0;
  for (const GaussianTerm& term : mixture.terms) {
    sum += term.weight;
  }
  for (GaussianTerm& term : mixture.terms) {
    term.weight *= total / sum;
  }
}

void em_step(const std::vector<Sample>& samples, PsfMixture& mixture) {
  const std::size_t n = mixture.terms.size();
  const std::vector<Density> densities(mixture.terms.begin(), mixture.terms.end());
  std::vector<Moments> moments(n);
  std::vector<double> density(n);
  for (const Sample& s : samples) {
    double total = 0.0;
    for (std::size_t k = 0; k < n; ++k) {
      density[k] = densities[k].at(s.x, s.y);
      total += density[k];
    }
    for (std::size_t k = 0; total > 0.0 && k < n; ++k) {
      if (density[k] > 0.0) {
        moments[k].add(s, density[k] / total);
      }
    }
  }
  mixture.terms.clear();
  for (const Moments& m : moments) {
    if (m.light > 0.0 && usable(m.term())) {
      mixture.terms.push_back(m.term());
    }
  }
  scale_weights(mixture, 1.0);
}

double narrowest_sigma(const PsfMixture& mixture) {
  double least = 1e30;
  for (const GaussianTerm& term : mixture.terms) {
    const Symmetric2& c = term.covariance;
    const double split = std::hypot(0.5 * (c.xx - c.yy), c.xy);
    least = std::min(least, 0.5 * (c.xx + c.yy) - split);
  }
  return std::sqrt(least);
}

/// Attaches a mixture to the stamps of another PSF.
class MixturePsf final : public Psf {
 public:
  MixturePsf(std::shared_ptr<const Psf> base, std::shared_ptr<const PsfMixture> mixture,
             double from_pix)
      : base_(std::move(base)), mixture_(std::move(mixture)), from_pix_(from_pix) {}

  [[nodiscard]] PsfStamp at(double x, double y) const override {
    PsfStamp stamp = base_->at(x, y);
    stamp.mixture = mixture_;
    stamp.mixture_from_pix = from_pix_;
    return stamp;
  }
  [[nodiscard]] bool is_constant() const override { return base_->is_constant(); }
  [[nodiscard]] double fwhm_pix() const override { return base_->fwhm_pix(); }

 private:
  std::shared_ptr<const Psf> base_;
  std::shared_ptr<const PsfMixture> mixture_;
  double from_pix_;
};

}  // namespace

double PsfMixture::at(double x, double y) const {
  double sum = 0.0;
  for (const GaussianTerm& term : terms) {
    sum += Density(term).at(x, y);
  }
  return sum;
}

PsfMixture fit_psf_mixture(const PsfStamp& stamp, int n_terms, int steps) {
  if (n_terms < 1) {
    throw ConfigError("PSF mixture", std::to_string(n_terms) + " Gaussians", "1 or more");
  }
  double sum = 0.0;
  const std::vector<Sample> samples = whole_pixels(stamp, sum);
  if (!(sum > 0.0)) {
    throw ConfigError("PSF stamp", "its sum is not positive", "a stamp with light in it");
  }
  PsfMixture mixture;
  for (int k = 0; k < n_terms; ++k) {
    mixture.terms.push_back({1.0 / n_terms, 0.0, 0.0, {k + 1.0, 0.0, k + 1.0}});
  }
  for (int step = 0; step < steps && !mixture.terms.empty(); ++step) {
    em_step(samples, mixture);
  }
  if (mixture.terms.empty()) {
    throw ConfigError("PSF stamp", "its light lies in single samples",
                      "a stamp that Gaussians can be fitted to");
  }
  scale_weights(mixture, sum);
  return mixture;
}

AlignedVector<float> mixture_transform(const PsfMixture& mixture, const DftGrid& grid) {
  const int k_max = grid.shape().k_max;
  const auto kp = static_cast<std::size_t>(grid.padded_frequencies());
  const double period = grid.shape().period;
  constexpr double kPi = std::numbers::pi;
  AlignedVector<float> result(4 * kp * (static_cast<std::size_t>(k_max) + 1), 0.0F);
  for (int p = 0; p <= k_max; ++p) {
    const double weight = (p == 0 ? 1.0 : 2.0) / (period * period);
    const int limit = grid.q_limit()[static_cast<std::size_t>(p)];
    for (int q = -limit; q <= limit; ++q) {
      const double u = p / period;
      const double v = q / period;
      double re = 0.0;
      double im = 0.0;
      for (const GaussianTerm& term : mixture.terms) {
        const Symmetric2& c = term.covariance;
        const double size =
            term.weight *
            std::exp(-2.0 * kPi * kPi * (c.xx * u * u + 2.0 * c.xy * u * v + c.yy * v * v));
        const double angle = 2.0 * kPi * (u * term.mean_x + v * term.mean_y);
        re += size * std::cos(angle);
        im -= size * std::sin(angle);
      }
      const std::size_t row = 4 * static_cast<std::size_t>(std::abs(q)) + (q < 0 ? 2 : 0);
      result[row * kp + static_cast<std::size_t>(p)] = static_cast<float>(weight * re);
      result[(row + 1) * kp + static_cast<std::size_t>(p)] = static_cast<float>(weight * im);
    }
  }
  return result;
}

std::shared_ptr<const Psf> make_mixture_psf(PsfMixture mixture, double radius_pix) {
  const bool good =
      !mixture.terms.empty() && std::all_of(mixture.terms.begin(), mixture.terms.end(), usable);
  if (!good || !(radius_pix > 0.0)) {
    throw ConfigError("mixture PSF", "a term without light or width, or no radius",
                      "weights, widths and a radius above 0");
  }
  const int oversampling = narrowest_sigma(mixture) < 1.0 ? 4 : 2;
  // The outermost whole pixel counts with all samples inside it.
  const int half = oversampling * (2 * static_cast<int>(std::ceil(radius_pix)) + 1) / 2;
  Image<float> values(2 * half + 1, 2 * half + 1);
  const std::vector<Density> densities(mixture.terms.begin(), mixture.terms.end());
  for (int y = -half; y <= half; ++y) {
    for (int x = -half; x <= half; ++x) {
      double sum = 0.0;
      for (const Density& density : densities) {
        sum += density.at(static_cast<double>(x) / oversampling,
                          static_cast<double>(y) / oversampling);
      }
      values(y + half, x + half) = static_cast<float>(sum);
    }
  }
  return with_mixture(make_stamp_psf(std::move(values), oversampling, false), std::move(mixture),
                      0.0);
}

std::shared_ptr<const Psf> with_mixture(std::shared_ptr<const Psf> psf, PsfMixture mixture,
                                        double from_pix) {
  return std::make_shared<MixturePsf>(
      std::move(psf), std::make_shared<const PsfMixture>(std::move(mixture)), from_pix);
}

}  // namespace skyloom::sky
