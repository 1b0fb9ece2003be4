#pragma once
// What is reported about a finished PSF, per band and per cell.

#include "pipelines/photometry/epsf/kernel.hpp"
#include "pipelines/photometry/epsf/stars.hpp"

namespace skyloom::photometry::epsf {

/// Fills the part of the diagnostics that follows from the PSF and its stars: residual statistics,
/// chi^2, shape scatter, aperture cross-check, light outside.
void diagnose(const sky::FieldPsf& psf, const std::vector<Star>& stars, double gain,
              const Options& options, Diagnostics& diagnostics);

/// Says which diagnostics of a result are outside what is good.
void add_warnings(const Options& options, Result& result);

/// One result per cell, in the order of the input. @param psf may be null
[[nodiscard]] std::vector<CellResult> describe_cells(const sky::FieldPsf* psf, const Band& band,
                                                     const Options& options,
                                                     const Selection& selection);

}  // namespace skyloom::photometry::epsf
