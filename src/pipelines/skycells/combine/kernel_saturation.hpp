#pragma once
// Saturated stars of a combined skycell: removed with the segments that they lie in, or their cores
// replaced by an effective PSF that fits their wings (kernel_cores.hpp).

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pipelines/skycells/combine/kernel_background.hpp"
#include "skyloom/core/image.hpp"

namespace skyloom::skycells {

/// Bits of PS1 masks.
inline constexpr std::uint16_t kSaturatedBit = 0x0020;
inline constexpr std::uint16_t kStarCoreBit = 0x1000;

/// A star of Gaia near the cell. Magnitudes are NaN where the catalogue has none.
struct CatalogueStar {
  std::int64_t source_id = 0;  ///< 0 = the catalogue has none
  double ra_deg = 0.0;
  double dec_deg = 0.0;
  double g_mag = 0.0;
  double bp_mag = 0.0;
  double rp_mag = 0.0;
  double x = 0.0;  ///< 0-based pixels of the cell
  double y = 0.0;
};

/// TESS magnitude of Gaia's three: with c = BP - RP, G - 0.00522555 c^3 + 0.0891337 c^2 -
/// 0.633923 c + 0.0324473, or G - 0.430 without a colour (Stassun et al. 2019, AJ 158, 138,
/// section 2.3.1).
[[nodiscard]] double tess_magnitude(const CatalogueStar& star);

enum class RemovalReason : std::uint8_t {
  catalog_bright_star,  ///< brighter than the limit
  catalog_neighbor,     ///< another star in the same segment
  quality_flag_star,    ///< in a segment with a saturated core
  quality_flag_no_star  ///< a segment with a saturated core and no star of the catalogue
};
[[nodiscard]] std::string name_of(RemovalReason reason);

struct RemovedStar {
  CatalogueStar star;  ///< of quality_flag_no_star: all NaN, source_id 0
  RemovalReason reason = RemovalReason::catalog_bright_star;
  int segment = 0;  ///< 1 + its number
  double centroid_x =
      0.0;  ///< of the segment, weighted by flux above 0; without any, of its pixels
  double centroid_y = 0.0;
  double flux = 0.0;  ///< sum of its pixels before, counts per second
};

/// Number of the nearest segment (Euclidean; of equally near ones the one whose pixel is farther
/// left, then lower) of every pixel that is bright or in a segment, 0 elsewhere.
/// (Felzenszwalb & Huttenlocher 2012, Theory of Computing 8, 415: lower envelope of parabolas.)
[[nodiscard]] Image<std::int32_t> segment_domains(const SourceMap& sources);

/// Sets every domain of a segment to 0 that holds a star brighter than `limit_mag`, then every one
/// that touches a pixel with both kSaturatedBit and kStarCoreBit. A star is in the domain of the
/// pixel whose centre is nearest. NaN stays.
/// @param domains of segment_domains
/// @return one record per star in a removed domain, in the order of segments of each kind, then of
///   `stars`; one for a domain without any
[[nodiscard]] std::vector<RemovedStar> remove_stars(const Image<std::int32_t>& domains, int count,
                                                    ImageView<const std::uint16_t> mask,
                                                    std::span<const CatalogueStar> stars,
                                                    double limit_mag, ImageView<float> image);

}  // namespace skyloom::skycells
