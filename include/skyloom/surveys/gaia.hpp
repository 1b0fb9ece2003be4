#pragma once
// Synthetic photometry from Gaia XP spectra: positions and magnitudes of stars in the survey's
// bands.

#include <string>
#include <vector>

#include "skyloom/core/table.hpp"

namespace skyloom::surveys {

/// Reads a GaiaXP table (CSV or FITS). Columns, as far as the file has them: source_id (text),
/// ra, dec (deg), phot_g_mean_mag, mag_<band> of the given bands (mag, float64, NaN = missing).
/// @throws ConfigError naming the file when ra or dec is absent
Table read_gaia(const std::string& path, const std::vector<std::string>& bands);

/// Checks that a table of read_gaia serves the zero point as well.
/// @throws ConfigError (path, "GaiaXP CSV missing required column: <name>")
void require_zero_point_columns(const Table& gaia, const std::string& path);

}  // namespace skyloom::surveys
