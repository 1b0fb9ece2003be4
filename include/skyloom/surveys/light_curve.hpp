#pragma once
// TESS light curves as the SPOC pipeline writes them (`..._lc.fits`, gz or not), as CSV, or as
// NumPy arrays: which star, which sector, and the cadences that are good enough to be searched.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace skyloom::surveys {

/// What the cards say; numbers without a value are NaN.
struct LightCurveHeader {
  std::string path;
  std::int64_t tic = 0;
  int sector = 0;
  int camera = 0;  ///< 0 = not stated
  int ccd = 0;     ///< 0 = not stated
  double ra_deg = 0.0;
  double dec_deg = 0.0;
  double tess_mag = 0.0;
  double teff_k = 0.0;
  double radius = 0.0;  ///< in solar radii
};

/// The kept cadences, columns of one length.
struct LightCurve {
  LightCurveHeader header;
  int file_rows = 0;            ///< rows of the table, dropped ones included
  std::vector<int> row;         ///< 0-based row of the table
  std::vector<int> cadence;     ///< CADENCENO, -1 where the file has none
  std::vector<double> time;     ///< BTJD = BJD - 2457000, strictly increasing [d]
  std::vector<float> flux;      ///< PDCSAP_FLUX, finite [e-/s]
  std::vector<float> flux_err;  ///< [e-/s]; may be NaN
};

/// Bits of QUALITY that drop a cadence by default: attitude tweak, safe mode, coarse point, Earth
/// point, desaturation, manual exclude. Impulsive outliers (512) stay: flares trip that bit.
inline constexpr int kDefaultQualityBits = 175;

struct SectorName {
  std::int64_t tic = 0;
  int sector = 0;
};
/// Star and sector that a file name tells: "...-s0001-0000000142052876-..." as SPOC writes it,
/// TIC_SECTOR.csv or TIC_SECTOR.npy; nullopt for other names.
std::optional<SectorName> sector_of_name(const std::string& path);

/// A file that ends in .csv is text: lines "# NAME = value" with the cards of a SPOC file (TICID
/// and SECTOR may be told by the file name instead), then the columns time_btjd, flux, flux_err and
/// quality. One that ends in .npy is an array (3, cadences) of float64: time, normalised flux and
/// error. @throws ConfigError (file, what is wrong) for a missing file, one without a table
/// LIGHTCURVE, star and sector or the needed columns, and for a cadence other than two minutes
LightCurveHeader read_light_curve_header(const std::string& path);

/// Drops rows without TIME, with a bit of `quality_bits` in QUALITY, or without flux; reads no
/// other columns. @throws ConfigError as above, when the file is truncated, and when the times of
/// the kept rows do not increase
LightCurve read_light_curve(const std::string& path, int quality_bits = kDefaultQualityBits);

}  // namespace skyloom::surveys
