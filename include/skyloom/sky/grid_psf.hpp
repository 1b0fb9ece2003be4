#pragma once
// A PSF known as one array per cell of the image: that of the nearest cell, or bilinear between
// cell centres (photometry.md 6.9, 16.13).

#include <memory>
#include <vector>

#include "skyloom/sky/psf.hpp"

namespace skyloom::sky {

struct GridPsfCell {
  double x = 0.0;  ///< centre of the cell, pixels of the image
  double y = 0.0;
  Image<float> samples;  ///< as PsfStamp::values
};

class GridPsf : public Psf {
 public:
  /// @param cells centres lie on a rectangular grid, of which any may be missing
  /// @param oversampling samples per pixel of all arrays
  /// @throws ConfigError without cells, for even sides or arrays of different size
  GridPsf(std::vector<GridPsfCell> cells, int oversampling, bool interpolate);

  /// Between centres the weights of missing cells go to the others; beyond the outermost centres
  /// the array is held.
  [[nodiscard]] PsfStamp at(double x, double y) const override;
  [[nodiscard]] bool is_constant() const override { return cells_.size() == 1; }
  /// Of the cell nearest to the middle of all.
  [[nodiscard]] double fwhm_pix() const override;

 private:
  [[nodiscard]] std::size_t nearest(double x, double y) const;

  std::vector<GridPsfCell> cells_;
  int oversampling_;
  bool interpolate_;
  std::vector<double> columns_;  ///< centres, ascending
  std::vector<double> rows_;
  std::vector<int> cell_at_;  ///< (row, column); -1 = missing
};

}  // namespace skyloom::sky
