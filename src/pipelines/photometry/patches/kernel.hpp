#pragma once
// Geometry of the fitting patches (photometry.md 7). Pure.

#include <string>
#include <vector>

#include "skyloom/core/image.hpp"

namespace skyloom::photometry::patches {

struct Patch {
  std::string tag;  ///< rRR_cCC_prRR_pcCC
  int row = 0;      ///< within its cell
  int column = 0;
  Box base;  ///< its sources are reported
  Box roi;   ///< its pixels are fitted: base grown by the halo, inside the image
};

/// Width of the halo: room for half a PSF, at least the configured minimum.
int halo_pix(int final_psf_size, int halo_pix_min);

/// Splits a cell into ngrid x ngrid patches, row by row.
/// @throws ConfigError (epsf.ngrid) when the cell has fewer than ngrid pixels on a side
std::vector<Patch> split_cell(const std::string& cell_tag, const Box& cell, int ngrid, int halo,
                              const Box& image);

/// Which of them, by position in that list, holds a point of the cell.
std::size_t patch_at(const Box& cell, int ngrid, double x, double y);

}  // namespace skyloom::photometry::patches
