#pragma once
// The two methods of the Gaussian convolution that work on whole images; see gaussian.hpp.

#include <memory>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/numerics/gaussian.hpp"

#include "gaussian_lanes.hpp"

namespace skyloom::numerics {

/// exp(-k^2 / (2 sigma^2)) at k = -radius .. radius, sum 1.
std::vector<double> gaussian_weights(double sigma, int radius);

/// Separable sums: along x a row at a time into a band of rows, along y from the band.
class DirectGaussian {
 public:
  DirectGaussian(double sigma, int radius, const lanes::GaussianKernels& kernels);
  void convolve(ImageView<const float> in, PixelOrigin in_origin, ImageView<float> out,
                PixelOrigin out_origin);

 private:
  void fill_row(ImageView<const float> in, int in_y, int shift, int columns, float* out);

  const lanes::GaussianKernels* kernels_;
  int radius_;
  std::vector<float> weights_;
  std::vector<float> chunked_;  ///< with zeros around every chunk, for tiles of several rows
  std::vector<float> row_;
  std::vector<float> band_;
  std::vector<float> tile_;
};

/// Lines of one length through FFTW and the transform of the kernel, `lanes` lines at a time.
class FftLines {
 public:
  /// @param samples of a line that may hold light or be asked for, together
  /// @param measured let FFTW try its plans: faster, and other last bits from run to run
  FftLines(double sigma, int radius, int samples, int lanes, bool measured);
  ~FftLines();
  FftLines(const FftLines&) = delete;
  FftLines& operator=(const FftLines&) = delete;

  /// Sample i of line l at buffer()[i * lanes + l]; all of length() * lanes floats are read.
  [[nodiscard]] float* buffer();
  [[nodiscard]] int length() const { return length_; }
  [[nodiscard]] int samples() const { return samples_; }
  void convolve();

 private:
  struct Plans;
  int samples_;
  int length_;
  int lanes_;
  std::vector<float> transform_;  ///< of the kernel, over the length
  std::unique_ptr<Plans> plans_;
};

/// Rows, then bundles of columns.
class FftGaussian {
 public:
  FftGaussian(double sigma, int radius, bool measured = false)
      : sigma_(sigma), radius_(radius), measured_(measured) {}
  void convolve(ImageView<const float> in, PixelOrigin in_origin, ImageView<float> out,
                PixelOrigin out_origin);

 private:
  double sigma_;
  int radius_;
  bool measured_;
  std::unique_ptr<FftLines> rows_;
  std::unique_ptr<FftLines> columns_;
  std::vector<float> between_;
};

}  // namespace skyloom::numerics
