#pragma once
// A simulated tessellation with known truth: two projections that meet, their cells, stars, and the
// pixels of every band as PS1 would store them. Writes nothing. 0-based pixels; fluxes in counts
// per second (zero point 25).
//
// All pixels are functions of their place in the projection, so that cells of a projection agree
// where they overlap, but for the rounding to integers.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/fits.hpp"
#include "skyloom/surveys/skycell.hpp"
#include "skyloom/surveys/skycell_image.hpp"
#include "skyloom/surveys/skycell_rows.hpp"

namespace skyloom::skycells {

/// Cells of a projection: columns x of every row y. Rows and cells may be absent.
using ProjectionLayout = std::map<int, std::vector<int>>;

struct SkyOptions {
  std::uint64_t seed = 1;
  surveys::RowRules rules;
  int cell_width = 0;  ///< 0 = those of RINGS.V3, whose pixels these projections have then
  int cell_height = 0;
  /// Projections and their cells. The second lies to the east of the first (its right side meets
  /// the left side of the first) when their numbers follow each other.
  std::map<int, ProjectionLayout> layouts;
  std::vector<std::string> bands{"r", "i", "z", "y"};
  int stars_per_cell = 60;
  int saturated_per_cell = 1;  ///< of these
  double noise = 0.18;         ///< standard deviation of a pixel
  double extended = 0.0;       ///< amplitude of a smooth light with the wavelength of a cell
  double psf_sigma_pix = 2.0;
};

/// "tiny": 15 cells of 330 x 300 pixels, with absent ones and short rows, whose projections span 4
/// degrees at declination 58 as real ones do and are therefore rotated by 6 degrees against each
/// other. "small": 27 cells of 700 x 680 pixels. "row": ten cells of RINGS.V3 and two of the next
/// projection; "full": three such rows. @throws ConfigError for others
SkyOptions sky_options(const std::string& size, std::uint64_t seed);

struct TrueStar {
  std::string id;
  int projection = 0;  ///< whose cell it was drawn for; it shines on all
  double ra_deg = 0.0;
  double dec_deg = 0.0;
  std::vector<double> flux;  ///< per band
};

struct SimulatedSky {
  SkyOptions options;
  surveys::SkycellList list;  ///< with paddings
  std::vector<TrueStar> stars;
};

/// @throws ConfigError for options that no tessellation fits
SimulatedSky make_sky(const SkyOptions& options);

/// How a file is scaled.
struct PlaneScaling {
  double exptime_s = 0.0;
  surveys::AsinhScaling asinh;
  surveys::StoredIntegers integers;
};

/// One band of one cell.
struct SimulatedPlane {
  PlaneScaling scaling;
  Image<std::int16_t> stored;
  Image<std::uint16_t> mask;
  Image<float> truth;  ///< without noise, holes and saturation
};

/// @param band index into SkyOptions::bands
PlaneScaling plane_scaling(const SimulatedSky& sky, const surveys::Skycell& cell, std::size_t band);
SimulatedPlane draw_plane(const SimulatedSky& sky, const surveys::Skycell& cell, std::size_t band);

/// The cards of a real stack header: old spelling of the PC matrix, no RADESYS. BZERO, BSCALE and
/// BLANK are not among them.
std::vector<io::FitsCard> plane_cards(const SimulatedSky& sky, const surveys::Skycell& cell,
                                      std::size_t band);

/// The metadata CSV, which surveys::read_skycell_list takes.
Table metadata_table(const SimulatedSky& sky);
/// Columns id, projection, ra, dec, flux_<band>.
Table truth_table(const SimulatedSky& sky);

}  // namespace skyloom::skycells
