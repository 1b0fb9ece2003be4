#pragma once
// The flare network over a whole light curve. A window is 200 consecutive samples; windows overlap,
// so that an activation is computed once for all of them, and only the zero padding at the borders
// of a window costs something per window. The convolutions follow the series without strides
// (dilated after each pool); the dense layer is a correlation along time, done by overlap-save FFTs
// of 256 samples per residue of the cadence modulo 4, with channels as vector lanes.
//
// Samples are relative flux minus 1, and pooled activations are stored relative to those of a flat
// light curve: this keeps single precision within 2e-5 of double in probability. Values depend on
// the samples of their window and of the FFT block, which is anchored at the start of the light
// curve, never on how the work was cut.

#include <span>
#include <vector>

#include "skyloom/numerics/window_network.hpp"

namespace skyloom::flares {

using numerics::WindowNetwork;

namespace lanes {
template <class Real>
struct Kernels;
}

/// Buffers that are kept from one light curve to the next.
template <class Real>
struct NetworkWorkspace {
  std::vector<Real> samples;   ///< y between zeros
  std::vector<Real> pooled;    ///< (n, 64) second pool relative to a flat curve
  std::vector<Real> hidden;    ///< (windows, 32) before the ReLU of the dense layer
  std::vector<Real> right;     ///< (windows, 32) of it, the part of positions 48 and 49
  std::vector<Real> block;     ///< convolutions of one block of cadences
  std::vector<Real> spectra;   ///< of a group of FFT blocks
  std::vector<Real> products;  ///< the same after the dense weights
};

/// A network prepared for evaluation in `Real`: float, or double as the reference of tests.
template <class Real>
class Network {
 public:
  explicit Network(const WindowNetwork& weights);
  /// The same on loops of a chosen instruction set, which must outlive it.
  Network(const WindowNetwork& weights, const lanes::Kernels<Real>& use);

  /// Logits of all windows of a series.
  /// @param y relative flux - 1, finite
  /// @return element i belongs to the window of samples i .. i + 199; empty below 200 samples
  [[nodiscard]] std::vector<double> logits(std::span<const Real> y,
                                           NetworkWorkspace<Real>& work) const;

  /// The same with plain sums instead of transforms: for pieces of a light curve. A window's value
  /// does not depend on the piece.
  [[nodiscard]] std::vector<double> direct_logits(std::span<const Real> y,
                                                  NetworkWorkspace<Real>& work) const;

  /// Logit of one window, layer by layer. @param y 200 samples of relative flux - 1
  [[nodiscard]] double window_logit(std::span<const Real> y) const;

  /// Longest first kernel that shares activations between windows; with a longer one logits() are
  /// those of window_logit().
  static constexpr int kSharedTaps = 9;

 private:
  template <class>
  friend class TrialNetwork;  // re-evaluates windows from the activations of a light curve

  [[nodiscard]] bool add_borders(std::span<const Real> y, NetworkWorkspace<Real>& work) const;
  [[nodiscard]] std::vector<double> outputs(std::span<const Real> hidden) const;
  void convolve_block(int start, int count, NetworkWorkspace<Real>& work) const;
  void add_left_border(int start, int count, NetworkWorkspace<Real>& work) const;
  void add_right_border(int start, int first, int count, NetworkWorkspace<Real>& work) const;
  void add_interior(int count, NetworkWorkspace<Real>& work) const;
  [[nodiscard]] double output_of(const Real* hidden) const;

  const lanes::Kernels<Real>* use_;
  int taps_;
  std::vector<Real> first_;  // (taps, 16)
  std::vector<Real>
      position_bias_;              // (200, 16): bias and flat-curve part of the taps in the window
  std::vector<Real> second_;       // (3, 16, 64)
  std::vector<Real> border_;       // (32, 128): two border positions in, two out
  std::vector<Real> second_bias_;  // (64)
  std::vector<Real> flat_;         // (64): pooled second convolution of a flat curve
  std::vector<Real> dense_;        // (3200, 32)
  std::vector<Real> dense_bias_;   // (32)
  std::vector<Real> shared_bias_;  // (32): with the flat activations of the interior positions
  std::vector<Real> spectrum_;     // (129, 64, 2, 32): transform of the interior dense rows
  std::vector<double> output_;     // (32)
  double output_bias_;
};

/// 1 / (1 + exp(-logit)).
double probability(double logit);

/// The instruction set single precision runs on ("avx512", "avx2", "portable"), for reports.
const char* instruction_set();

}  // namespace skyloom::flares
