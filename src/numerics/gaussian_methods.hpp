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

/// Separable recursions: the Gaussian as a sum of decaying cosines, each of which is its own past
/// times a constant.
class ExpsumGaussian {
 public:
  /// @param pairs of conjugate exponentials, 4 or 5
  ExpsumGaussian(double sigma, int pairs, const lanes::GaussianKernels& kernels);
  void convolve(ImageView<const float> in, PixelOrigin in_origin, ImageView<float> out,
                PixelOrigin out_origin);

 private:
  /// lines_ of `count` positions in place.
  void filter(int count);

  const lanes::GaussianKernels* kernels_;
  std::vector<lanes::RecursivePair> pairs_;
  std::vector<float> lines_;  ///< (position, line)
  std::vector<double> scratch_;
};

/// Error of the kernel of ExpsumGaussian, as gaussian.hpp states errors, rounding not counted.
double expsum_error(double sigma, int pairs);

/// Lines of one length through FFTW and the transform of the kernel.
class FftLines {
 public:
  static constexpr int kLines = lanes::kLines;

  /// @param samples of a line that may hold light or be asked for, together
  /// @param measured let FFTW try its plans: faster, and other last bits from run to run
  FftLines(double sigma, int radius, int samples, bool measured);
  ~FftLines();
  FftLines(const FftLines&) = delete;
  FftLines& operator=(const FftLines&) = delete;

  /// Buffer l < kLines, of length() samples; 0 after construction.
  [[nodiscard]] float* line(int l);
  [[nodiscard]] int length() const { return length_; }
  [[nodiscard]] int samples() const { return samples_; }
  /// line(l) convolved in place, circular in its length.
  void convolve(int l);

 private:
  struct Plans;
  int samples_;
  int length_;
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
};

}  // namespace skyloom::numerics
