#pragma once
// Which pixels of a cell are its own when every pixel of the sky is to be stored once: where cells
// overlap, the right one of two in a row and the upper one of two rows have all but their outermost
// pixels.

#include <span>
#include <vector>

#include "pipelines/skycells/combine/kernel_zones.hpp"

namespace skyloom::skycells {

/// Which of the neighbours of a cell are there: [1 + dy][1 + dx].
struct Neighbours {
  bool present[3][3] = {};

  [[nodiscard]] bool at(int dx, int dy) const { return present[1 + dy][1 + dx]; }
};

class OwnedPixels {
 public:
  OwnedPixels(const CellGeometry& geometry, const Neighbours& around);

  [[nodiscard]] bool owns(int row, int column) const {
    const auto x = static_cast<std::size_t>(column);
    return columns_.contains(column) && !(row < lower_ && below_[x]) &&
           !(row >= upper_ && above_[x]);
  }
  /// NaN where another cell has the pixel.
  void clear_others(int row, std::span<float> values) const;
  /// The same in a map of missing pixels.
  void mark_others(int row, std::span<std::uint64_t> bits) const;

 private:
  PixelRange columns_;
  int lower_;
  int upper_;
  std::vector<bool> below_;  ///< columns that the row below covers
  std::vector<bool> above_;
};

}  // namespace skyloom::skycells
