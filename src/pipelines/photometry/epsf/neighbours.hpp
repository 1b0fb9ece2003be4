#pragma once
// What surrounds and spoils the stars: light of other star-like objects, deviant pixels, deviant
// stars.

#include <vector>

#include "pipelines/photometry/epsf/joint_fit.hpp"
#include "pipelines/photometry/epsf/stars.hpp"

namespace skyloom::photometry::epsf {

/// FWHM of the pixel-integrated core as the radii of this stage count it.
[[nodiscard]] double effective_fwhm_pix(const sky::FieldPsfModel& model);

/// Amplitudes of all star-like detections at fixed positions (stars of the set use their fit), and
/// from them `Star::neighbours` of every star.
void subtract_neighbours(const sky::FieldPsf& psf, double sigma_sky, Selection& selection);

/// Marks pixels that no model within its error can explain.
/// @param outer_error of the model outside 1.5 FWHM; large, since a wing that the model lacks must
///   not be clipped
/// @return fraction of the unmasked pixels that are clipped
double clip_pixels(const sky::FieldPsf& psf, std::vector<Star>& stars, double gain,
                   double outer_error);

/// chi^2 per pixel inside 1.5 FWHM of every used core star, with a model error of 1 %.
void measure_core_chi2(const sky::FieldPsf& psf, std::vector<Star>& stars, double gain);

/// Marks stars whose core does not fit, and wing stars with ghosts or trails.
/// @return number of newly rejected stars
int reject_by_chi2(const sky::FieldPsf& psf, std::vector<Star>& stars, double gain);

}  // namespace skyloom::photometry::epsf
