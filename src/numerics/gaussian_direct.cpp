#include <algorithm>
#include <cmath>
#include <cstring>

#include "gaussian_methods.hpp"

namespace skyloom::numerics {

namespace {

constexpr int kBandRows = 128;

std::size_t floats(int rows, int columns) {
  return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
}

}  // namespace

std::vector<double> gaussian_weights(double sigma, int radius) {
  std::vector<double> weight(static_cast<std::size_t>(2 * radius + 1));
  double sum = 0.0;
  // From the ends inwards: small terms first.
  for (int k = radius; k >= 0; --k) {
    const double value = std::exp(-0.5 * (k / sigma) * (k / sigma));
    weight[static_cast<std::size_t>(radius - k)] = value;
    weight[static_cast<std::size_t>(radius + k)] = value;
    sum += k == 0 ? value : 2.0 * value;
  }
  for (double& w : weight) {
    w /= sum;
  }
  return weight;
}

DirectGaussian::DirectGaussian(double sigma, int radius, const lanes::GaussianKernels& kernels)
    : kernels_(&kernels), radius_(radius) {
  for (const double w : gaussian_weights(sigma, radius)) {
    weights_.push_back(static_cast<float>(w));
  }
  constexpr std::size_t kChunk = lanes::kChunk;
  for (std::size_t begin = 0; begin < weights_.size(); begin += kChunk) {
    chunked_.insert(chunked_.end(), lanes::kChunkPad, 0.0F);
    for (std::size_t k = begin; k < begin + kChunk; ++k) {
      chunked_.push_back(k < weights_.size() ? weights_[k] : 0.0F);
    }
    chunked_.insert(chunked_.end(), lanes::kChunkPad, 0.0F);
  }
}

/// One input row convolved along x: out[i] belongs to the column that `shift` places i on.
void DirectGaussian::fill_row(ImageView<const float> in, int in_y, int shift, int columns,
                              float* out) {
  if (in_y < 0 || in_y >= in.height()) {
    std::fill(out, out + columns, 0.0F);
    return;
  }
  // row_[i] is column shift + i - radius of the input.
  const int length = columns + 2 * radius_;
  const int first = std::clamp(radius_ - shift, 0, length);
  const int last = std::clamp(in.width() + radius_ - shift, first, length);
  std::fill(row_.begin(), row_.end(), 0.0F);
  const std::span<const float> from = in.row(in_y);
  std::copy(from.begin() + (first + shift - radius_), from.begin() + (last + shift - radius_),
            row_.begin() + first);
  kernels_->direct_row(row_.data(), weights_.data(), 2 * radius_ + 1, columns, out);
}

void DirectGaussian::convolve(ImageView<const float> in, PixelOrigin in_origin,
                              ImageView<float> out, PixelOrigin out_origin) {
  const int taps = 2 * radius_ + 1;
  const int columns = (out.width() + lanes::kColumnPad - 1) / lanes::kColumnPad * lanes::kColumnPad;
  const int shift = out_origin.x - in_origin.x;
  const int rim = taps - 1;
  row_.assign(static_cast<std::size_t>(columns + taps), 0.0F);
  // One register tile may read past the rim by its own height.
  band_.assign(floats(kBandRows + rim + lanes::kTileRows, columns), 0.0F);
  tile_.resize(floats(lanes::kTileRows, columns));
  const auto band_row = [&](int i) { return band_.data() + floats(i, columns); };
  for (int y0 = 0; y0 < out.height(); y0 += kBandRows) {
    const int rows = std::min(kBandRows, out.height() - y0);
    if (y0 > 0) {
      std::memmove(band_row(0), band_row(kBandRows), floats(rim, columns) * sizeof(float));
    }
    for (int i = y0 == 0 ? 0 : rim; i < rows + rim; ++i) {
      fill_row(in, y0 + i - radius_ + out_origin.y - in_origin.y, shift, columns, band_row(i));
    }
    for (int r = 0; r < rows; r += lanes::kTileRows) {
      kernels_->direct_columns(band_row(r), columns, chunked_.data(), taps, columns, tile_.data(),
                               columns);
      for (int i = r; i < std::min(rows, r + lanes::kTileRows); ++i) {
        const float* from = tile_.data() + floats(i - r, columns);
        std::copy(from, from + out.width(), out.row(y0 + i).begin());
      }
    }
  }
}

}  // namespace skyloom::numerics
