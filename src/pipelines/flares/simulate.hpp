#pragma once
// Sector light curves of known truth: rotating stars with noise, gaps and quality flags, and flares
// drawn from a power law in energy, as files of the SPOC layout. Every number is keyed by star and
// sector: a sector is the same in surveys of all sizes.

#include <cstdint>
#include <filesystem>
#include <string>

namespace skyloom::flares {

/// What to simulate. Zero fields take what `size` says: "tiny" (2 stars, 4 sectors of 6,000
/// cadences), "small" (5 stars, 20 sectors of 20,076) or "full" (40 stars, 200 sectors).
struct SimulationOptions {
  std::filesystem::path folder;
  std::string size = "small";
  std::uint64_t seed = 1;
  int stars = 0;
  int sectors_per_star = 0;
  int cadences = 0;  ///< rows of a sector
  /// alpha of dN / dE ~ E^-alpha, of all stars.
  double slope = 1.8;
};

/// Writes light_curves/sSSSS/<SPOC name>, targets.csv, stars.csv, truth.csv and flares.toml into
/// `options.folder`, which is created. Equal options give equal bytes.
///
/// truth.csv has a row per flare: tic, sector, t_peak [BTJD], amplitude and fwhm_d of the template
/// of Tovar Mendoza et al. (2022), peak (largest excess of a cadence), ed_s (equivalent duration,
/// with the quiet flux as unit), energy_erg (of the star's luminosity), slope, and observed (the
/// cadence of the peak is in the file with good quality). stars.csv has what a star's flares are
/// drawn from.
/// @throws ConfigError for an unknown size
void simulate(const SimulationOptions& options);

}  // namespace skyloom::flares
