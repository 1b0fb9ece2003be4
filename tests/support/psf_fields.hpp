#pragma once
// Small simulated star fields whose PSF is known exactly: Moffats or the Kolmogorov profile
// integrated over pixels, galaxies, Poisson and sky noise, saturated stars, bad pixels. Every
// number is a pure function of the seed.

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/core/random.hpp"

namespace skyloom::test {

/// One elliptical Moffat of a PSF; size and ellipticity linear in the scaled field position.
struct MoffatPart {
  double share = 1.0;
  double fwhm_pix = 3.6;
  double beta = 3.0;
  double dx = 0.0;
  double dy = 0.0;
  double size_x = 0.0;  ///< relative change of the size from centre to edge along x
  double wave = 0.0;    ///< relative amplitude of waves in size
  double g1 = 0.0;
  double g1_x = 0.0;
  double g2_y = 0.0;
  double g2 = 0.0;
  double wave_g = 0.0;      ///< amplitude of waves in ellipticity
  bool kolmogorov = false;  ///< long-exposure seeing instead of the Moffat; beta does not count
};

/// Light per area of the long-exposure atmospheric PSF (Fried 1966: transfer function
/// exp(-k^(5/3))) for unit FWHM and unit total light.
class KolmogorovProfile {
 public:
  static const KolmogorovProfile& instance() {
    static const KolmogorovProfile profile;
    return profile;
  }
  /// @param r in units of the FWHM
  [[nodiscard]] double operator()(double r) const {
    const double place = r / kStep;
    const auto k = static_cast<std::size_t>(place);
    if (k + 2 >= values_.size()) {
      return values_.back() * std::pow(r / (kStep * (kCount - 1)), -11.0 / 3.0);
    }
    const double part = place - static_cast<double>(k);
    return values_[k] + part * (values_[k + 1] - values_[k]);
  }

 private:
  static constexpr double kStep = 0.01;
  static constexpr int kCount = 1200;  // to 12 FWHM, where the power law holds to a percent

  static double transform(double r) {
    constexpr int kSteps = 2500;
    constexpr double kEnd = 9.0;
    double sum = 0.0;
    for (int i = 0; i < kSteps; ++i) {
      const double k = (i + 0.5) * kEnd / kSteps;
      sum += std::exp(-std::pow(k, 5.0 / 3.0)) * ::j0(k * r) * k;
    }
    return sum * kEnd / kSteps / (2.0 * std::numbers::pi);
  }

  KolmogorovProfile() {
    double low = 0.0;
    double high = 10.0;
    const double half = 0.5 * transform(0.0);
    while (high - low > 1e-10) {
      const double middle = 0.5 * (low + high);
      (transform(middle) > half ? low : high) = middle;
    }
    const double fwhm = 2.0 * low;
    for (int i = 0; i < kCount; ++i) {
      values_.push_back(fwhm * fwhm * transform(i * kStep * fwhm));
    }
  }

  std::vector<double> values_;
};

struct TruePsf {
  std::vector<MoffatPart> parts = {MoffatPart{}};

  /// Light of a pixel (u, v) from a star at scaled field position (sx, sy).
  [[nodiscard]] double pixel(double sx, double sy, double u, double v) const {
    double sum = 0.0;
    for (const MoffatPart& part : parts) {
      sum += part.share * mean(part, sx, sy, u - part.dx, v - part.dy);
    }
    return sum;
  }

