#include "skyloom/sky/psf.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include "skyloom/core/errors.hpp"

namespace skyloom::sky {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kFwhmPerSigma = 2.3548200450309493;

class StampPsf final : public Psf {
 public:
  StampPsf(PsfStamp stamp, double fwhm_pix) : stamp_(std::move(stamp)), fwhm_pix_(fwhm_pix) {}

  [[nodiscard]] PsfStamp at(double, double) const override { return stamp_; }
  [[nodiscard]] bool is_constant() const override { return true; }
  [[nodiscard]] double fwhm_pix() const override { return fwhm_pix_; }

 private:
  PsfStamp stamp_;
  double fwhm_pix_;
};

double sum_of(const Image<float>& values) {
  double sum = 0.0;
  for (const float value : values.pixels()) {
    sum += static_cast<double>(value);
  }
  return sum;
}

/// Side of an odd stamp that holds `radius` image pixels on either side of its centre.
int stamp_side(int radius, int oversampling) {
  const int side = oversampling * (2 * radius + 1);
  return side % 2 == 0 ? side + 1 : side;
}

/// Samples profile(r) of a radius in image pixels.
template <class Profile>
Image<float> sampled(int radius, int oversampling, Profile profile) {
  const int side = stamp_side(radius, oversampling);
  const int half = side / 2;
  Image<float> out(side, side);
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      const double dx = static_cast<double>(x - half) / oversampling;
      const double dy = static_cast<double>(y - half) / oversampling;
      out(y, x) = static_cast<float>(profile(dx, dy));
    }
  }
  return out;
}

int whole_radius(double radius_pix, const char* what) {
  if (!(radius_pix > 0.0) || radius_pix > 10000.0) {
    throw ConfigError(what, "a stamp radius of " + std::to_string(radius_pix) + " pixels",
                      "a radius above 0");
  }
  return static_cast<int>(std::ceil(radius_pix));
}

/// Weights of the two nearest samples on either side (Keys 1981, a = -1/2).
std::array<double, 4> cubic_weights(double t) {
  const double u = 1.0 - t;
  return {-0.5 * t * u * u, 1.0 + t * t * (1.5 * t - 2.5), 1.0 + u * u * (1.5 * u - 2.5),
          -0.5 * u * t * t};
}

/// Bicubic interpolation, 0 outside.
double interpolated(const Image<float>& image, double x, double y) {
  const int column = static_cast<int>(std::floor(x));
  const int row = static_cast<int>(std::floor(y));
  const auto wx = cubic_weights(x - column);
  const auto wy = cubic_weights(y - row);
  double sum = 0.0;
  for (int j = 0; j < 4; ++j) {
    for (int i = 0; i < 4; ++i) {
      const int at_x = column - 1 + i;
      const int at_y = row - 1 + j;
      if (image.box().contains(at_x, at_y)) {
        sum += wx[static_cast<std::size_t>(i)] * wy[static_cast<std::size_t>(j)] *
               static_cast<double>(image(at_y, at_x));
      }
    }
  }
  return sum;
}

double azimuthal_mean(const Image<float>& image, double radius) {
  constexpr int kAngles = 64;
  const int centre_x = (image.width() - 1) / 2;
  const int centre_y = (image.height() - 1) / 2;
  double sum = 0.0;
  for (int i = 0; i < kAngles; ++i) {
    const double angle = 2.0 * std::numbers::pi * i / kAngles;
    sum += interpolated(image, centre_x + radius * std::cos(angle),
                        centre_y + radius * std::sin(angle));
  }
  return sum / kAngles;
}

double lanczos3(double t) {
  constexpr double kLobes = 3.0;
  if (std::abs(t) < 1e-12) {
    return 1.0;
  }
  if (std::abs(t) >= kLobes) {
    return 0.0;
  }
  const double a = std::numbers::pi * t;
  return std::sin(a) / a * std::sin(a / kLobes) / (a / kLobes);
}

/// Row i holds the weights of `samples` model samples for output pixel i - half.
std::vector<double> resampling_weights(int samples, int half, double step) {
  const int centre = samples / 2;
  std::vector<double> weights;
  for (int pixel = -half; pixel <= half; ++pixel) {
    const double at = centre + pixel / step;
    double sum = 0.0;
    const std::size_t begin = weights.size();
    for (int sample = 0; sample < samples; ++sample) {
      weights.push_back(lanczos3(sample - at));
    }
    const int low = static_cast<int>(std::floor(at)) - 2;
    for (int sample = low; sample < low + 6; ++sample) {
      sum += lanczos3(sample - at);
    }
    for (std::size_t i = begin; i < weights.size(); ++i) {
      weights[i] /= sum;
    }
  }
  return weights;
}

