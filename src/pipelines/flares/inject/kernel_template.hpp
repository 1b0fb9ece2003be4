#pragma once
// Shapes of a flare in units of its peak and duration: x = (t - t_peak) / duration.

namespace skyloom::flares {

enum class FlareTemplate { mendoza2022, davenport2014 };

/// Continuous template of Tovar Mendoza et al. (2022, AJ 164, 17), eq. 5 with its median
/// parameters: a Gaussian convolved with two exponential decays. The peak is 0.95015 at x =
/// -0.0025, the half-maximum width 1.086. @return 0 below x = -6, where it is smaller than 1e-250
double mendoza2022(double x);

/// Template of Davenport et al. (2014, ApJ 797, 122): polynomial rise from x = -1, two exponential
/// decays; the unit of x is the duration at half maximum of the authors' light curve.
double davenport2014(double x);

double flare_shape(FlareTemplate shape, double x);
/// Integral over x: equivalent duration of a flare of amplitude 1 and duration 1.
double flare_area(FlareTemplate shape);

}  // namespace skyloom::flares