 private:
  static double mean(const MoffatPart& part, double sx, double sy, double u, double v) {
    const double waves =
        std::sin(2.5 * std::numbers::pi * sx) * std::cos(2.5 * std::numbers::pi * sy);
    const double fwhm = part.fwhm_pix * (1.0 + part.size_x * sx + part.wave * waves);
    const double alpha = 0.5 * fwhm / std::sqrt(std::pow(2.0, 1.0 / part.beta) - 1.0);
    const double g1 = part.g1 + part.g1_x * sx + part.wave_g * waves;
    const double g2 = part.g2 + part.g2_y * sy - part.wave_g * waves;
    const double k2 = 1.0 / (1.0 - g1 * g1 - g2 * g2);
    const auto at = [&](double a, double b) {
      const double first = (1.0 - g1) * a - g2 * b;
      const double second = -g2 * a + (1.0 + g1) * b;
      const double rho2 = k2 * (first * first + second * second);
      return part.kolmogorov ? KolmogorovProfile::instance()(std::sqrt(rho2) / fwhm) / (fwhm * fwhm)
                             : (part.beta - 1.0) / (std::numbers::pi * alpha * alpha) *
                                   std::pow(1.0 + rho2 / (alpha * alpha), -part.beta);
    };
    static constexpr std::array<double, 3> kPoint = {-0.3872983346207417, 0.0, 0.3872983346207417};
    static constexpr std::array<double, 3> kWeight = {5.0 / 18.0, 8.0 / 18.0, 5.0 / 18.0};
    // Near the centre four sub-pixels of 3x3 points each, three points per axis elsewhere.
    double sum = 0.0;
    const int split = std::hypot(u, v) < 8.0 ? 2 : 1;
    for (int j = 0; j < split; ++j) {
      for (int i = 0; i < split; ++i) {
        const double cu = u + (i + 0.5) / split - 0.5;
        const double cv = v + (j + 0.5) / split - 0.5;
        for (std::size_t b = 0; b < 3; ++b) {
          for (std::size_t a = 0; a < 3; ++a) {
            sum += kWeight[a] * kWeight[b] * at(cu + kPoint[a] / split, cv + kPoint[b] / split);
          }
        }
      }
    }
    return sum / (split * split);
  }
};

struct FieldOptions {
  int size = 512;
  int n_stars = 90;
  int n_galaxies = 30;
  int n_saturated = 1;
  double min_separation_pix = 14.0;
  double sky_sigma = 9.0;
  double gain = 1.5;
  double residual_sky = 0.05;  ///< constant offset in units of sky_sigma
  double flux_min = 1500.0;    ///< fluxes follow N(>F) ~ 1/F^0.7 between these
  double flux_max = 2.5e5;
  double saturation = 3.0e4;     ///< pixel value
  int n_bad_pixels = 0;          ///< hot pixels; one in five is not in the mask
  double brighter_fatter = 0.0;  ///< relative growth of the PSF from flux 0 to flux_max
  double size_jump = 0.0;        ///< relative growth of the PSF at the middle column
  std::uint64_t seed = 1;
};

struct TrueObject {
  double x = 0.0;
  double y = 0.0;
  double flux = 0.0;
  bool star = true;
};

struct TrueField {
  FieldOptions options;
  Image<float> data;
  Image<float> sigma;
  Image<std::uint8_t> bad;
  Image<double> light;  ///< of all objects, without noise and sky
  std::vector<TrueObject> objects;
};

inline double scaled(double x, int size) {
  return 2.0 * x / size - 1.0;
}

inline void paint(Image<double>& light, const TruePsf& psf, double sx, double sy,
                  const TrueObject& object, int radius) {
  const Box box = Box{int(std::lround(object.x)) - radius, int(std::lround(object.x)) + radius + 1,
                      int(std::lround(object.y)) - radius, int(std::lround(object.y)) + radius + 1}
                      .intersect({0, light.width(), 0, light.height()});
  for (int y = box.y0; y < box.y1; ++y) {
    for (int x = box.x0; x < box.x1; ++x) {
      light(y, x) += object.flux * psf.pixel(sx, sy, x - object.x, y - object.y);
    }
  }
}

/// Half size of what is painted of an object.
inline int painted_radius(const TrueObject& object) {
  return object.flux > 2e4 ? 60 : 30;
}

inline std::vector<TrueObject> place_objects(const FieldOptions& options) {
  const Rng rng(options.seed, "field", "objects");
  std::vector<TrueObject> objects;
  const int total = options.n_stars + options.n_galaxies + options.n_saturated;
  for (std::uint64_t draw = 0; static_cast<int>(objects.size()) < total && draw < 100000; ++draw) {
    TrueObject object;
    object.x = rng.uniform(draw, 4.0, options.size - 5.0, 0);
    object.y = rng.uniform(draw, 4.0, options.size - 5.0, 1);
    const auto index = static_cast<int>(objects.size());
    const bool saturated = index < options.n_saturated;
    object.star = index < options.n_saturated + options.n_stars;
    const double share = rng.uniform(draw, 2);
    object.flux = std::min(options.flux_min * std::pow(1.0 - share, -1.0 / 0.7), options.flux_max);
    if (saturated) {
      object.flux = 3.0 * options.saturation * 25.0;
      object.x = options.size * (0.3 + 0.4 * rng.uniform(draw, 3));
      object.y = options.size * (0.3 + 0.4 * rng.uniform(draw, 4));
    }
    bool free = true;
    for (const TrueObject& other : objects) {
      free =
          free && std::hypot(other.x - object.x, other.y - object.y) > options.min_separation_pix;
    }
    if (free) {
      objects.push_back(object);
    }
  }
  return objects;
}

inline TrueField make_field(const TruePsf& psf, const FieldOptions& options) {
  TrueField field;
  field.options = options;
  field.objects = place_objects(options);
  Image<double> light(options.size, options.size);
  const Rng shapes(options.seed, "field", "galaxies");
  for (std::size_t k = 0; k < field.objects.size(); ++k) {
    const TrueObject& object = field.objects[k];
    const double sx = scaled(object.x, options.size);
    const double sy = scaled(object.y, options.size);
    const int radius = painted_radius(object);
    if (object.star) {
      TruePsf own = psf;
      for (MoffatPart& part : own.parts) {
        part.fwhm_pix *= 1.0 + options.brighter_fatter * object.flux / options.flux_max +
                         (sx > 0.0 ? options.size_jump : 0.0);
      }
      paint(light, own, sx, sy, object, radius);
    } else {
      // A galaxy is a wider Moffat: what matters here is that it is no star.
      MoffatPart part = psf.parts.front();
      part.fwhm_pix = std::hypot(part.fwhm_pix, 2.0 * shapes.uniform(k, 1.0, 4.0, 0));
      part.g1 = shapes.uniform(k, -0.3, 0.3, 1);
      paint(light, TruePsf{{part}}, sx, sy, object, radius);
    }
  }
  field.data = Image<float>(options.size, options.size);
  field.sigma = Image<float>(options.size, options.size, static_cast<float>(options.sky_sigma));
  field.bad = Image<std::uint8_t>(options.size, options.size);
  const Rng noise(options.seed, "field", "noise");
  for (std::size_t k = 0; k < field.data.pixels().size(); ++k) {
    const double mean = light.pixels()[k];
    const double photons = noise.poisson(k, mean * options.gain, 8) / options.gain;
    const double value = photons + options.sky_sigma * (noise.normal(k, 0) + options.residual_sky);
    field.data.pixels()[k] = static_cast<float>(value);
    if (value > options.saturation) {
      field.bad.pixels()[k] = 2;
    }
  }
  for (int k = 0; k < options.n_bad_pixels; ++k) {
    const auto n = static_cast<std::uint64_t>(k);
    const auto size = static_cast<double>(field.data.pixels().size());
    const auto pixel = static_cast<std::size_t>(noise.uniform(n, 0.0, size, 11));
    field.data.pixels()[pixel] = static_cast<float>(noise.uniform(n, -500.0, 5000.0, 12));
    if (k % 5 != 0) {
      field.bad.pixels()[pixel] = 4;
    }
  }
  field.light = std::move(light);
  return field;
}

}  // namespace skyloom::test
