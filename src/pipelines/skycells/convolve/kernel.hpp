#pragma once
// One convolved skycell from what `combine` left of it and its neighbours: which zones of which
// cells count, the coarse convolution, full resolution, and which pixels have no value. Every value
// is a fixed expression of the cells around it: how a row is split into units cannot be seen.

#include <span>
#include <vector>

#include "pipelines/skycells/combine/kernel_zones.hpp"
#include "skyloom/core/image.hpp"
#include "skyloom/numerics/multirate.hpp"

namespace skyloom::skycells {

/// How rows treat their rims.
struct RimRules {
  /// The left overlap of every cell but that of column `first_column` is dropped even without a
  /// left neighbour.
  bool strict_slots = false;
  int first_column = 0;
  /// The uppermost `edge` rows of a row without a row above have no value.
  bool void_top = false;
  numerics::MissingData missing = numerics::MissingData::zero;
  double min_weight = 0.1;  ///< of normalise
};

/// What there is around cell (x, y).
struct Surroundings {
  int x = 0;
  int y = 0;
  /// Present cells of rows y - 1, y, y + 1 in the order of (y, x), the cell itself among them; at
  /// least those of columns x - 1 .. x + 1.
  std::vector<const CombinedCell*> cells;
  bool row_below = false;  ///< row y - 1 has any present cell, near or far
  bool row_above = false;
};

class ConvolvedCell {
 public:
  /// @param gaussian must outlive this object
  /// @throws std::invalid_argument the cell itself is not there; normalise without weights
  ConvolvedCell(const numerics::MultirateGaussian& gaussian, const CellGeometry& geometry,
                const RimRules& rules, const Surroundings& around);

  /// The coarse product: everything that full resolution is made of.
  [[nodiscard]] const Image<float>& nodes() const { return light_.nodes; }
  [[nodiscard]] numerics::NodeRange node_rows() const { return node_rows_; }
  [[nodiscard]] numerics::NodeRange node_columns() const { return node_columns_; }
  /// Pixels of the assembled row, in the cell's rectangle, that have no value.
  [[nodiscard]] const MissingBits& missing() const { return missing_; }

  /// Full resolution, rows first .. first + out.height() - 1 of the cell; NaN where there is no
  /// value. Blocks of any height give the same bytes.
  void rows(int first, ImageView<float> out) const;

 private:
  struct Channel {
    Image<float> nodes;
    std::vector<numerics::NodeInterpolation> interpolation;  ///< none or one
  };
  Channel convolve(const numerics::MultirateGaussian& gaussian, const Surroundings& around,
                   std::vector<Patch> CombinedCell::*channel) const;
  void restore_missing(const Surroundings& around);

  CellGeometry geometry_;
  RimRules rules_;
  int x0_;  ///< first pixel in the projection
  int y0_;
  numerics::NodeRange node_rows_;
  numerics::NodeRange node_columns_;
  Channel light_;
  Channel weight_;
  MissingBits missing_;
};

}  // namespace skyloom::skycells
