#include "pipelines/photometry/simulate_render.hpp"

#include <array>
#include <cmath>
#include <numbers>

namespace skyloom::photometry {
namespace {

constexpr double kTransformStep = 1.0 / 512.0;  // of the Moffat's table, cycles per pixel
constexpr double kTransformEnd = 1.5;
constexpr double kLawStep = 1.0 / 64.0;  // cycles per half-light radius
constexpr double kLawEnd = 12.0;

/// Cubic (Catmull-Rom) interpolation in an even function's table; 0 beyond its end.
double looked_up(const std::vector<double>& table, double place) {
  const auto i = static_cast<std::size_t>(place);
  if (i + 2 >= table.size()) {
    return 0.0;
  }
  const double t = place - static_cast<double>(i);
  const double before = i > 0 ? table[i - 1] : table[1];
  const double a = table[i];
  const double b = table[i + 1];
  const double after = table[i + 2];
  return a + 0.5 * t *
                 (b - before +
                  t * (2.0 * before - 5.0 * a + 4.0 * b - after +
                       t * (3.0 * (a - b) + after - before)));
}

double sinc(double x) {
  return std::abs(x) < 1e-8 ? 1.0 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x);
}

/// Gauss-Legendre nodes on [-1/2, 1/2] with weights of sum 1.
constexpr std::array<double, 4> kNodes4{-0.43056815579702629, -0.16999052179242813,
                                        0.16999052179242813, 0.43056815579702629};
constexpr std::array<double, 4> kWeights4{0.17392742256872693, 0.32607257743127307,
                                          0.32607257743127307, 0.17392742256872693};
constexpr double kNode2 = 0.28867513459481288;

/// In-place transform of 2^m values, stride 1, sign +1 of the exponent, not normalised.
void inverse_fft(std::complex<double>* data, std::size_t n,
                 const std::vector<std::complex<double>>& roots) {
  for (std::size_t i = 1, j = 0; i < n; ++i) {
    std::size_t bit = n >> 1U;
    for (; (j & bit) != 0; bit >>= 1U) {
      j ^= bit;
    }
    j ^= bit;
    if (i < j) {
      std::swap(data[i], data[j]);
    }
  }
  for (std::size_t length = 2; length <= n; length <<= 1U) {
    const std::size_t half = length / 2;
    const std::size_t stride = n / length;
    for (std::size_t start = 0; start < n; start += length) {
      for (std::size_t k = 0; k < half; ++k) {
        const std::complex<double> root = roots[k * stride];
        const std::complex<double> odd = data[start + k + half];
        const std::complex<double> turned{odd.real() * root.real() - odd.imag() * root.imag(),
                                          odd.real() * root.imag() + odd.imag() * root.real()};
        data[start + k + half] = data[start + k] - turned;
        data[start + k] += turned;
      }
    }
  }
}

void inverse_fft_2d(std::vector<std::complex<double>>& grid, std::size_t n) {
  std::vector<std::complex<double>> roots(n / 2);
  for (std::size_t k = 0; k < n / 2; ++k) {
    const double angle = 2.0 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n);
    roots[k] = {std::cos(angle), std::sin(angle)};
  }
  for (int axis = 0; axis < 2; ++axis) {
    for (std::size_t row = 0; row < n; ++row) {
      inverse_fft(&grid[row * n], n, roots);
    }
    for (std::size_t y = 0; y < n; ++y) {
      for (std::size_t x = y + 1; x < n; ++x) {
        std::swap(grid[y * n + x], grid[x * n + y]);
      }
    }
  }
}

/// The constant of the Sersic law that makes r = 1 the half-light radius (Ciotti & Bertin 1999).
double sersic_b(double n) {
  return 2.0 * n - 1.0 / 3.0 + 4.0 / (405.0 * n) + 46.0 / (25515.0 * n * n) +
         131.0 / (1148175.0 * n * n * n);
}

double law_density(double n, double extent, double r) {
  double density = 0.0;
  if (n == 1.0) {
    density = std::exp(-1.67835 * (r - 1.0));
  } else if (n == 4.0) {
    density = std::exp(-7.66925 * (std::pow(r * r + 0.0004, 0.125) - 1.0));
  } else {
    density = std::exp(-sersic_b(n) * (std::pow(r, 1.0 / n) - 1.0));
  }
  const double beyond = r - (extent - 1.0);
  if (beyond > 0.0) {
    const double fall = 1.0 - beyond * beyond;
    density *= fall * fall;
  }
  return density;
}

}  // namespace

