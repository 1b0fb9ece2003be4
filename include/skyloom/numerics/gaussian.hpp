#pragma once
// Convolution of an image with a two-dimensional Gaussian, in single precision, with an error bound
// that is known before the first pixel is read. Four methods with one meaning:
//
//   direct     separable finite sums. Exact but for rounding; cost grows with sigma.
//   multirate  decimate, convolve the coarse grid, interpolate (multirate.hpp). Cost falls with
//              sigma; needs sigma of at least 5 pixels.
//   fft        whole lines through FFTW. Cost hardly depends on sigma.
//   expsum     recursions along whole lines: the Gaussian as 4 or 5 pairs of conjugate exponentials
//              (Deriche 1993, INRIA RR-1893, for the principle), state in double. Cost does not
//              depend on sigma.
//
// The kernel is exp(-(i^2 + j^2) / (2 sigma^2)) at integer offsets with unit sum; with `radius` it
// is cut at |i|, |j| <= radius before it is normalised. Outside the image there is 0. Pixels are
// placed in an integer frame by an origin, and for direct and multirate every value depends on that
// frame alone: a piece of the output, made from whatever part of the input reaches it, equals the
// same piece of the whole, bit for bit (frames shifted by multiples of the step for multirate).
//
// The bound holds for the kernel: largest error divided by the kernel's peak, and sum of the
// absolute errors (its sum is 1). For an image of one sign it bounds |out - exact| / max |exact|.
//
//   cut      c = exp(-(radius + 1)^2 / (2 sigma^2)) + 4 e,   e = the part of the sum beyond radius
//   direct, fft   c + 5e-7      (the rounding of single precision, here and below, is measured)
//   multirate     8 A + (1 + 2 r) B + c + 4e-7 with s D = sigma of prefilter and interpolation,
//            r = s D / sigma, R1 = floor(T s D):
//            A = exp(-2 pi^2 s^2 (1 - r^2))      aliases of decimation and interpolation
//            B = exp(-(R1 / (s D))^2 / 2)        their cut
//   expsum        max(E (2 + E), S (2 + S)) + c + 2e-7, with E the largest error of the kernel
//   along
//            one axis over its peak and S the sum of its errors, both evaluated for the sigma at
//            hand
//
// 8 A is the sum over two orders, two resamplings and two axes of the aliases of a sampled Gaussian
// (Crochiere & Rabiner 1983, Multirate Digital Signal Processing, chapter 4, for the principle; the
// semigroup of Gaussians, sigma^2 = 2 (s D)^2 + (s2 D)^2, makes it closed). (1 + 2 r) is an
// envelope of measured cuts over all phases, sigma 5 to 200.

#include <cstdint>
#include <memory>

#include "skyloom/core/image.hpp"
#include "skyloom/numerics/instruction_sets.hpp"

namespace skyloom::numerics {

enum class GaussianMethod : std::uint8_t { automatic, direct, fft, multirate, expsum };

struct GaussianRequest {
  double sigma = 0.0;       ///< pixels, > 0
  double tolerance = 1e-6;  ///< largest error, relative as above; at least 6e-7
  int radius = 0;           ///< pixels; 0: the whole Gaussian
  GaussianMethod method = GaussianMethod::automatic;
};

/// What a request comes to. A function of the request alone: the same on every machine.
struct GaussianPlan {
  GaussianMethod method = GaussianMethod::direct;  ///< never automatic
  double sigma = 0.0;
  /// Where direct and fft cut. Multirate and expsum follow the whole Gaussian; of expsum what is
  /// farther away counts less than the bound.
  int radius = 0;
  double error_bound = 0.0;  ///< <= tolerance
  int step = 0;              ///< D: pixels between coarse samples (multirate only, like s and R1)
  double narrow = 0.0;       ///< s: sigma of prefilter and interpolation in units of D
  int reach = 0;             ///< R1: radius of both, pixels
  int pairs = 0;             ///< of exponentials (expsum only)
};

/// Chooses method and parameters. Multirate takes the cheapest step, width and radius that keep the
/// bound; `automatic` takes direct below sigma = 7.5, else multirate, or where a small `radius`
/// makes the cut kernel too different from the whole Gaussian, direct up to radius 64 and fft
/// beyond.
/// @throws std::invalid_argument sigma or tolerance out of range, or the method asked for cannot
/// reach the tolerance
GaussianPlan plan_gaussian(const GaussianRequest& request);

/// Pixel of the common frame at index (0, 0) of an image.
struct PixelOrigin {
  int x = 0;
  int y = 0;
};

/// What to do about pixels without a value.
enum class MissingData : std::uint8_t {
  zero,       ///< they are dark
  normalise,  ///< divide by the convolved map of valid pixels
};

/// A plan ready to run. Keeps buffers and FFTW plans: one object per thread.
class GaussianConvolution {
 public:
  /// @param set variant of the loops; avx2 and avx512 give the same bits, portable has no fused
  /// multiply-add. @throws std::invalid_argument the machine lacks it
  explicit GaussianConvolution(const GaussianPlan& plan, InstructionSet set = best_instructions());
  ~GaussianConvolution();
  GaussianConvolution(GaussianConvolution&&) noexcept;
  GaussianConvolution& operator=(GaussianConvolution&&) noexcept;
  GaussianConvolution(const GaussianConvolution&) = delete;
  GaussianConvolution& operator=(const GaussianConvolution&) = delete;

  [[nodiscard]] const GaussianPlan& plan() const;

  /// out = kernel * in. All pixels of `in` finite; the two must not overlap.
  void operator()(ImageView<const float> in, PixelOrigin in_origin, ImageView<float> out,
                  PixelOrigin out_origin);
  /// The same for images of one frame and size.
  void operator()(ImageView<const float> in, ImageView<float> out) { (*this)(in, {}, out, {}); }

  /// Same size in and out; NaN in `in` is missing and stays NaN. With `normalise`, pixels whose
  /// convolved weight is below `min_weight` (0 < min_weight <= 1) are NaN too, and the error bound
  /// is divided by the weight.
  void with_missing(ImageView<const float> in, ImageView<float> out, MissingData missing,
                    double min_weight);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace skyloom::numerics
