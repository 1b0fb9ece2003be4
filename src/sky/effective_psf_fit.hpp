#pragma once
// Flux and position of one star with a gridded effective PSF.

#include "skyloom/numerics/bicubic_spline.hpp"
#include "skyloom/sky/effective_psf.hpp"

namespace skyloom::sky {

/// The grid of an effective PSF, ready for interpolation.
struct GridModel {
  const numerics::BicubicSpline& spline;
  int centre = 0;  ///< sample at offset 0
  int oversamp = 1;
};

/// Least squares with the stamp's weights over the 5 x 5 pixels around `start` in flux, x and y
/// (Levenberg-Marquardt; bicubic interpolation of the grid). `failed` when the box leaves the
/// stamp, fewer than four of its pixels are good, the star leaves the box, the flux is not positive
/// or the iteration does not converge; all else is then unset.
[[nodiscard]] FittedStar fit_star(const StarStamp& stamp, const FittedStar& start,
                                  const GridModel& model);

}  // namespace skyloom::sky
