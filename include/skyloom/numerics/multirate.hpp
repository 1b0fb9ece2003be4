#pragma once
// The parts of the multirate Gaussian (gaussian.hpp has the formulas and the bound), for images
// that never exist as a whole: rows are decimated as they come, contributions to the coarse grid
// are added, and any rectangle is interpolated from the convolved grid. Coarse sample ("node") n
// sits on pixel n D of the common frame. All light is additive, so who decimates what does not
// matter beyond the order in which a caller adds.

#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/numerics/gaussian.hpp"

namespace skyloom::numerics {

namespace lanes {
struct GaussianKernels;
}

/// Nodes first .. first + count - 1 along one axis.
struct NodeRange {
  int first = 0;
  int count = 0;

  [[nodiscard]] int end() const { return first + count; }
  [[nodiscard]] NodeRange grown(int nodes) const { return {first - nodes, count + 2 * nodes}; }
  [[nodiscard]] NodeRange intersect(const NodeRange& other) const;
  friend bool operator==(const NodeRange&, const NodeRange&) = default;
};

class MultirateGaussian {
 public:
  /// @param plan of method multirate
  /// @throws std::invalid_argument another method, or a variant that this machine lacks
  explicit MultirateGaussian(const GaussianPlan& plan, InstructionSet set = best_instructions());

  [[nodiscard]] const GaussianPlan& plan() const { return plan_; }
  /// K: an output pixel of interval q = floor(x / D) is made of nodes q - K .. q + K.
  [[nodiscard]] int half_taps() const { return half_taps_; }
  /// Kc: radius of the coarse kernel in nodes.
  [[nodiscard]] int coarse_radius() const { return static_cast<int>(coarse_.size()) / 2; }

  /// Nodes that pixels [first, last) give light to.
  [[nodiscard]] NodeRange nodes_reached(int first, int last) const;
  /// Nodes that pixels [first, last) of the output are made of.
  [[nodiscard]] NodeRange nodes_needed(int first, int last) const;

  /// Floats that must be readable, finite, and 0 where there is no light, before the first and
  /// after the last pixel of a row.
  [[nodiscard]] int row_margin() const { return 2 * plan_.reach + kTapGroup; }
  /// out[i] = sum over k of g1[k] row(nD - R1 + k) for node n = nodes.first + i.
  /// @param row pixel `first` of the frame; `nodes` within nodes_reached of the pixels
  void decimate_row(const float* row, int first, NodeRange nodes, float* out) const;
  /// Rows of nodes that row y of the frame gives light to.
  [[nodiscard]] NodeRange rows_reached(int y) const { return nodes_reached(y, y + 1); }
  /// patch(m, n) += g1[mD - y] * decimated[n], products exact and sums in double. Rows in ascending
  /// y give the documented bits.
  /// @param rows nodes that the rows of `patch` stand for; those out of reach are left alone
  void add_row(const float* decimated, int y, NodeRange rows, ImageView<double> patch) const;

  /// Weights of nodes q - K .. q + K for pixels qD + p + fraction, phase p by phase, unit sum each:
  /// a row of phases per node.
  /// @param fraction of a pixel, 0 <= fraction < 1
  [[nodiscard]] std::vector<float> interpolation_weights(double fraction) const;

  /// The coarse convolution: x first, then y, sums in double with taps ascending, then rounded.
  /// @param in Kc nodes wider than `out` on every side
  void convolve_nodes(ImageView<const double> in, ImageView<float> out) const;

 private:
  friend class NodeInterpolation;
  static constexpr int kTapGroup = 16;

  GaussianPlan plan_;
  const lanes::GaussianKernels* kernels_;
  int half_taps_;
  std::vector<float> prefilter_;  ///< 2 R1 + 1 taps, then 0 up to whole groups
  std::vector<double> coarse_;    ///< 2 Kc + 1
  int pitch_;                     ///< D rounded up to whole groups
};

/// Output pixels of a range of columns, from a convolved grid: interpolated along x at once
/// (4 bytes times width times rows of nodes), along y as rows are asked for.
class NodeInterpolation {
 public:
  /// @param nodes (rows of nodes, columns of nodes), first node (x, y) = `first`; must hold
  /// nodes_needed of the columns and of every row asked for later
  /// @param x_fraction, y_fraction (0 <= fraction < 1) what is interpolated lies so far beyond the
  ///   centres of the pixels
  NodeInterpolation(const MultirateGaussian& gaussian, ImageView<const float> nodes,
                    PixelOrigin first, int x_first, int width, double x_fraction = 0.0,
                    double y_fraction = 0.0);

  /// out(i, x) = value at (x_first + x + x_fraction, y_first + i + y_fraction) of the frame.
  void rows(int y_first, ImageView<float> out) const;

 private:
  const MultirateGaussian* gaussian_;
  int width_;
  int pitch_;      ///< floats from row to row
  int offset_;     ///< of the first column in a row
  int first_row_;  ///< node of row 0
  std::vector<float> along_y_;
  std::vector<float> lines_;
};

}  // namespace skyloom::numerics