Moffat::Moffat(double fwhm_pix, double beta)
    : fwhm_(fwhm_pix),
      beta_(beta),
      alpha_(0.5 * fwhm_pix / std::sqrt(std::exp2(1.0 / beta) - 1.0)) {
  const double order = beta - 1.0;
  table_.push_back(1.0);
  for (double k = kTransformStep; k < kTransformEnd; k += kTransformStep) {
    const double s = 2.0 * std::numbers::pi * k * alpha_;
    table_.push_back(s > 600.0 ? 0.0
                               : 2.0 * std::pow(0.5 * s, order) * std::cyl_bessel_k(order, s) /
                                     std::tgamma(order));
  }
}

double Moffat::density(double r_pix) const {
  const double q = r_pix / alpha_;
  return (beta_ - 1.0) / (std::numbers::pi * alpha_ * alpha_) * std::pow(1.0 + q * q, -beta_);
}

double Moffat::radius_of_fraction_outside(double fraction) const {
  return alpha_ * std::sqrt(std::pow(fraction, -1.0 / (beta_ - 1.0)) - 1.0);
}

double Moffat::transform(double frequency) const {
  return looked_up(table_, frequency / kTransformStep);
}

double Moffat::in_pixel(double dx_pix, double dy_pix) const {
  double light = 0.0;
  if (dx_pix * dx_pix + dy_pix * dy_pix < 4.0 * fwhm_ * fwhm_) {
    for (std::size_t j = 0; j < kNodes4.size(); ++j) {
      for (std::size_t i = 0; i < kNodes4.size(); ++i) {
        light += kWeights4[i] * kWeights4[j] *
                 density(std::hypot(dx_pix + kNodes4[i], dy_pix + kNodes4[j]));
      }
    }
    return light;
  }
  for (const double v : {-kNode2, kNode2}) {
    for (const double u : {-kNode2, kNode2}) {
      light += 0.25 * density(std::hypot(dx_pix + u, dy_pix + v));
    }
  }
  return light;
}

GalaxyLaw::GalaxyLaw(double sersic_n) : extent_(sersic_n == 1.0 ? 4.0 : 8.0) {
  // r = extent t^3 gathers nodes at the cusp; four-point panels resolve the fastest wave of the
  // table.
  constexpr int kPanels = 260;
  std::vector<double> radius;
  std::vector<double> weight;
  double total = 0.0;
  for (int panel = 0; panel < kPanels; ++panel) {
    for (std::size_t k = 0; k < kNodes4.size(); ++k) {
      const double t = (panel + 0.5 + kNodes4[k]) / kPanels;
      const double r = extent_ * t * t * t;
      const double w = kWeights4[k] * r * 3.0 * t * t * law_density(sersic_n, extent_, r);
      radius.push_back(r);
      weight.push_back(w);
      total += w;
    }
  }
  for (double k = 0.0; k < kLawEnd; k += kLawStep) {
    double sum = 0.0;
    for (std::size_t i = 0; i < radius.size(); ++i) {
      sum += weight[i] * j0(2.0 * std::numbers::pi * k * radius[i]);
    }
    table_.push_back(sum / total);
  }
}

double GalaxyLaw::transform(double frequency) const {
  return looked_up(table_, frequency / kLawStep);
}

SceneRenderer::SceneRenderer(const SimulatedBand& band) : psf_(band.fwhm_pix, band.beta) {}

void SceneRenderer::add(const TrueSource& source, double light, double faintest,
                        ImageView<double> image) {
  if (source.type == SourceType::star) {
    add_star(source, light, faintest, image);
  } else {
    add_galaxy(source, light, image);
  }
}

void SceneRenderer::add_star(const TrueSource& source, double light, double faintest,
                             ImageView<double> image) {
  double radius = psf_.radius_of_fraction_outside(1e-4);
  while (light * psf_.density(radius) > faintest && radius < 400.0) {
    radius *= 1.15;
  }
  const auto low = [&](double center) { return static_cast<int>(std::ceil(center - radius)); };
  const auto high = [&](double center) {
    return static_cast<int>(std::floor(center + radius)) + 1;
  };
  const Box box =
      Box{low(source.x_pix), high(source.x_pix), low(source.y_pix), high(source.y_pix)}.intersect(
          image.box());
  for (int y = box.y0; y < box.y1; ++y) {
    for (int x = box.x0; x < box.x1; ++x) {
      const double dx = x - source.x_pix;
      const double dy = y - source.y_pix;
      if (dx * dx + dy * dy <= radius * radius) {
        image(y, x) += light * psf_.in_pixel(dx, dy);
      }
    }
  }
}

