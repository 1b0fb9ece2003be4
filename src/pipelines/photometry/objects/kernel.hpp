#pragma once
// All objects of an image: detection tile by tile, aperture flux and size, saturated stars and
// their fragments. Pure.

#include <cstdint>
#include <span>
#include <vector>

#include "pipelines/photometry/epsf/frame.hpp"
#include "skyloom/sky/detection.hpp"

namespace skyloom::photometry::objects {

/// Signal-to-noise up to which sizes are not measured: nobody asks for those.
inline constexpr double kLeastSnr = 5.0;

/// A detection with its aperture flux and size.
struct Object {
  sky::Detection detection;
  double flux = 0.0;
  double snr = 0.0;
  double r50 = 0.0;             ///< half-light radius, pixels; NaN up to kLeastSnr
  int owner = 0;                ///< index of the object its pixels belong to (fragments)
  bool saturated = false;       ///< star with a saturated core
  bool near_saturated = false;  ///< a saturated pixel within 2 of the centre
  bool near_bad = false;        ///< any bad pixel within 1
};

/// Pixels [x0, x1) of row y belong to an object.
struct Run {
  int y = 0;
  int x0 = 0;
  int x1 = 0;
  int object = 0;  ///< index

  friend bool operator==(const Run&, const Run&) = default;
};

/// What one tile holds.
struct Found {
  std::vector<Object> objects;  ///< with the barycentre in the tile, `owner` not set
  std::vector<Run> runs;        ///< row by row; indices of `objects`
};

/// Pixels that the objects of a tile of background::tiles() are looked for in.
[[nodiscard]] Box reach(const Box& tile, int width, int height);

/// Detects and measures. An object belongs to the tile that holds its barycentre.
/// @param frame pixels of reach()   @param fwhm_guess_pix NaN = unknown
/// @throws UnitError (numerical) when libsep fails
[[nodiscard]] Found find(const epsf::Frame& frame, const Box& tile, double fwhm_guess_pix,
                         const epsf::Options& options);

/// Runs as bytes, four or five each, and back. @param reach of the tile
[[nodiscard]] std::vector<std::uint8_t> packed(const std::vector<Run>& runs, const Box& reach);
[[nodiscard]] std::vector<Run> unpacked(std::span<const std::uint8_t> bytes, const Box& reach);

/// Which object every pixel belongs to, kept as runs of pixels.
class Segments {
 public:
  explicit Segments(int height) : rows_(static_cast<std::size_t>(height)) {}

  void add(const Run& run);
  /// Puts the runs in order; objects of overlapping runs come in the order of their indices.
  void finish();
  /// Index of the object of every pixel of a box, -1 = none.
  [[nodiscard]] Image<std::int32_t> at(const Box& box) const;

 private:
  struct Part {
    std::int32_t x0;
    std::int32_t x1;
    std::int32_t object;
  };
  std::vector<std::vector<Part>> rows_;
  int longest_ = 0;
};

struct Objects {
  std::vector<Object> list;
  Segments segments{0};
};

/// The objects of a whole image; fragments of saturated stars go to the brightest of them.
/// @param tiles in the order of background::tiles()
[[nodiscard]] Objects join(const std::vector<Found>& tiles, int height);

}  // namespace skyloom::photometry::objects
