#pragma once
// What the stars say about the detector and the noise, once a first model fits them.

#include <vector>

#include "pipelines/photometry/epsf/stars.hpp"

namespace skyloom::photometry::epsf {

/// Significance (sigma, with sign) of a dependence of the stars' excess size on their flux; 0 when
/// there are too few. A response that is not linear widens (or narrows) bright stars.
[[nodiscard]] double size_flux_significance(const std::vector<Star>& stars);

/// Takes the core stars brighter than 30 % of saturation out of the set, unless fewer than eight
/// would stay. @return number of stars taken out
int drop_brightest(std::vector<Star>& stars, double saturation);

/// Factor by which the variance is wrong, from the cores' chi^2 per pixel: their median when
/// fainter and brighter stars agree that it is far from 1, else 1.
[[nodiscard]] double noise_factor(const std::vector<Star>& stars);

/// Multiplies all sky variances.
void scale_noise(std::vector<Star>& stars, double factor);

}  // namespace skyloom::photometry::epsf
