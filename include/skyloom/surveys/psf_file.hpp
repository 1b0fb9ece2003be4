#pragma once
// Files that hold a PSF: PSFEx models (coefficients in header cards or in columns) and FITS stamps.

#include <memory>
#include <string>

#include "skyloom/sky/psf.hpp"

namespace skyloom::surveys {

/// Reads a PSFEx model (a table with the column PSF_MASK) or a 2-D image of odd sides whose centre
/// is the centre of the PSF (card OVERSAMP = samples per pixel, 1 when absent; divided by its sum).
/// @param x_origin_pix,y_origin_pix 0-based position of the image's first pixel in the frame that
/// the
///   PSFEx model was made on
/// @throws ConfigError naming the file
std::shared_ptr<const sky::Psf> load_psf(const std::string& path, double x_origin_pix,
                                         double y_origin_pix);

}  // namespace skyloom::surveys