void SceneRenderer::fill_spectrum(const TrueSource& source, const GalaxyLaw& law, double dx,
                                  double dy, int n) {
  const double angle = source.theta_deg * std::numbers::pi / 180.0;
  const double cosine = std::cos(angle);
  const double sine = std::sin(angle);
  const double minor = source.re_pix * (1.0 - source.ellipticity);
  const auto value = [&](double u, double v) {
    const double along = source.re_pix * (u * cosine + v * sine);
    const double across = minor * (v * cosine - u * sine);
    return law.transform(std::hypot(along, across)) * psf_.transform(std::hypot(u, v)) * sinc(u) *
           sinc(v);
  };
  const auto phase = [&](double u, double v) {
    const double turn = -2.0 * std::numbers::pi * (u * dx + v * dy);
    return std::complex<double>{std::cos(turn), std::sin(turn)};
  };
  grid_.assign(static_cast<std::size_t>(n) * static_cast<std::size_t>(n), {});
  const auto at = [&](int j, int i) -> std::complex<double>& {
    return grid_[static_cast<std::size_t>(j) * static_cast<std::size_t>(n) +
                 static_cast<std::size_t>(i)];
  };
  // The image is real: the other half of the spectrum is the conjugate. Sampling at pixel centres
  // folds frequencies beyond one half back, so the nearest aliases are added.
  for (int j = 0; j < n; ++j) {
    const double v = static_cast<double>(j < n / 2 ? j : j - n) / n;
    const double v_alias = v < 0.0 ? v + 1.0 : v - 1.0;
    for (int i = 0; i <= n / 2; ++i) {
      const double u = static_cast<double>(i) / n;
      const double u_alias = u - 1.0;
      const std::complex<double> sum = value(u, v) * phase(u, v) +
                                       value(u_alias, v) * phase(u_alias, v) +
                                       value(u, v_alias) * phase(u, v_alias);
      at(j, i) = sum;
      if (i > 0 && i < n / 2) {
        at((n - j) % n, n - i) = std::conj(sum);
      }
    }
  }
}

void SceneRenderer::add_galaxy(const TrueSource& source, double light, ImageView<double> image) {
  const GalaxyLaw& law = laws_.try_emplace(source.sersic_n, source.sersic_n).first->second;
  const double reach = law.extent() * source.re_pix + psf_.radius_of_fraction_outside(1e-4);
  int n = 32;
  while (n < 2.0 * reach + 2.0) {
    n *= 2;
  }
  const int x_center = static_cast<int>(std::lround(source.x_pix));
  const int y_center = static_cast<int>(std::lround(source.y_pix));
  fill_spectrum(source, law, source.x_pix - x_center, source.y_pix - y_center, n);
  inverse_fft_2d(grid_, static_cast<std::size_t>(n));
  const double scale = light / (static_cast<double>(n) * n);
  const Box box =
      Box{x_center - n / 2, x_center + n / 2, y_center - n / 2, y_center + n / 2}.intersect(
          image.box());
  for (int y = box.y0; y < box.y1; ++y) {
    const auto row = static_cast<std::size_t>((y - y_center + n) % n) * static_cast<std::size_t>(n);
    for (int x = box.x0; x < box.x1; ++x) {
      const auto column = static_cast<std::size_t>((x - x_center + n) % n);
      image(y, x) += scale * grid_[row + column].real();
    }
  }
}

Image<float> psf_stamp(const Moffat& psf, int side_pix, int oversampling) {
  const int half = (side_pix * oversampling) / 2;
  Image<float> stamp(2 * half + 1, 2 * half + 1);
  for (int y = -half; y <= half; ++y) {
    for (int x = -half; x <= half; ++x) {
      stamp(y + half, x + half) = static_cast<float>(psf.in_pixel(
          static_cast<double>(x) / oversampling, static_cast<double>(y) / oversampling));
    }
  }
  return stamp;
}

}  // namespace skyloom::photometry
