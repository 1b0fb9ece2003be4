#pragma once
// What a combined skycell leaves behind for the convolution of its own row and of the rows above
// and below: its light on the coarse grid, kept apart by zones of rows and columns, and which of
// its pixels have no value. A cell knows nothing of its neighbours; `convolve` takes the zones that
// ownership gives it, so a cell that turns out unreadable is a cell that is not there.
//
// Coarse nodes are numbered over the projection: cell (x, y) has its first pixel at
// (x (width - overlap), y (height - overlap)) of the projection's frame.

#include <cstdint>
#include <span>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/numerics/multirate.hpp"

namespace skyloom::skycells {

/// Lengths in pixels, the same for all cells of a projection.
struct CellGeometry {
  int width = 0;
  int height = 0;
  int overlap = 480;  ///< that neighbours share
  int edge = 10;      ///< outermost pixels that a neighbour's are preferred to
  int pad = 480;      ///< around a row

  [[nodiscard]] int step_x() const { return width - overlap; }
  [[nodiscard]] int step_y() const { return height - overlap; }
  friend bool operator==(const CellGeometry&, const CellGeometry&) = default;
};

/// Rows of a cell by what they are for. `middle` always counts in the own row, `bottom` and
/// `pad_bottom` where there is no row below, `top` and `pad_top` where there is none above; `down`
/// and `up` are what the rows below and above see of this cell.
enum class RowZone : std::uint8_t { pad_bottom, bottom, middle, top, pad_top, down, up };
/// Columns: `middle` always, `left` and `pad_left` without a left neighbour, `right` and
/// `pad_right` without a right one.
enum class ColumnZone : std::uint8_t { pad_left, left, middle, right, pad_right };

/// Half-open range of pixels of the cell.
struct PixelRange {
  int first = 0;
  int last = 0;

  [[nodiscard]] bool contains(int pixel) const { return pixel >= first && pixel < last; }
  friend bool operator==(const PixelRange&, const PixelRange&) = default;
};

PixelRange rows_of(RowZone zone, const CellGeometry& geometry);
PixelRange columns_of(ColumnZone zone, const CellGeometry& geometry);

/// Rows whose missing pixels the row of cells below (low) or above (high) shows as its outermost.
PixelRange low_rim(const CellGeometry& geometry);
PixelRange high_rim(const CellGeometry& geometry);

/// Sides of a cell that pixels of other projections fill, `pad` pixels beyond the cell.
struct PaddedSides {
  bool left = false;
  bool right = false;
  bool bottom = false;
  bool top = false;
};

/// Light of one zone on the nodes that it reaches.
struct Patch {
  RowZone row_zone = RowZone::middle;
  ColumnZone column_zone = ColumnZone::middle;
  numerics::NodeRange rows;  ///< of the projection
  numerics::NodeRange columns;
  Image<float> nodes;
};

/// One bit per pixel, 1 where there is no value; rows begin in new words. All rows of a cell, or
/// those that its neighbours need.
class MissingBits {
 public:
  MissingBits() = default;
  MissingBits(int width, int height, int first_row = 0)
      : words_((width + 63) / 64),
        first_row_(first_row),
        bits_(static_cast<std::size_t>(words_) * static_cast<std::size_t>(height), 0) {}

  [[nodiscard]] int words() const { return words_; }
  [[nodiscard]] std::span<std::uint64_t> row(int y) {
    return std::span(bits_).subspan(static_cast<std::size_t>((y - first_row_) * words_),
                                    static_cast<std::size_t>(words_));
  }
  [[nodiscard]] std::span<const std::uint64_t> row(int y) const {
    return std::span(bits_).subspan(static_cast<std::size_t>((y - first_row_) * words_),
                                    static_cast<std::size_t>(words_));
  }
  [[nodiscard]] std::span<const std::uint64_t> all() const { return bits_; }

 private:
  int words_ = 0;
  int first_row_ = 0;
  std::vector<std::uint64_t> bits_;
};

struct CombinedCell {
  int x = 0;  ///< column and row in the projection
  int y = 0;
  std::vector<Patch> light;
  std::vector<Patch> weight;  ///< of 1 where there is a value; empty unless asked for
  MissingBits missing;        ///< of the cell's own rectangle
  std::int64_t missing_pixels = 0;
};

/// Takes the rows of one combined cell and adds them to its zones.
class CellDecimation {
 public:
  /// @param gaussian must outlive this object   @param with_weight make the patches of `weight` too
  /// @throws std::invalid_argument zones of this geometry overlap: expected width and height above
  ///   2 * (overlap + edge), edge <= overlap, no length below 0
  CellDecimation(const numerics::MultirateGaussian& gaussian, const CellGeometry& geometry, int x,
                 int y, PaddedSides padded, bool with_weight);

  /// Columns of a row: -pad .. width + pad where the sides are padded, else 0 .. width.
  [[nodiscard]] PixelRange columns() const { return columns_; }
  /// Rows to add, the same way.
  [[nodiscard]] PixelRange rows() const { return rows_; }
  /// Every row of rows() once, ascending. NaN is a pixel without a value.
  void add_row(int row, std::span<const float> values);
  /// The result; nothing can be added afterwards.
  CombinedCell finish();

 private:
  struct Sums {
    RowZone row_zone;
    ColumnZone column_zone;
    numerics::NodeRange rows;
    numerics::NodeRange columns;
    Image<double> nodes;
  };
  void add_zones(int row, std::vector<Sums>& zones);
  static std::vector<Patch> rounded(std::vector<Sums>& zones);

  const numerics::MultirateGaussian* gaussian_;
  CellGeometry geometry_;
  PixelRange columns_;
  PixelRange rows_;
  bool with_weight_;
  CombinedCell cell_;
  std::vector<Sums> light_;
  std::vector<Sums> weight_;
  std::vector<float> finite_;    ///< one row, 0 where there is no value
  std::vector<float> zone_row_;  ///< one zone of it between zeros
  std::vector<float> decimated_;
};

}  // namespace skyloom::skycells
