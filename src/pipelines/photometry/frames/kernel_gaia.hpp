#pragma once
// Completes the source catalogue with Gaia stars (photometry.md 5): which stars count, which source
// is which star, fluxes that the catalogue lacks, and stars that it lacks. Pure.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/core/table.hpp"

namespace skyloom::photometry::frames {

/// Stars of the Gaia table, every list equally long.
struct GaiaStars {
  std::vector<std::string> id;
  std::vector<double> ra_deg;
  std::vector<double> dec_deg;
  std::vector<double> x_pix;  ///< white frame; NaN = not on the sky of this image
  std::vector<double> y_pix;
  std::vector<std::uint8_t> saturated;    ///< next to saturated pixels
  std::vector<std::vector<double>> mags;  ///< per band: synthetic AB magnitude, NaN = unknown

  [[nodiscard]] std::size_t size() const { return id.size(); }
};

struct GaiaOptions {
  std::vector<std::string> bands;
  Box image;  ///< white frame
  double zp_ref = 25.0;
  double match_radius_arcsec = 3.0;
  int min_box_size_pix = 3000;
  bool inject = true;
};

/// Smallest square of at least `min_side_pix` around the active positions, shifted into the image
/// and cut to it; around the centre of the image when none is active.
/// @param x (n,) pixels   @param y (n,)   @param active (n,) 0 = does not count
Box gaia_box(std::span<const double> x, std::span<const double> y,
             std::span<const std::uint8_t> active, const Box& image, int min_side_pix);

/// Angle between two directions along the great circle; good to rounding at any size.
double separation_deg(double ra1_deg, double dec1_deg, double ra2_deg, double dec2_deg);

/// Index of the nearest star on the sky for every position, Table::npos beyond the radius or where
/// a coordinate is not finite; the first of equally near ones. O((n + m) log m) for positions
/// spread over the sky.
std::vector<std::size_t> nearest_on_sky(std::span<const double> ra_deg,
                                        std::span<const double> dec_deg,
                                        std::span<const double> star_ra_deg,
                                        std::span<const double> star_dec_deg, double radius_arcsec);

/// Scaled flux of a magnitude.
double flux_of_mag(double mag, double zp_ref);

/// gaia_box() of the sources that are not excluded and lie in the image.
/// @param sources with the columns of /sources
Box selection_box(const Table& sources, const GaiaOptions& options);

/// Named stars inside the box, each name once.
std::vector<std::size_t> stars_in(const GaiaStars& stars, const Box& box);

/// The sources with `gaia_source_id` filled, missing or zero FLUX_<band> of matched rows replaced
/// by synthetic fluxes, and unmatched stars that are not saturated as new rows at the end.
/// @param sources with the columns of /sources, gaia_source_id still empty
Table with_gaia(Table sources, const GaiaStars& stars, const GaiaOptions& options);

}  // namespace skyloom::photometry::frames
