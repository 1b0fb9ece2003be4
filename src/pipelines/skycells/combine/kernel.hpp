#pragma once
// Bands of a skycell to one image: weights, asinh scaling undone by table, pixels that a band
// lacks.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace skyloom::skycells {

/// What a band's 16-bit integers q mean: with v = bzero + bscale q, counts per second are
/// (boffset + 2 bsoften sinh(v ln 10 / 2.5)) / exptime, or v / exptime where `linear`
/// (Waters et al. 2020, ApJS 251, 4, section 3.4).
struct BandScaling {
  double bzero = 0.0;
  double bscale = 1.0;
  std::optional<std::int64_t> blank;
  bool linear = false;
  double boffset = 0.0;
  double bsoften = 1.0;
  double exptime_s = 1.0;
};

/// Different values of a 16-bit integer.
inline constexpr int kTableSize = 65536;

/// weight times counts per second of every 16-bit integer, in order from -32768; NaN for `blank`.
/// @throws UnitError (bad_input) when a value is not finite: these cards do not belong to pixels
std::vector<float> band_table(const BandScaling& scaling, double weight);

/// What a pixel is worth that one band lacks.
enum class MissingPixel : std::uint8_t {
  nan,         ///< nothing
  renormalise  ///< the sum of the other bands over the sum of their weights
};

/// One row: out = sum of the bands in their order, in double, rounded once.
/// @param bands rows of the weighted bands, NaN where there is no value; all as long as out
/// @param weights of the bands, for renormalise
void sum_bands(std::span<const std::span<const float>> bands, std::span<const double> weights,
               MissingPixel missing, std::span<float> out);

/// A band as it is stored: its table and a row of its integers.
struct StoredBand {
  std::span<const float> table;
  std::span<const std::int16_t> row;
};

/// The same for 1 to 5 bands by their tables, without the floats in between.
/// @throws std::invalid_argument another number of bands
void sum_bands(std::span<const StoredBand> bands, std::span<const double> weights,
               MissingPixel missing, std::span<float> out);

}  // namespace skyloom::skycells