/// Model sampled every `step` pixels -> one sample per pixel, with the same sum.
Image<float> resampled(const Image<float>& model, double step) {
  const int centre_x = model.width() / 2;
  const int centre_y = model.height() / 2;
  const int half_x = static_cast<int>(std::floor(centre_x * step));
  const int half_y = static_cast<int>(std::floor(centre_y * step));
  const auto wx = resampling_weights(model.width(), half_x, step);
  const auto wy = resampling_weights(model.height(), half_y, step);
  const auto columns = static_cast<std::size_t>(2 * half_x + 1);
  const auto rows = static_cast<std::size_t>(2 * half_y + 1);
  const auto width = static_cast<std::size_t>(model.width());
  const auto height = static_cast<std::size_t>(model.height());
  std::vector<double> narrow(height * columns, 0.0);
  for (std::size_t y = 0; y < height; ++y) {
    const auto row = model.view().row(static_cast<int>(y));
    for (std::size_t x = 0; x < columns; ++x) {
      for (std::size_t i = 0; i < width; ++i) {
        narrow[y * columns + x] += wx[x * width + i] * static_cast<double>(row[i]);
      }
    }
  }
  std::vector<double> small(rows * columns, 0.0);
  double sum = 0.0;
  for (std::size_t y = 0; y < rows; ++y) {
    for (std::size_t x = 0; x < columns; ++x) {
      for (std::size_t j = 0; j < height; ++j) {
        small[y * columns + x] += wy[y * height + j] * narrow[j * columns + x];
      }
      sum += small[y * columns + x];
    }
  }
  // What sticks out of the last whole pixel and the ripple of the kernel must not change fluxes.
  const double scale = sum != 0.0 ? sum_of(model) / sum : 1.0;
  Image<float> out(static_cast<int>(columns), static_cast<int>(rows));
  std::transform(small.begin(), small.end(), out.pixels().begin(),
                 [scale](double value) { return static_cast<float>(scale * value); });
  return out;
}

class PsfexPsf final : public Psf {
 public:
  PsfexPsf(PsfexModel model, double x_origin_pix, double y_origin_pix)
      : model_(std::move(model)), x_origin_pix_(x_origin_pix), y_origin_pix_(y_origin_pix) {
    fwhm_pix_ = model_.fwhm_pix > 0.0 ? model_.fwhm_pix
                                      : measured_fwhm_pix(at(model_.x_zero - 1.0 - x_origin_pix_,
                                                             model_.y_zero - 1.0 - y_origin_pix_));
  }

  [[nodiscard]] PsfStamp at(double x, double y) const override {
    const double u = (x + x_origin_pix_ + 1.0 - model_.x_zero) / model_.x_scale;
    const double v = (y + y_origin_pix_ + 1.0 - model_.y_zero) / model_.y_scale;
    const Image<float>& first = model_.planes.front();
    std::vector<double> sum(first.pixels().size(), 0.0);
    std::size_t plane = 0;
    double v_power = 1.0;
    for (int k = 0; k <= model_.degree; ++k) {
      double term = v_power;
      for (int j = 0; j + k <= model_.degree; ++j) {
        const auto values = model_.planes[plane++].pixels();
        for (std::size_t i = 0; i < sum.size(); ++i) {
          sum[i] += term * static_cast<double>(values[i]);
        }
        term *= u;
      }
      v_power *= v;
    }
    Image<float> values(first.width(), first.height());
    std::transform(sum.begin(), sum.end(), values.pixels().begin(),
                   [](double value) { return static_cast<float>(value); });
    constexpr double kSameStep = 1e-6;
    if (std::abs(model_.step_pix - 1.0) > kSameStep) {
      values = resampled(values, model_.step_pix);
    }
    return {std::move(values), 1};
  }

  [[nodiscard]] bool is_constant() const override { return model_.degree == 0; }
  [[nodiscard]] double fwhm_pix() const override { return fwhm_pix_; }

 private:
  PsfexModel model_;
  double x_origin_pix_;
  double y_origin_pix_;
  double fwhm_pix_ = 0.0;
};

void check_odd_square(const Image<float>& image, const char* what) {
  if (image.width() % 2 == 0 || image.width() != image.height()) {
    throw ConfigError(what,
                      "has " + std::to_string(image.width()) + " x " +
                          std::to_string(image.height()) + " samples",
                      "equal odd sides, the centre in the middle");
  }
}

}  // namespace

std::shared_ptr<const Psf> make_stamp_psf(Image<float> values, int oversampling, bool normalise) {
  check_odd_square(values, "PSF stamp");
  if (oversampling < 1) {
    throw ConfigError("PSF stamp", "oversampling " + std::to_string(oversampling), "1 or more");
  }
  for (float& value : values.pixels()) {
    value = std::isfinite(value) ? value : 0.0F;
  }
  const double sum = sum_of(values);
  if (!(sum > 0.0)) {
    throw ConfigError("PSF stamp", "its sum is not positive", "a stamp with light in it");
  }
  if (normalise) {
    const double scale = oversampling * oversampling / sum;
    for (float& value : values.pixels()) {
      value = static_cast<float>(scale * static_cast<double>(value));
    }
  }
  PsfStamp stamp{std::move(values), oversampling};
  const double fwhm = measured_fwhm_pix(stamp);
  return std::make_shared<StampPsf>(std::move(stamp), fwhm);
}

