#pragma once
// The PSF stars of one cell in the report.

#include <cstddef>
#include <string>
#include <vector>

#include "pipelines/photometry/report_parts.hpp"

namespace skyloom::photometry {

/// Image and cell of a row of /cells.
std::string cell_label(const ReportInput& input, std::size_t cell);

/// Rows of /cells that are shown: of every band of the shown fields the one with most stars.
std::vector<std::size_t> shown_cells(const ReportInput& input);

/// Those of some rows of /star_stamps that are part of the PSF.
std::vector<std::size_t> used_ones(const Table& stamps, const std::vector<std::size_t>& rows);

/// Histogram of residual over noise of the stars in `rows` of a table like /star_stamps.
std::vector<web::Block> residual_histogram(const ReportInput& input, const Table& stamps,
                                           const std::vector<std::size_t>& rows, std::size_t cell);

/// Stars on the image of their cell, backgrounds, montages and residuals, from what the stage epsf
/// kept, else from the images.
void draw_stars(const ReportInput& input, std::size_t cell, SectionWriter& section);

}  // namespace skyloom::photometry
