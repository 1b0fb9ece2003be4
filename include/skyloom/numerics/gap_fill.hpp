#pragma once
// Smooth interpolation of missing samples of an image.

#include "skyloom/core/image.hpp"

namespace skyloom::numerics {

/// Replaces missing (NaN) samples inside the convex hull of the others by the surface of least
/// bending energy, the sum of f_xx^2 + 2 f_xy^2 + f_yy^2 in finite differences over the hull: the
/// discrete thin-plate spline, whose section along a line is a cubic. Exact for linear images.
/// Samples outside the hull stay NaN; with fewer than three present samples nothing changes.
void fill_gaps(Image<double>& image);

/// Replaces what is still missing by the nearest present sample (the first in row order of equally
/// near ones).
void fill_nearest(Image<double>& image);

}  // namespace skyloom::numerics
