#pragma once
// All objects of a band: detection tile by tile, aperture flux and size, saturated stars and their
// fragments.

#include <cstdint>
#include <vector>

#include "pipelines/photometry/epsf/frame.hpp"
#include "skyloom/sky/detection.hpp"

namespace skyloom::photometry::epsf {

/// A detection with its aperture flux and size.
struct Object {
  sky::Detection detection;
  double flux = 0.0;
  double snr = 0.0;
  double r50 = 0.0;
  int owner = 0;                ///< index of the object its pixels belong to (fragments)
  bool saturated = false;       ///< star with a saturated core
  bool near_saturated = false;  ///< a saturated pixel within 2 of the centre
  bool near_bad = false;        ///< any bad pixel within 1
};

/// Which object every pixel belongs to, kept as runs of pixels.
class Segments {
 public:
  explicit Segments(int height) : rows_(static_cast<std::size_t>(height)) {}

  /// @param x0, x1 half-open run in row y
  void add(int y, int x0, int x1, int object);
  /// Puts the runs in order; objects of overlapping runs come in the order of their indices.
  void finish();
  /// Index of the object of every pixel of a box, -1 = none.
  [[nodiscard]] Image<std::int32_t> at(const Box& box) const;

 private:
  struct Run {
    std::int32_t x0;
    std::int32_t x1;
    std::int32_t object;
  };
  std::vector<std::vector<Run>> rows_;
  int longest_ = 0;
};

struct Objects {
  std::vector<Object> list;
  Segments segments{0};
};

/// Detects and measures. Tiles overlap; an object belongs to the tile that holds its barycentre.
[[nodiscard]] Objects find_objects(const Band& band, const Options& options);

/// What the outside knows about each object.
struct Knowledge {
  std::vector<std::uint8_t> gaia;         ///< a Gaia star that may serve
  std::vector<std::uint8_t> typed_star;   ///< the nearest row of the catalogue is a star
  std::vector<std::uint8_t> typed_other;  ///< ... or something else
};

/// Within gaia_match_r_pix.
[[nodiscard]] Knowledge match(const Input& input, const Options& options,
                              const std::vector<Object>& objects);

}  // namespace skyloom::photometry::epsf