std::shared_ptr<const Psf> make_moffat_psf(double fwhm_pix, double beta, double radius_pix,
                                           int oversampling) {
  if (!(fwhm_pix > 0.0) || !(beta > 1.0) || oversampling < 1) {
    throw ConfigError("Moffat PSF",
                      "fwhm " + std::to_string(fwhm_pix) + " pixels, beta " + std::to_string(beta),
                      "fwhm above 0, beta above 1, oversampling 1 or more");
  }
  const int radius = whole_radius(radius_pix, "Moffat PSF");
  const double alpha = fwhm_pix / (2.0 * std::sqrt(std::pow(2.0, 1.0 / beta) - 1.0));
  const auto profile = [&](double dx, double dy) {
    return std::pow(1.0 + (dx * dx + dy * dy) / (alpha * alpha), -beta);
  };
  // Whatever the oversampling, the samples at whole pixels are those of the native stamp.
  double sum = 0.0;
  for (int y = -radius; y <= radius; ++y) {
    for (int x = -radius; x <= radius; ++x) {
      sum += profile(x, y);
    }
  }
  Image<float> values =
      sampled(radius, oversampling, [&](double dx, double dy) { return profile(dx, dy) / sum; });
  return std::make_shared<StampPsf>(PsfStamp{std::move(values), oversampling}, fwhm_pix);
}

std::shared_ptr<const Psf> make_gaussian_psf(std::vector<double> sigma_pix,
                                             std::vector<double> weight, double radius_pix) {
  bool good = !sigma_pix.empty() && sigma_pix.size() == weight.size();
  double weight_sum = 0.0;
  for (std::size_t i = 0; good && i < sigma_pix.size(); ++i) {
    good = sigma_pix[i] > 0.0 && std::isfinite(weight[i]);
    weight_sum += weight[i];
  }
  if (!good || !(weight_sum > 0.0)) {
    throw ConfigError("Gaussian PSF", "its widths and weights are unusable",
                      "as many widths above 0 as weights, with a positive sum of weights");
  }
  const int radius = whole_radius(radius_pix, "Gaussian PSF");
  std::vector<double> norm;
  for (const double sigma : sigma_pix) {
    // The sum over all pixels, not the integral: it keeps a narrow Gaussian at flux 1.
    double sum = 1.0;
    for (int x = 1; x <= std::ceil(9.0 * sigma); ++x) {
      sum += 2.0 * std::exp(-0.5 * x * x / (sigma * sigma));
    }
    norm.push_back(1.0 / (sum * sum * weight_sum));
  }
  Image<float> values = sampled(radius, 1, [&](double dx, double dy) {
    double sum = 0.0;
    for (std::size_t i = 0; i < norm.size(); ++i) {
      sum += weight[i] * norm[i] *
             std::exp(-0.5 * (dx * dx + dy * dy) / (sigma_pix[i] * sigma_pix[i]));
    }
    return sum;
  });
  PsfStamp stamp{std::move(values), 1};
  const double fwhm =
      sigma_pix.size() == 1 ? kFwhmPerSigma * sigma_pix[0] : measured_fwhm_pix(stamp);
  return std::make_shared<StampPsf>(std::move(stamp), fwhm);
}

std::shared_ptr<const Psf> make_psfex_psf(PsfexModel model, double x_origin_pix,
                                          double y_origin_pix) {
  const std::string expected = std::to_string((model.degree + 1) * (model.degree + 2) / 2);
  if (model.degree < 0 || std::to_string(model.planes.size()) != expected) {
    throw ConfigError(
        "PSFEx model",
        std::to_string(model.planes.size()) + " planes for degree " + std::to_string(model.degree),
        expected);
  }
  for (const Image<float>& plane : model.planes) {
    check_odd_square(plane, "PSFEx model");
    if (plane.width() != model.planes.front().width()) {
      throw ConfigError("PSFEx model", "its planes differ in size", "planes of one size");
    }
  }
  const bool scales = model.x_scale != 0.0 && model.y_scale != 0.0 && model.step_pix > 0.0;
  if (!scales) {
    throw ConfigError("PSFEx model", "a scale or its sampling step is 0",
                      "POLSCAL other than 0, PSF_SAMP above 0");
  }
  return std::make_shared<PsfexPsf>(std::move(model), x_origin_pix, y_origin_pix);
}

double measured_fwhm_pix(const PsfStamp& stamp) {
  const Image<float>& values = stamp.values;
  if (values.empty()) {
    return kNan;
  }
  const double centre = static_cast<double>(values(values.height() / 2, values.width() / 2));
  if (!(centre > 0.0)) {
    return kNan;
  }
  constexpr double kStep = 0.05;
  double before = centre;
  const int edge = values.width() / 2;
  for (int i = 1; i * kStep <= edge; ++i) {
    const double mean = azimuthal_mean(values, i * kStep);
    if (mean <= 0.5 * centre) {
      const double part = (before - 0.5 * centre) / (before - mean);
      return 2.0 * (i - 1 + part) * kStep / stamp.oversampling;
    }
    before = mean;
  }
  return kNan;
}

}  // namespace skyloom::sky
