#pragma once
// Second pass of the build: with the PSF of the first, catalogued sources near the stars of the set
// are fitted, and what is no star-like detection is subtracted from the stamps.

#include "pipelines/photometry/epsf/stars.hpp"
#include "skyloom/sky/field_psf.hpp"

namespace skyloom::photometry::epsf {

/// Fills Star::galaxies of the used stars. Neighbours that the catalogue calls galaxies are no
/// longer treated as stars.
/// @param psf of the first pass, with stamps of Options::final_psf_size
/// @param gain, sigma_sky as the first pass left them, electrons per flux and flux per pixel
/// @return number of stamps that changed
int subtract_catalogued(const std::shared_ptr<const sky::FieldPsf>& psf, const Input& input,
                        double gain, double sigma_sky, const Options& options,
                        Selection& selection);

}  // namespace skyloom::photometry::epsf
