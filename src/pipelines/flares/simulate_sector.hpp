#pragma once
// One simulated star and its sectors: numbers without files.

#include <cstdint>
#include <string>
#include <vector>

#include "skyloom/core/random.hpp"

namespace skyloom::flares {

/// Flux is relative to the quiet median flux.
struct SimulatedStar {
  std::int64_t tic = 0;
  double tess_mag = 0.0;
  double ra_deg = 0.0;
  double dec_deg = 0.0;
  double teff_k = 0.0;
  double radius_sun = 0.0;
  double logg = 0.0;
  double luminosity_erg_s = 0.0;
  double flux = 0.0;            ///< [e-/s]
  double noise = 0.0;           ///< white, of a cadence
  double period_d = 0.0;        ///< of rotation
  double rotation = 0.0;        ///< peak to peak, about
  double slope = 0.0;           ///< alpha of dN / dE ~ E^-alpha
  double least_ed_s = 0.0;      ///< of the smallest flare drawn
  double flares_per_day = 0.0;  ///< above it
};

struct SimulatedFlare {
  double t_peak = 0.0;     ///< BTJD [d]
  double amplitude = 0.0;  ///< of the template
  double fwhm_d = 0.0;
  double ed_s = 0.0;
  double peak = 0.0;      ///< largest excess of a cadence
  bool observed = false;  ///< the cadence nearest to the peak can be used
};

/// Columns of one length, every cadence of the sector.
struct SimulatedSector {
  int sector = 0;
  int camera = 0;
  int ccd = 0;
  std::vector<double> time;  ///< BTJD [d], NaN = not known
  std::vector<int> cadence;
  std::vector<double> flux;  ///< relative, NaN = lost
  std::vector<int> quality;
  std::vector<SimulatedFlare> flares;
};

inline constexpr double kSimulatedCadence_d = 120.0 / 86400.0;

/// Star number `index` of a survey.
SimulatedStar simulated_star(std::uint64_t seed, int index, double slope);

/// Begin of a sector [BTJD], about as the mission had it.
double sector_begin(int sector);

/// @param cadences rows of the sector
SimulatedSector simulated_sector(std::uint64_t seed, const SimulatedStar& star, int sector,
                                 int cadences);

}  // namespace skyloom::flares
