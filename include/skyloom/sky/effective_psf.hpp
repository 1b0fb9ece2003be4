#pragma once
// The iterated effective PSF of Anderson & King (2000, PASP 112, 1360): the stars' samples, each at
// its own sub-pixel phase, are stacked on a grid, smoothed and recentred, and the stars are fitted
// with the result, in turns (photometry.md 6.9).

#include <vector>

#include "skyloom/core/image.hpp"

namespace skyloom::sky {

/// One star. Both images have the same odd or even size.
struct StarStamp {
  Image<double> data;    ///< (y, x) flux per pixel without background; NaN = missing
  Image<double> weight;  ///< inverse variance; 0 = missing
  double x = 0.0;        ///< centre in stamp pixels
  double y = 0.0;
};

struct AndersonKingOptions {
  int oversamp = 1;  ///< samples per pixel of the grid
  int max_rounds = 30;
  bool clip = true;          ///< sigma clip over the stars, node by node
  int recenter_boxsize = 9;  ///< pixels, odd
};

struct FittedStar {
  double x = 0.0;  ///< centre in stamp pixels
  double y = 0.0;
  double flux = 0.0;    ///< of the grid's norm: light within 5.5 pixels
  double chi2 = 0.0;    ///< per good pixel of the 5 x 5 box
  bool failed = false;  ///< the last fit failed, or an earlier one after round 3
};

/// Grid of (2 half + 1)^2 samples of the effective PSF: the light of one image pixel as a function
/// of the offset of its centre from the star, `oversamp` samples per pixel, the middle one at
/// offset 0. Light within 5.5 pixels is 1.
struct EffectivePsf {
  Image<double> grid;
  int oversamp = 1;
  int rounds = 0;
  bool converged = false;  ///< every centre moved by less than 1e-3 pixel in the last round
  std::vector<FittedStar> stars;
};

/// @param stamps all of one square size of at least 7 pixels
/// @throws UnitError (not_converged) when all fits fail, (numerical) when the grid has no light
[[nodiscard]] EffectivePsf build_effective_psf(const std::vector<StarStamp>& stamps,
                                               const AndersonKingOptions& options);

/// Model of a star on its stamp.
[[nodiscard]] Image<double> star_model(const EffectivePsf& psf, const FittedStar& star, int size);

/// Central square of `size_pix` pixels at the grid's sampling, odd sides, padded with 0 where the
/// grid is smaller, not finite values 0.
[[nodiscard]] Image<double> central_square(const EffectivePsf& psf, int size_pix);

/// Replaces what lies beyond the radius where the azimuthal mean is significant by a Moffat tail (a
/// power law far out) fitted to the rings inside it, so that noise in the wings does not enter the
/// normalisation (photometry.md 16.13; epsf.md 9, "AK+").
struct WingFit {
  double radius_pix = 0.0;  ///< replaced beyond it; 0 = nothing was replaced
  double slope = 0.0;       ///< far out light per area falls as r to this power
};
WingFit replace_wing(Image<double>& psf, int oversamp);

/// The 5 x 5 smoothing kernel: least-squares fit of a quartic, evaluated at the middle.
[[nodiscard]] const Image<double>& quartic_kernel();

/// Convolution with the kernel, edges reflected about the outer side of the outermost samples.
[[nodiscard]] Image<double> quartic_smoothed(const Image<double>& image);

/// Sum over pixels within `radius` samples of (x, y), each with the share of its area inside.
[[nodiscard]] double circle_sum(const Image<double>& image, double x, double y, double radius);

}  // namespace skyloom::sky
