#pragma once
// Cores of saturated stars: an effective PSF from fainter stars of the same cell is fitted to the
// wings of each, and its model takes the place of the core.

#include <cstdint>
#include <span>
#include <vector>

#include "pipelines/skycells/combine/kernel_saturation.hpp"
#include "skyloom/core/image.hpp"

namespace skyloom::skycells {

struct CoreOptions {
  double psf_from_mag = 13.5;  ///< RP of stars that the PSF is made of: above this
  double psf_to_mag = 17.0;    ///< and below this
  double replace_mag = 14.0;   ///< stars of RP up to this are replaced
  /// Pixels brighter than the central one of a star of this magnitude are.
  double level_mag = 15.0;
  int stamp_pix = 51;  ///< odd
  int oversampling = 2;
  int rounds = 3;
  std::size_t most_psf_stars = 200;  ///< the brightest ones
};

struct ReplacedCores {
  int psf_stars = 0;
  int fitted = 0;                  ///< stars with a fit
  int pixels = 0;                  ///< replaced
  double peak_psf = 0.0;           ///< largest share of a star's light in one pixel
  std::vector<std::size_t> stars;  ///< of the catalogue, whose cores were replaced
};

/// Clears kSaturatedBit everywhere, replaces cores, and sets the bit where it did.
///
/// The PSF is the iterated effective one (sky/effective_psf.hpp), normalised to its light within
/// the stamp, from stars whose stamps lie inside the cell, have all pixels within 5 pixels of the
/// centre, unmasked, and no other star of the catalogue in them that is at most 2.5 mag fainter.
/// With t = 10^(0.4 (25 - level_mag)) times its largest value, the model flux times PSF plus a
/// constant is fitted by least squares (Levenberg-Marquardt, equal weights) to the finite unmasked
/// pixels below t of every bright star's stamp, brightest star first. Pixels of the stamp above t,
/// and those without a value where the model is above t, become the model, unless another star of
/// at least level_mag is nearer.
///
/// Stamps of bright stars are cut at the cell's edges, and stars outside of the cell count as long
/// as their stamps reach it: a cell needs no pixels of its neighbours.
/// A cell with fewer than 3 stars for the PSF keeps its pixels.
/// @param image counts per second, zero point 25; NaN = no value   @param mask bits of PS1
[[nodiscard]] ReplacedCores replace_cores(std::span<const CatalogueStar> stars,
                                          const CoreOptions& options, ImageView<float> image,
                                          ImageView<std::uint16_t> mask);

}  // namespace skyloom::skycells
