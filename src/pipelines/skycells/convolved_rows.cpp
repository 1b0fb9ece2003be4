#include "pipelines/skycells/convolved_rows.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "pipelines/skycells/combine/kernel_runs.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/io/deflate.hpp"
#include "skyloom/numerics/multirate.hpp"

namespace skyloom::skycells {
namespace {

constexpr const char* kStage = "convolve";
/// Rows that are read or interpolated at once.
constexpr int kBlock = 32;
constexpr std::uint16_t kNoData = 0x0008;  // BLANK

/// Row of /cells of convolve. @throws UnitError
std::size_t stored_row(const engine::Products& products, const StoredCell& cell) {
  const auto& names = products.table(kStage, "cells").get<std::string>("name");
  const auto found = std::find(names.begin(), names.end(), cell.name);
  if (found == names.end()) {
    throw UnitError(Reason::bad_input, "convolve has no image of " + cell.name);
  }
  return static_cast<std::size_t>(found - names.begin());
}

/// Runs of the missing pixels of the cell in this row of /cells.
RunBytes missing_runs(const engine::Products& products, std::size_t row) {
  const auto& bytes = products.table(kStage, "cells").get<std::int64_t>("missing_bytes");
  std::size_t first = 0;
  for (std::size_t i = 0; i < row; ++i) {
    first += static_cast<std::size_t>(bytes[i]);
  }
  return io::inflated(products.range<std::uint8_t>(kStage, "missing/byte", first,
                                                   static_cast<std::size_t>(bytes[row])));
}

/// Rows that are stored as runs, with the one that was asked for last.
class RunRows {
 public:
  RunRows(RunBytes runs, int width, int height)
      : runs_(std::move(runs)),
        reader_(runs_),
        height_(height),
        values_(static_cast<std::size_t>(width)) {}
  RunRows(const RunRows&) = delete;
  RunRows& operator=(const RunRows&) = delete;

  /// Row y, not smaller than before; `beyond` in all pixels where there is no such row.
  std::span<const std::uint16_t> row(int y, std::uint16_t beyond) {
    if (y >= height_) {
      std::fill(values_.begin(), values_.end(), beyond);
    }
    for (; next_ <= std::min(y, height_ - 1); ++next_) {
      reader_.next(values_);
    }
    return values_;
  }

 private:
  RunBytes runs_;
  RunReader reader_;
  int height_;
  int next_ = 0;
  std::vector<std::uint16_t> values_;
};

}  // namespace

struct ConvolvedRows::Impl {
  const engine::Products* products = nullptr;
  std::string data;  ///< name of the array
  std::size_t plane = 0;
  int width = 0;
  int height = 0;
  int x0 = 0;  ///< first pixel in the projection
  int y0 = 0;
  int nearest_x = 0;  ///< steps to the pixel that masks are taken from
  int nearest_y = 0;
  std::optional<RunRows> mask;
  // Of a coarse grid.
  std::optional<RunRows> missing;
  std::optional<numerics::MultirateGaussian> gaussian;
  std::optional<numerics::NodeInterpolation> interpolation;
  int block_first = -1;
  Image<float> block;

  void interpolate(const Config& config, const StoredCell& cell, std::size_t row,
                   PixelFraction fraction) {
    const CellGeometry geometry = config.cell_geometry(width, height);
    x0 = cell.id.x * geometry.step_x();
    y0 = cell.id.y * geometry.step_y();
    gaussian.emplace(config.gaussian());
    const numerics::NodeRange rows = gaussian->nodes_needed(y0, y0 + height);
    const numerics::NodeRange columns = gaussian->nodes_needed(x0, x0 + width);
    const Image<float> nodes =
        products->plane<float>(kStage, data + "/coarse", plane, {0, columns.count, 0, rows.count});
    interpolation.emplace(*gaussian, nodes.view(), numerics::PixelOrigin{columns.first, rows.first},
                          x0, width, fraction.x, fraction.y);
    missing.emplace(missing_runs(*products, row), width, height);
    nearest_x = fraction.x >= 0.5 ? 1 : 0;
    nearest_y = fraction.y >= 0.5 ? 1 : 0;
  }

  void read_block(int y) {
    block_first = y / kBlock * kBlock;
    const int rows = std::min(kBlock, height - block_first);
    if (interpolation) {
      block = Image<float>(width, rows);
      interpolation->rows(y0 + block_first, block.view());
    } else {
      block = products->plane<float>(kStage, data + "/data", plane,
                                     {0, width, block_first, block_first + rows});
    }
  }
};

ConvolvedRows::ConvolvedRows(const Config& config, const engine::Products& products,
                             const StoredCell& cell, PixelFraction fraction)
    : impl_(std::make_unique<Impl>()) {
  Impl& in = *impl_;
  in.products = &products;
  in.data = projection_group(cell.id.projection);
  in.plane = cell.plane;
  in.width = cell.width;
  in.height = cell.height;
  const std::size_t row = stored_row(products, cell);
  in.mask.emplace(stored_mask(products, cell), in.width, in.height);
  if (config.io.sampling == "coarse") {
    in.interpolate(config, cell, row, fraction);
  } else if (fraction != PixelFraction{}) {
    throw FatalError(cell.name + ": no values between pixels without a coarse grid");
  }
}

ConvolvedRows::~ConvolvedRows() = default;
ConvolvedRows::ConvolvedRows(ConvolvedRows&&) noexcept = default;
ConvolvedRows& ConvolvedRows::operator=(ConvolvedRows&&) noexcept = default;

void ConvolvedRows::row(int y, std::span<float> values, std::span<std::uint16_t> mask) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  Impl& in = *impl_;
  if (in.block_first < 0 || y >= in.block_first + in.block.height()) {
    in.read_block(y);
  }
  const auto pixels = in.block.view().row(y - in.block_first);
  std::copy_n(pixels.begin(), values.size(), values.begin());
  const auto shifted = [&](RunRows& rows, std::uint16_t beyond, auto take) {
    const std::span<const std::uint16_t> row = rows.row(y + in.nearest_y, beyond);
    for (std::size_t x = 0; x < values.size(); ++x) {
      const std::size_t nearest = x + static_cast<std::size_t>(in.nearest_x);
      take(x, nearest < row.size() ? row[nearest] : beyond);
    }
  };
  shifted(*in.mask, kNoData, [&](std::size_t x, std::uint16_t bits) { mask[x] = bits; });
  if (in.missing) {
    shifted(*in.missing, 1, [&](std::size_t x, std::uint16_t is_missing) {
      values[x] = is_missing != 0 ? kNan : values[x];
    });
  }
}

}  // namespace skyloom::skycells
