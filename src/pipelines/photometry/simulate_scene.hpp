#pragma once
// What is in a simulated field: sources with their true parameters, and the tables made of them.

#include <cstdint>
#include <string>
#include <vector>

#include "pipelines/photometry/simulate.hpp"
#include "skyloom/core/table.hpp"

namespace skyloom::photometry {

enum class SourceType : std::uint8_t { star, exponential, de_vaucouleurs, sersic };

struct TrueSource {
  std::string id;
  SourceType type = SourceType::star;
  double x_pix = 0.0;
  double y_pix = 0.0;
  std::vector<double> flux;  ///< scaled flux (zero point 25) per band
  double re_pix = 0.0;       ///< along the major axis
  double ellipticity = 0.0;  ///< 1 - b/a
  double theta_deg = 0.0;    ///< major axis, counter-clockwise from +x
  double sersic_n = 0.0;
  std::int64_t gaia_id = 0;  ///< 0 = not in the Gaia table
  bool catalogued = true;    ///< false: only in the Gaia table
};

/// Tangent-plane projection with square pixels, north up and east to the left.
class TangentPlane {
 public:
  TangentPlane(double ra_deg, double dec_deg, double scale_arcsec, int side_pix);

  struct Position {
    double ra_deg;
    double dec_deg;
  };
  [[nodiscard]] Position to_sky(double x_pix, double y_pix) const;
  [[nodiscard]] double scale_deg() const { return scale_deg_; }
  /// 0-based pixel of the tangent point, the same in x and y.
  [[nodiscard]] double center_pix() const { return center_pix_; }

 private:
  double ra_deg_;
  double dec_deg_;
  double scale_deg_;
  double center_pix_;
};

/// Sources of the field, brightest saturated stars first. Options must be complete.
std::vector<TrueSource> make_sources(const SimulationOptions& options);

Table truth_table(const SimulationOptions& options, const std::vector<TrueSource>& sources);
/// Sources as a catalogue has them: perturbed, with holes.
Table catalogue_table(const SimulationOptions& options, const std::vector<TrueSource>& sources);
/// Bright stars of the field and some around it.
Table gaia_table(const SimulationOptions& options, const std::vector<TrueSource>& sources);

}  // namespace skyloom::photometry
