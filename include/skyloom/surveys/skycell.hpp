#pragma once
// Skycells of the Pan-STARRS1 tessellation RINGS.V3: names, where they are on the sky, and lists of
// them. 0-based pixels; CRPIX are 1-based as in FITS. Opens no image.
//
// Projection p of a ring at declination dec has its tangent point at RA 360 (p - first) / count,
// dec, and is cut into 10 x 10 cells (x, y) on one pixel grid; x grows towards the west, y to the
// north. Neighbours share kOverlap pixels. (Waters et al. 2020, ApJS 251, 4, section 3.3; STScI's
// table ps1grid.fits.)

#include <array>
#include <compare>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace skyloom::surveys {

/// Which skycell; ordered by projection, then row y, then column x.
struct SkycellId {
  int projection = 0;
  int y = 0;
  int x = 0;

  /// "skycell.PPPP.0YX"
  [[nodiscard]] std::string name() const;
  /// "PPPP", four digits at least.
  [[nodiscard]] std::string projection_text() const;
  /// "0YX"
  [[nodiscard]] std::string cell_text() const;
  friend auto operator<=>(const SkycellId&, const SkycellId&) = default;
};

/// Reads "skycell.PPPP.0YX" or "rings.v3.skycell.PPPP.0YX" in any case, and, where the projection
/// is known (above 0), a bare "0YX". Leading zeros of the projection do not count. nullopt for
/// anything else.
std::optional<SkycellId> parse_skycell_name(std::string_view name, int projection = 0);

/// A ring of projections at one declination. All its cells have the same size.
struct TessellationRing {
  int zone;
  int first;  ///< number of its first projection
  int count;
  double dec_deg;  ///< of the tangent points
  double dec_min_deg;
  double dec_max_deg;  ///< declinations it is to be used for
  int width;
  int height;
  double crpix1;  ///< 1-based, of the cell x = 5, y = 5
  double crpix2;
};

/// Pixels that neighbouring cells of RINGS.V3 share, 240 per edge.
inline constexpr int kSkycellOverlap = 480;
/// Cells of a projection per axis.
inline constexpr int kSkycellsPerAxis = 10;
/// Degrees per pixel, as the cards have it: 0.25 arcsec in single precision.
inline constexpr double kSkycellScaleDeg = 6.94444461259988e-05;

/// Native longitude of the celestial pole. FITS says 0 where a header is silent and the tangent
/// point is the pole itself; in PS1 the projection of the pole continues the others (as STScI's
/// position search has it), so that north is up along RA 0.
inline constexpr double kSkycellLonpoleDeg = 180.0;

/// The 31 rings with stacks, projections 635 to 2643, from south to north.
std::span<const TessellationRing> rings_v3();
/// nullptr when no ring has this projection.
const TessellationRing* ring_of_projection(int projection);

enum class PadSide { top, bottom, left, right, top_left, top_right, bottom_left, bottom_right };
inline constexpr std::array<std::string_view, 8> kPadSideNames = {
    "top", "bottom", "left", "right", "top_left", "top_right", "bottom_left", "bottom_right"};

/// Cells of another projection that fill one side of a cell, in the order of application.
struct SkycellPad {
  PadSide side = PadSide::top;
  std::vector<SkycellId> sources;

  friend bool operator==(const SkycellPad&, const SkycellPad&) = default;
};

/// A cell with its gnomonic WCS.
struct Skycell {
  SkycellId id;
  int line = 0;  ///< position in the list it came from: the order in which paddings are applied
  int width = 0;
  int height = 0;
  double ra_deg = 0.0;  ///< centre
  double dec_deg = 0.0;
  std::array<double, 2> crval_deg{};
  std::array<double, 2> crpix{};
  /// Degrees per pixel, row-major: CD, or CDELT times PC.
  std::array<double, 4> cd{};
  std::string radesys = "FK5";
  std::vector<SkycellPad> pads;  ///< in the order of PadSide

  /// Header of its image for sky::Wcs, 80 characters per card.
  [[nodiscard]] std::string wcs_cards() const;
};

/// A cell of the tessellation itself, from the ring table. @throws ConfigError naming the cell when
/// RINGS.V3 has no such projection, or x or y are not in 0..9
Skycell tessellation_cell(const SkycellId& id);

/// Cells in the order of SkycellId, and what is odd about them.
struct SkycellList {
  std::vector<Skycell> cells;
  /// Cells that only fill sides of others, from their own lines or from the ring table.
  std::vector<Skycell> padding_sources;
  std::vector<std::string> warnings;

  /// nullptr when it is not listed.
  [[nodiscard]] const Skycell* find(const SkycellId& id) const;
  /// The same among the padding sources too.
  [[nodiscard]] const Skycell* find_source(const SkycellId& id) const;
};

/// The cells of a metadata CSV (docs/pipelines/skycells.md, "Input"); columns by name in any case
/// and order. Projection, x, y come from NAME, and must agree with their columns where these are
/// there. Paddings by cells of the same projection are dropped: geometry implies them.
/// @param projections_limit keeps the first so many projections; 0 = all
/// @throws ConfigError naming file, line and column: missing columns, names that are none, doubled
///   cells, sizes not above 0, a WCS that is not gnomonic, not finite or singular, a padding
///   source that has neither a line of its own nor a place in RINGS.V3
SkycellList read_skycell_list(const std::string& path, int projections_limit = 0);

/// Drops the cells of all other projections; those that fill sides of what is left become padding
/// sources.
void keep_projections(SkycellList& list, const std::vector<int>& projections);

/// Without a CSV: the named cells, or all cells of projections, from the ring table. No paddings.
/// @param where the key that holds the names, for messages. @throws ConfigError
SkycellList named_skycells(const std::vector<std::string>& names, const std::string& where);
SkycellList skycells_of_projections(const std::vector<int>& projections, const std::string& where);

}  // namespace skyloom::surveys
