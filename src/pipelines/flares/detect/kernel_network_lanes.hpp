#pragma once
// Private to the flare network: its heavy loops, compiled for several instruction sets.

#include <cstddef>

namespace skyloom::flares::lanes {

inline constexpr int kTransform = 256;            ///< samples of an FFT
inline constexpr int kHalf = kTransform / 2 + 1;  ///< frequencies whose weights are stored
inline constexpr int kInterior = 46;              ///< positions 2 .. 47 of the dense layer
inline constexpr int kUseful = kTransform - kInterior + 1;  ///< valid outputs of an FFT block
inline constexpr int kGroup = 12;  ///< transforms whose spectra are held at once

/// A pair of residues of a series: its sample j is data[j * stride + channel] + i data[j * stride +
/// step + channel]; the real parts have `reals` samples, the imaginary parts `imaginaries`.
template <class Real>
struct Series {
  Real* data;
  std::ptrdiff_t stride;
  std::ptrdiff_t step;
  int reals;
  int imaginaries;
};

/// All matrices are row-major; "ld" is a leading dimension.
template <class Real>
struct Kernels {
  const char* name;
  int tile_rows;  ///< rows that `gathered` takes at once
  /// c (+)= a * b: a (rows, depth), b (depth, columns), c (rows, columns); columns a multiple
  /// of 32.
  void (*multiply)(const Real* a, std::ptrdiff_t lda, const Real* b, int rows, int depth,
                   int columns, Real* c, bool add);
  /// out(i, .) = relu(bias + sum over t < taps of y[i + t] * kernel(t, .)), 16 columns.
  void (*first_layer)(const Real* y, const Real* kernel, int taps, const Real* bias, int rows,
                      Real* out, std::ptrdiff_t ldo);
  /// out = relu(((bias + a) + b) + c), 64 columns; b and c may be null.
  void (*rectified)(const Real* bias, const Real* a, std::ptrdiff_t lda, const Real* b,
                    const Real* c, int rows, Real* out);
  /// out = max(a, b) - offset; columns a multiple of 16, offset (columns) may be null.
  void (*larger)(const Real* a, std::ptrdiff_t lda, const Real* b, std::ptrdiff_t ldb,
                 const Real* offset, int rows, int columns, Real* out, std::ptrdiff_t ldo);
  /// Transforms 64 channels of 256 samples, zeros beyond the series, into rows 2 * slot (frequency
  /// f) and 2 * slot + 1 (conjugate of frequency 256 - f) of spectra (129, 2 * kGroup, 2, 64).
  void (*forward)(const Series<const Real>& series, int slot, const Real* twiddle,
                  const int* frequency, Real* spectra);
  /// out (129, 2 * kGroup, 2, 32) = spectra * weights (129, 64, 2, 32) for the first `slots` slots.
  void (*product)(const Real* spectra, const Real* weights, int slots, Real* out);
  /// Adds the first 211 samples of the inverse transform of a slot to a series of 32 channels.
  void (*inverse)(const Real* spectra, int slot, const Real* twiddle, const int* frequency,
                  const Series<Real>& hidden);
  /// out = relu(bias + max(row of a, next row of a)) - flat - quiet, 64 columns; a has a row more.
  void (*changed)(const Real* a, const Real* bias, const Real* flat, const Real* quiet,
                  std::ptrdiff_t ldq, int rows, Real* out);
  /// Sum of |a| * b over rows and columns; columns a multiple of 16.
  double (*bounded)(const Real* a, std::ptrdiff_t lda, const Real* b, std::ptrdiff_t ldb, int rows,
                    int columns);
  /// out[r] (32) += sum over p of inputs[p * tile_rows + r] (64) * weights(p, 64, 32), the p in
  /// ascending order.
  void (*gathered)(const Real* const* inputs, int positions, const Real* weights, Real* const* out);
};

/// The widest this machine runs; double always in its portable form.
template <class Real>
const Kernels<Real>& best();

/// The named one ("portable", "avx2", "avx512"), nullptr where the machine cannot run it.
const Kernels<float>* kernels(const char* name);

}  // namespace skyloom::flares::lanes
