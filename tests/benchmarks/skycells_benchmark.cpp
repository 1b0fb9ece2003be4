// CPU time of the kernels of skycells on one core at the size of real cells: bands to an image,
// decimation to zones, convolution, full resolution. Usage: skycells_benchmark [REPEATS]

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "pipelines/skycells/combine/kernel.hpp"
#include "pipelines/skycells/combine/kernel_zones.hpp"
#include "pipelines/skycells/convolve/kernel.hpp"
#include "skyloom/core/random.hpp"

#include "cpu_time.hpp"

using namespace skyloom;
using namespace skyloom::benchmarks;
using namespace skyloom::skycells;

namespace {

constexpr int kBands = 4;

/// Noise of the size that real files have, and holes.
std::vector<std::int16_t> stored_row(const CellGeometry& g, std::uint64_t row) {
  const Rng rng(row, "row", "benchmark");
  std::vector<std::int16_t> values(static_cast<std::size_t>(g.width));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<std::int16_t>(3000.0 * rng.normal(i));
  }
  for (int i = 0; i < 20; ++i) {
    values[(row / 20 % 40) * 150 + static_cast<std::size_t>(i)] = -32768;
  }
  return values;
}

}  // namespace

int main(int argc, char** argv) {
  const int repeats = argc > 1 ? std::max(1, std::atoi(argv[1])) : 3;
  const CellGeometry g{6240, 6243, 480, 10, 480};
  const numerics::MultirateGaussian gaussian(numerics::plan_gaussian({60.0, 1e-6, 470}));
  const std::vector<float> table =
      band_table({0.0, 2.1e-4, -32768, false, 0.0, 222.0, 900.0}, 0.25);
  constexpr int kRows = 16;  // as many different ones, used in turn
  std::vector<std::vector<std::int16_t>> stored;
  for (std::uint64_t i = 0; i < kRows; ++i) {
    stored.push_back(stored_row(g, i));
  }
  const std::vector<double> weights(kBands, 0.25);
  std::vector<float> image(static_cast<std::size_t>(g.width));
  const auto make_row = [&](int row) {
    std::vector<StoredBand> bands;
    for (int b = 0; b < kBands; ++b) {
      bands.push_back({table, stored[static_cast<std::size_t>((row + b) % kRows)]});
    }
    sum_bands(std::span<const StoredBand>(bands), weights, MissingPixel::nan, image);
  };
  const auto combine = [&](int x, int y) {
    CellDecimation decimation(gaussian, g, x, y, {}, false);
    for (int row = 0; row < g.height; ++row) {
      make_row(row);
      decimation.add_row(row, image);
    }
    return decimation.finish();
  };
  std::vector<CombinedCell> cells;
  for (int i = 0; i < 9; ++i) {
    cells.push_back(combine(4 + i % 3, 4 + i / 3));
  }
  Surroundings around{5, 5, {}, true, true};
  for (const CombinedCell& cell : cells) {
    around.cells.push_back(&cell);
  }
  double tables = 1e30;
  double zones = 1e30;
  double coarse = 1e30;
  double fine = 1e30;
  Image<float> block(g.width, 128);
  for (int i = 0; i < repeats; ++i) {
    const double alone = seconds_of([&] {
      for (int row = 0; row < g.height; ++row) {
        make_row(row);
      }
    });
    tables = std::min(tables, alone);
    zones = std::min(zones, seconds_of([&] { combine(5, 5); }) - alone);
    std::vector<ConvolvedCell> cell;
    coarse =
        std::min(coarse, seconds_of([&] { cell.emplace_back(gaussian, g, RimRules{}, around); }));
    fine = std::min(fine, seconds_of([&] {
                      for (int row = 0; row < g.height; row += 128) {
                        const int rows = std::min(128, g.height - row);
                        cell.front().rows(row, block.view().sub({0, g.width, 0, rows}));
                      }
                    }));
  }
  std::size_t bytes = 0;
  for (const Patch& patch : cells.front().light) {
    bytes += patch.nodes.pixels().size_bytes();
  }
  std::printf(
      "CPU s per cell of %d x %d, %d bands, step %d:\n"
      "  tables and sum of bands    %.4f\n  decimation, missing bits   %.4f (%.2f MB kept)\n"
      "  coarse grid, along x       %.4f\n  full resolution            %.4f\n",
      g.width, g.height, kBands, gaussian.plan().step, tables, zones,
      1e-6 * static_cast<double>(bytes), coarse, fine);
  return 0;
}
