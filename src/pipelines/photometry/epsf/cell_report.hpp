#pragma once
// What both kinds of builder report about the array of a cell.

#include "pipelines/photometry/epsf/frame.hpp"
#include "pipelines/photometry/epsf/kernel.hpp"

namespace skyloom::photometry::epsf {

/// Growth curve, radii of 50, 80 and 90 % of the light (first whole pixel that reaches the share of
/// the array's total), edge and extremes of cell.epsf, which must not be empty.
void describe_array(const Options& options, CellResult& cell);

/// Block means over good pixels. @param mask 1 = bad @param background empty = none
[[nodiscard]] CellPicture cell_picture(ImageView<const float> raw,
                                       ImageView<const std::uint8_t> mask,
                                       ImageView<const float> background);

/// Unsubtracted pixels of the first used stars of every cell, so many that the image does not give
/// more than save_star_montage_max_image; cutout_size on a side, NaN where bad
/// or outside the image. The background is the mesh at the star and the sky fitted with it.
/// @param stars in the order of the product
[[nodiscard]] std::vector<StarCutout> star_cutouts(const Band& band, const Options& options,
                                                   const std::vector<StarRow>& stars);

}  // namespace skyloom::photometry::epsf
