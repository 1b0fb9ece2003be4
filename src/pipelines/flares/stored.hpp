#pragma once
// The light curves and flares that `detect` stored, as later stages read them: sector by sector,
// never a whole table of cadences.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "skyloom/core/table.hpp"
#include "skyloom/engine/products.hpp"

namespace skyloom::flares {

/// A row of /sectors of `detect`, and where its cadences and flares stand.
struct StoredSector {
  std::size_t row = 0;  ///< of /sectors
  std::int64_t tic = 0;
  int sector = 0;
  std::string key;                ///< "TIC/SECTOR"
  std::size_t first_cadence = 0;  ///< row of /lc
  std::size_t cadences = 0;
  std::size_t predicted = 0;    ///< cadences with a window
  std::size_t first_flare = 0;  ///< row of /flares
  std::size_t flares = 0;
  double teff_k = 0.0;
  double radius = 0.0;  ///< in solar radii
  double cadence_d = 0.0;
  double gap_threshold_d = 0.0;
  double span_d = 0.0;           ///< from the first to the last cadence
  double median_flux = 0.0;      ///< [e-/s]
  double median_flux_err = 0.0;  ///< [e-/s]
};

/// Those that were searched, in the order of /sectors.
std::vector<StoredSector> stored_sectors(const engine::Products& products);

/// Cadences of all of them together: rows of /lc.
std::size_t stored_cadences(const std::vector<StoredSector>& sectors);

/// Columns of /lc of one sector, all of one length.
struct StoredLightCurve {
  std::vector<double> time;      ///< BTJD [d]
  std::vector<double> flux;      ///< [e-/s]
  std::vector<double> flux_err;  ///< [e-/s], NaN = unknown
  std::vector<double> probability;
  std::vector<std::uint8_t> predicted;
  std::vector<std::uint8_t> flare;  ///< flare_mask
  /// j: gap between cadences j and j + 1 (steps of at least gap_threshold_d).
  std::vector<int> gaps;
};

StoredLightCurve stored_light_curve(const engine::Products& products, const StoredSector& sector);

}  // namespace skyloom::flares
