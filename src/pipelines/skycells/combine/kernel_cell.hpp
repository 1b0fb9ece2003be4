#pragma once
// One skycell from its bands: blocks of rows come from a source, become one image row by row, and
// leave their light on the coarse grid, their missing pixels and their mask. The cell as a whole is
// kept only where something needs its pixels.

#include <cstdint>
#include <span>
#include <vector>

#include "pipelines/skycells/combine/kernel.hpp"
#include "pipelines/skycells/combine/kernel_pads.hpp"
#include "pipelines/skycells/combine/kernel_sources.hpp"
#include "pipelines/skycells/combine/kernel_statistics.hpp"
#include "pipelines/skycells/combine/kernel_zones.hpp"
#include "skyloom/core/image.hpp"
#include "skyloom/core/runs.hpp"
#include "skyloom/numerics/multirate.hpp"

namespace skyloom::skycells {

/// Rows of one band: integers as they are stored with the table of their values, or, where the
/// table is empty, weight times counts per second.
struct BandRows {
  std::span<const float> table;
  Image<std::int16_t> stored;
  Image<float> flux;
};

/// Rows of a cell in all bands, and the bitwise OR of their masks.
struct RowBlock {
  std::vector<BandRows> bands;
  Image<std::uint16_t> mask;
  Image<float> sigma;  ///< noise of the sum of all bands; empty unless asked for
};

/// Where the rows of a cell come from.
class RowSource {
 public:
  RowSource() = default;
  RowSource(const RowSource&) = delete;
  RowSource& operator=(const RowSource&) = delete;
  virtual ~RowSource() = default;
  /// Rows that are read at once, from a multiple of it on.
  [[nodiscard]] virtual int rows_per_read() const = 0;
  /// Rows first .. first + count - 1. The block is valid until the next call.
  virtual const RowBlock& read(int first, int count) = 0;
};

/// Row `i` of a block as one image row, its columns from `first` on.
/// @param weights of the bands of the block
void sum_row(const RowBlock& block, int i, int first, std::span<const double> weights,
             MissingPixel missing, std::span<float> out);

struct CellTask {
  CellGeometry geometry;  ///< of the projection
  int x = 0;
  int y = 0;
  int width = 0;  ///< of the cell itself, which may be smaller: it fills its lower left corner
  int height = 0;
  std::vector<double> weights;  ///< of the bands of the source
  MissingPixel missing_pixel = MissingPixel::nan;
  bool with_weight = false;
  /// Null: the pixels themselves are kept.
  const numerics::MultirateGaussian* gaussian = nullptr;
  PaddedSides padded;
  /// What lies beyond the padded sides; null without any.
  PadRows* pads = nullptr;
  int kept_margin = 0;  ///< how far beyond its sides pixels are kept, without a gaussian
  /// What happens to the cell as a whole. With any of it 24 bytes per pixel are held, else a few
  /// rows.
  SourceOptions sources = {};
  std::vector<CatalogueStar> stars = {};  ///< for these
};

struct CellResult {
  CombinedCell cell;
  Image<float> pixels;  ///< the geometry and task.kept_margin around it; empty with a gaussian
  RunBytes mask;        ///< runs of all rows of the geometry
  std::int64_t masked_pixels = 0;
  PixelStatistics statistics;
  TreatedSources sources;
};

/// The pixels of a cell, NaN = no value, with its mask, after what happens to it as a whole.
struct WholeCell {
  Image<float> pixels;
  Image<std::uint16_t> mask;
  TreatedSources sources;
};
/// Of task only the size, weights, missing_pixel, sources and stars count.
/// @throws UnitError as treat_sources does, and whatever the source throws
WholeCell whole_cell(const CellTask& task, RowSource& source);

/// @throws UnitError when no pixel has a value, and whatever the source throws
CellResult combine_cell(const CellTask& task, RowSource& source);

}  // namespace skyloom::skycells
