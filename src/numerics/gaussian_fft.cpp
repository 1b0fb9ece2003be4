#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include <fftw3.h>

#include "gaussian_methods.hpp"

namespace skyloom::numerics {

namespace {

/// The next length that FFTW transforms fast: many factors of two, and of the others 3 and 5 alone.
int fast_length(int at_least) {
  constexpr int kGroup = 64;
  for (int n = (at_least + kGroup - 1) / kGroup * kGroup;; n += kGroup) {
    int rest = n;
    for (const int factor : {2, 3, 5}) {
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
  std::ptrdiff_t pitch = 0;
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

FftLines::FftLines(double sigma, int radius, int samples, bool measured)
    : samples_(samples), length_(fast_length(samples + radius)), plans_(std::make_unique<Plans>()) {
  const std::vector<double> weight = gaussian_weights(sigma, radius);
  std::vector<double> cosine(static_cast<std::size_t>(length_));
  for (int i = 0; i < length_; ++i) {
    cosine[static_cast<std::size_t>(i)] = std::cos(2.0 * std::numbers::pi * i / length_);
  }
  for (int f = 0; f <= length_ / 2; ++f) {
    double sum = 0.0;
    int phase = static_cast<int>(static_cast<std::int64_t>(f) * radius % length_);
    for (int k = radius; k > 0; --k) {
      sum += 2.0 * weight[static_cast<std::size_t>(radius + k)] *
             cosine[static_cast<std::size_t>(phase)];
      phase = phase >= f ? phase - f : phase - f + length_;
    }
    transform_.push_back(
        static_cast<float>((sum + weight[static_cast<std::size_t>(radius)]) / length_));
  }
  // Lines a multiple of a large power of two apart would share sets of the cache.
  plans_->pitch = length_ + 16;
  const std::size_t floats = static_cast<std::size_t>(plans_->pitch) * kLines;
  plans_->samples = fftwf_alloc_real(floats);
  plans_->spectrum = fftwf_alloc_complex(static_cast<std::size_t>(length_ / 2 + 1));
  if (plans_->samples == nullptr || plans_->spectrum == nullptr) {
    throw std::bad_alloc();
  }
  const unsigned effort = measured ? FFTW_MEASURE : FFTW_ESTIMATE;
  plans_->forward = fftwf_plan_dft_r2c_1d(length_, plans_->samples, plans_->spectrum, effort);
  plans_->back = fftwf_plan_dft_c2r_1d(length_, plans_->spectrum, plans_->samples, effort);
  if (plans_->forward == nullptr || plans_->back == nullptr) {
    throw std::runtime_error("FFTW has no plan for lines of " + std::to_string(length_));
  }
  std::fill(plans_->samples, plans_->samples + floats, 0.0F);
}

FftLines::~FftLines() = default;

float* FftLines::line(int l) {
  return plans_->samples + plans_->pitch * l;
}

void FftLines::convolve(int l) {
  fftwf_execute_dft_r2c(plans_->forward, line(l), plans_->spectrum);
  for (int f = 0; f <= length_ / 2; ++f) {
    plans_->spectrum[f][0] *= transform_[static_cast<std::size_t>(f)];
    plans_->spectrum[f][1] *= transform_[static_cast<std::size_t>(f)];
  }
  fftwf_execute_dft_c2r(plans_->back, plans_->spectrum, line(l));
}

void FftGaussian::convolve(ImageView<const float> in, PixelOrigin in_origin, ImageView<float> out,
                           PixelOrigin out_origin) {
  // Lines span input and output; what wraps around then stays beyond both.
  const int x0 = std::min(in_origin.x, out_origin.x);
  const int y0 = std::min(in_origin.y, out_origin.y);
  const int nx = std::max(in_origin.x + in.width(), out_origin.x + out.width()) - x0;
  const int ny = std::max(in_origin.y + in.height(), out_origin.y + out.height()) - y0;
  if (!rows_ || rows_->samples() != nx) {
    rows_ = std::make_unique<FftLines>(sigma_, radius_, nx, measured_);
  }
  if (!columns_ || columns_->samples() != ny) {
    columns_ = std::make_unique<FftLines>(sigma_, radius_, ny, measured_);
  }
  Image<float> between(out.width(), in.height());
  float* line = rows_->line(0);
  for (int y = 0; y < in.height(); ++y) {
    std::fill(line, line + rows_->length(), 0.0F);
    std::copy(in.row(y).begin(), in.row(y).end(), line + (in_origin.x - x0));
    rows_->convolve(0);
    const float* from = line + (out_origin.x - x0);
    std::copy(from, from + out.width(), between.view().row(y).begin());
  }
  for (int x = 0; x < out.width(); x += FftLines::kLines) {
    const int count = std::min(FftLines::kLines, out.width() - x);
    for (int l = 0; l < count; ++l) {
      std::fill(columns_->line(l), columns_->line(l) + columns_->length(), 0.0F);
    }
    float* lines = columns_->line(0);
    const std::ptrdiff_t pitch = columns_->line(1) - lines;
    const float* from = between.pixels().data() + x;
    float* begin = lines + (in_origin.y - y0);
    for (int y = 0; y < in.height(); ++y, from += out.width()) {
      for (int l = 0; l < count; ++l) {
        begin[l * pitch + y] = from[l];
      }
    }
    for (int l = 0; l < count; ++l) {
      columns_->convolve(l);
    }
    const float* result = lines + (out_origin.y - y0);
    float* to = out.data() + x;
    for (int y = 0; y < out.height(); ++y, to += out.stride()) {
      for (int l = 0; l < count; ++l) {
        to[l] = result[l * pitch + y];
      }
    }
  }
}

}  // namespace skyloom::numerics
