#pragma once
// Sums of the pixels of a displaced skycell over the pixels of a detector. A registration map says
// on which detector pixel each pixel of the cell falls; the cell is displaced under it by as many
// pixels as an offset of the detector asks for. Rows of the map are runs of one detector pixel, and
// a run's sum is the difference of two entries of a running sum: a further offset costs little.
//
// Knows no files: rows come from interfaces, in ascending order. 0-based pixels.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "skyloom/core/image.hpp"

namespace skyloom::skycells {

/// Detector pixel y * width + x of each pixel of a cell, below 0 = none.
class MapRows {
 public:
  virtual ~MapRows() = default;
  /// The next row.
  virtual void next(std::span<std::int32_t> pixels) = 0;
};

/// Rows of the convolved cell, as fields: one where displacements are whole pixels, else one per
/// fraction of a pixel.
class PixelRows {
 public:
  virtual ~PixelRows() = default;
  /// Row y of a field; fields come one after the other, y ascends within each.
  /// @param values NaN = none   @param mask bits
  virtual void row(int field, int y, std::span<float> values, std::span<std::uint16_t> mask) = 0;
};

/// The cell moved by (x, y) pixels: map pixel (i, j) takes pixel (i - x, j - y) of a field.
struct Displacement {
  int field = 0;
  int x = 0;
  int y = 0;
};

struct DownsampleInput {
  int width = 0;  ///< of the cell
  int height = 0;
  int detector_width = 0;  ///< pixels of the map's detector in a row, oversampling included
  Box window;              ///< detector pixels that count, oversampling included
  std::uint16_t ignored_bits = 0;
  std::vector<Displacement> offsets;
  std::unique_ptr<MapRows> map;
  std::unique_ptr<PixelRows> pixels;
};

/// Detector pixels in ascending order (y, x), in pixels of the window.
struct DownsampleResult {
  std::vector<std::int32_t> x;
  std::vector<std::int32_t> y;
  std::vector<std::int32_t> count;  ///< pixels of the map
  /// Per offset and detector pixel: sum of the values that exist and have no ignored bit.
  std::vector<std::vector<double>> flux;
  /// Pixels with any mask bit, and those that the displaced cell does not reach.
  std::vector<std::vector<std::int32_t>> masked;
};

/// Memory: the runs of the map (16 bytes each), and rows of running sums, 12 bytes per pixel, as
/// many as the displacements of a field along y span. Sums are formed in double, rows ascending.
DownsampleResult downsample(const DownsampleInput& input);

}  // namespace skyloom::skycells
