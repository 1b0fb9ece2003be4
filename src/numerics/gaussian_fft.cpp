#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include <fftw3.h>

#include "gaussian_methods.hpp"

namespace skyloom::numerics {

namespace {

constexpr int kBundle = 16;

/// The next length that FFTW transforms fast: even, no prime factor above 7.
int fast_length(int at_least) {
  for (int n = at_least + at_least % 2;; n += 2) {
    int rest = n;
    for (const int factor : {2, 3, 5, 7}) {
      while (rest % factor == 0) {
        rest /= factor;
      }
    }
    if (rest == 1) {
      return n;
    }
  }
}

}  // namespace

struct FftLines::Plans {
  float* samples = nullptr;
  fftwf_complex* spectrum = nullptr;
  fftwf_plan forward = nullptr;
  fftwf_plan back = nullptr;

  Plans() = default;
  Plans(const Plans&) = delete;
  Plans& operator=(const Plans&) = delete;
  ~Plans() {
    fftwf_destroy_plan(forward);
    fftwf_destroy_plan(back);
    fftwf_free(samples);
    fftwf_free(spectrum);
  }
};

FftLines::FftLines(double sigma, int radius, int samples, int lanes, bool measured)
    : samples_(samples),
      length_(fast_length(samples + radius)),
      lanes_(lanes),
      plans_(std::make_unique<Plans>()) {
  const std::vector<double> weight = gaussian_weights(sigma, radius);
  std::vector<double> cosine(static_cast<std::size_t>(length_));
  for (int i = 0; i < length_; ++i) {
    cosine[static_cast<std::size_t>(i)] = std::cos(2.0 * std::numbers::pi * i / length_);
  }
  for (int f = 0; f <= length_ / 2; ++f) {
    double sum = 0.0;
    std::int64_t phase = static_cast<std::int64_t>(f) * radius % length_;
    for (int k = radius; k > 0; --k) {
      sum += 2.0 * weight[static_cast<std::size_t>(radius + k)] *
             cosine[static_cast<std::size_t>(phase)];
      phase = phase >= f ? phase - f : phase - f + length_;
    }
    transform_.push_back(
        static_cast<float>((sum + weight[static_cast<std::size_t>(radius)]) / length_));
  }
  const std::size_t n = static_cast<std::size_t>(length_) * static_cast<std::size_t>(lanes);
  const std::size_t half =
      static_cast<std::size_t>(length_ / 2 + 1) * static_cast<std::size_t>(lanes);
  plans_->samples = fftwf_alloc_real(n);
  plans_->spectrum = fftwf_alloc_complex(half);
  if (plans_->samples == nullptr || plans_->spectrum == nullptr) {
    throw std::bad_alloc();
  }
  const unsigned effort = measured ? FFTW_MEASURE : FFTW_ESTIMATE;
  plans_->forward = fftwf_plan_many_dft_r2c(1, &length_, lanes, plans_->samples, nullptr, lanes, 1,
                                            plans_->spectrum, nullptr, lanes, 1, effort);
  plans_->back = fftwf_plan_many_dft_c2r(1, &length_, lanes, plans_->spectrum, nullptr, lanes, 1,
                                         plans_->samples, nullptr, lanes, 1, effort);
  if (plans_->forward == nullptr || plans_->back == nullptr) {
    throw std::runtime_error("FFTW has no plan for lines of " + std::to_string(length_));
  }
}

FftLines::~FftLines() = default;

float* FftLines::buffer() {
  return plans_->samples;
}

void FftLines::convolve() {
  fftwf_execute(plans_->forward);
  for (int f = 0; f <= length_ / 2; ++f) {
    float* value = plans_->spectrum[static_cast<std::ptrdiff_t>(f) * lanes_];
    const float factor = transform_[static_cast<std::size_t>(f)];
    for (int l = 0; l < 2 * lanes_; ++l) {
      value[l] *= factor;
    }
  }
  fftwf_execute(plans_->back);
}

void FftGaussian::convolve(ImageView<const float> in, PixelOrigin in_origin, ImageView<float> out,
                           PixelOrigin out_origin) {
  // Lines span input and output; what wraps around then stays beyond both.
  const int x0 = std::min(in_origin.x, out_origin.x);
  const int y0 = std::min(in_origin.y, out_origin.y);
  const int nx = std::max(in_origin.x + in.width(), out_origin.x + out.width()) - x0;
  const int ny = std::max(in_origin.y + in.height(), out_origin.y + out.height()) - y0;
  if (!rows_ || rows_->samples() != nx) {
    rows_ = std::make_unique<FftLines>(sigma_, radius_, nx, 1, measured_);
  }
  if (!columns_ || columns_->samples() != ny) {
    columns_ = std::make_unique<FftLines>(sigma_, radius_, ny, kBundle, measured_);
  }
  const std::size_t pitch =
      static_cast<std::size_t>((out.width() + kBundle - 1) / kBundle * kBundle);
  between_.assign(pitch * static_cast<std::size_t>(in.height()), 0.0F);
  float* line = rows_->buffer();
  for (int y = 0; y < in.height(); ++y) {
    std::fill(line, line + rows_->length(), 0.0F);
    std::copy(in.row(y).begin(), in.row(y).end(), line + (in_origin.x - x0));
    rows_->convolve();
    std::copy(line + (out_origin.x - x0), line + (out_origin.x - x0) + out.width(),
              between_.begin() + static_cast<std::ptrdiff_t>(pitch) * y);
  }
  float* bundle = columns_->buffer();
  const std::ptrdiff_t bundle_size = static_cast<std::ptrdiff_t>(columns_->length()) * kBundle;
  for (int x = 0; x < out.width(); x += kBundle) {
    std::fill(bundle, bundle + bundle_size, 0.0F);
    for (int y = 0; y < in.height(); ++y) {
      const float* from = between_.data() + static_cast<std::ptrdiff_t>(pitch) * y + x;
      std::copy(from, from + kBundle,
                bundle + static_cast<std::ptrdiff_t>(in_origin.y - y0 + y) * kBundle);
    }
    columns_->convolve();
    const int count = std::min(kBundle, out.width() - x);
    for (int y = 0; y < out.height(); ++y) {
      const float* from = bundle + static_cast<std::ptrdiff_t>(out_origin.y - y0 + y) * kBundle;
      std::copy(from, from + count, out.row(y).begin() + x);
    }
  }
}

}  // namespace skyloom::numerics
