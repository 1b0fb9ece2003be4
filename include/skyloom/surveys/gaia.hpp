#pragma once
// Stars of Gaia: synthetic photometry from XP spectra, with positions and magnitudes in the
// survey's bands, and the magnitudes of Gaia itself.

#include <cstdint>
#include <string>
#include <vector>

#include "skyloom/core/table.hpp"

namespace skyloom::surveys {

/// Reads a GaiaXP table (CSV or FITS). Columns, as far as the file has them: source_id (text),
/// ra, dec (deg), phot_g_mean_mag, mag_<band> of the given bands (mag, float64, NaN = missing).
/// @throws ConfigError naming the file when ra or dec is absent
Table read_gaia(const std::string& path, const std::vector<std::string>& bands);

/// A star with Gaia's magnitudes.
struct GaiaStar {
  std::int64_t source_id = 0;  ///< 0 = none given
  double ra_deg = 0.0;
  double dec_deg = 0.0;
  double g_mag = 0.0;
  double bp_mag = 0.0;  ///< NaN = missing, as of the other bands
  double rp_mag = 0.0;
};

/// Reads a table (CSV or FITS) with the columns ra, dec (deg), phot_g_mean_mag, phot_bp_mean_mag,
/// phot_rp_mean_mag and, if there is one, source_id; stars in the order of the file, without those
/// that have no position.
/// @throws ConfigError naming file and column: one is missing, an identifier is no integer
std::vector<GaiaStar> read_gaia_stars(const std::string& path);

/// Checks that a table of read_gaia serves the zero point as well.
/// @throws ConfigError (path, "GaiaXP CSV missing required column: <name>")
void require_zero_point_columns(const Table& gaia, const std::string& path);

}  // namespace skyloom::surveys
