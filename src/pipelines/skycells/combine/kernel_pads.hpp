#pragma once
// Pixels of other projections beyond the sides of a cell and on its rim, so that light does not end
// where a projection ends. All cells are gnomonic images, so a pixel of one grid is a pixel of
// another by a homography: no lattice and no approximation. The value of a pixel depends on its
// place alone, not on the rows or windows that are asked for.

#include <array>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "skyloom/core/image.hpp"

namespace skyloom::skycells {

/// Pixel grid of a gnomonic image with the celestial pole at native longitude 180 degrees.
struct GnomonicGrid {
  std::array<double, 2> crval_deg{};
  std::array<double, 2> crpix{};  ///< 1-based
  std::array<double, 4> cd{};     ///< degrees per pixel, row-major, not singular
};

struct PixelPosition {
  double x = 0.0;
  double y = 0.0;
};

/// 0-based pixels of one grid to 0-based pixels of another (Calabretta & Greisen 2002, A&A 395,
/// 1077, section 5.1.3, written as rotations of unit vectors).
class GridMapping {
 public:
  GridMapping(const GnomonicGrid& from, const GnomonicGrid& to);
  /// NaN for directions more than 90 degrees from the other tangent point.
  [[nodiscard]] PixelPosition operator()(double x, double y) const {
    const double t = h_[6] * x + h_[7] * y + h_[8];
    if (!(t > 0.0)) {
      constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
      return {kNone, kNone};
    }
    return {(h_[0] * x + h_[1] * y + h_[2]) / t, (h_[3] * x + h_[4] * y + h_[5]) / t};
  }

 private:
  std::array<double, 9> h_{};  ///< row-major
};

/// Combined pixels of another cell.
class PadPixels {
 public:
  PadPixels() = default;
  PadPixels(const PadPixels&) = delete;
  PadPixels& operator=(const PadPixels&) = delete;
  virtual ~PadPixels() = default;
  /// The pixels inside the box, which lies in the cell; NaN is no value. Empty: there are none.
  virtual Image<float> read(const Box& box) = 0;
};

/// One source that fills a window.
struct CellPad {
  Box window;  ///< pixels of the padded cell; may lie outside of it
  GridMapping to_source;
  Box usable;  ///< pixels of the source that count: all but its outermost ones
  PadPixels* source = nullptr;
};

/// Value of an image at a position, bilinear between the four pixels around it, in double.
/// Positions within 1e-6 of a pixel are on it, and pixels without weight do not count; NaN where
/// one that counts has no value or lies outside.
/// @param origin the image's pixel (0, 0) is pixel (origin.x0, origin.y0) of the position's grid
float bilinear(ImageView<const float> image, const Box& origin, PixelPosition at);

/// Rows of a cell with its paddings, in ascending order. Sources are read in pieces of bounded
/// size.
class PadRows {
 public:
  /// @param pads in the order of application: a later one wins where both have a value
  /// @param columns first and one past the last column of all rows, pixels of the cell
  PadRows(std::vector<CellPad> pads, int first_column, int last_column);

  /// Writes what the paddings have over a row.
  /// @param values the cell's columns first_column .. last_column - 1; NaN outside of the cell
  void extend(int row, std::span<float> values);

 private:
  static constexpr int kRows = 256;      ///< of an overlay
  static constexpr int kColumns = 2048;  ///< of a piece of a source
  void fill(int first_row);
  void fill_piece(const CellPad& pad, const Box& piece);

  std::vector<CellPad> pads_;
  int first_column_;
  int first_row_;         ///< of the overlay
  Image<float> overlay_;  ///< NaN where no padding has a value
};

}  // namespace skyloom::skycells
