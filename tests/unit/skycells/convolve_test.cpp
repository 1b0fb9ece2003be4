// Zones, ownership, coarse convolution and missing pixels against rows that are assembled pixel by
// pixel as the rules say and convolved in double.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/skycells/combine/kernel_zones.hpp"
#include "pipelines/skycells/convolve/kernel.hpp"
#include "skyloom/core/random.hpp"

#include "support/gaussian_reference.hpp"

using namespace skyloom;
using namespace skyloom::skycells;
using numerics::GaussianMethod;
using numerics::MissingData;
using numerics::MultirateGaussian;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr double kSigma = 7.5;

using Place = std::pair<int, int>;  // y, x: the order of cells
using Layout = std::set<Place>;

// Gaps in a row, a row that starts late, single cells, a gap between rows.
const Layout kLayout = {{2, 1}, {2, 2}, {2, 3}, {2, 4}, {3, 1}, {3, 2}, {3, 4},
                        {4, 2}, {4, 3}, {6, 3}, {7, 0}, {7, 1}, {7, 3}, {8, 4}};

MultirateGaussian multirate(double tolerance = 1e-6) {
  return MultirateGaussian(
      numerics::plan_gaussian({kSigma, tolerance, 0, GaussianMethod::multirate}));
}

/// Every cell has its own pixels, so that taking one for another shows.
Image<float> pixels(const CellGeometry& g, int x, int y, int margin = 0) {
  const Rng rng(static_cast<std::uint64_t>(100 * y + x), "pixels", "cell");
  Image<float> image(g.width + 2 * margin, g.height + 2 * margin);
  for (std::size_t i = 0; i < image.pixels().size(); ++i) {
    image.pixels()[i] = static_cast<float>(3.0 + rng.normal(i));
  }
  for (std::uint64_t i = 0; i < 150; ++i) {
    const int column = static_cast<int>(rng.uniform(i, 1) * image.width());
    const int row = static_cast<int>(rng.uniform(i, 2) * image.height());
    image(row, column) += static_cast<float>(std::pow(10.0, 1.0 + 3.0 * rng.uniform(i, 3)));
  }
  for (std::uint64_t i = 0; i < 40; ++i) {
    const int column = static_cast<int>(rng.uniform(i, 4) * (image.width() - 9));
    const int row = static_cast<int>(rng.uniform(i, 5) * (image.height() - 9));
    for (int k = 0; k < 81; ++k) {
      image(row + k / 9, column + k % 9) = kNan;
    }
  }
  return image;
}

CombinedCell combined(const MultirateGaussian& gaussian, const CellGeometry& g, int x, int y) {
  const Image<float> image = pixels(g, x, y);
  CellDecimation decimation(gaussian, g, x, y, {}, true);
  for (int row = 0; row < g.height; ++row) {
    decimation.add_row(row, image.view().row(row));
  }
  return decimation.finish();
}

using Cells = std::map<Place, CombinedCell>;

Cells all_combined(const MultirateGaussian& gaussian, const CellGeometry& g, const Layout& layout) {
  Cells cells;
  for (const auto& [y, x] : layout) {
    cells.emplace(Place{y, x}, combined(gaussian, g, x, y));
  }
  return cells;
}

/// The cell with everything present in three rows, or only the columns next to it.
Surroundings around(const Cells& cells, int x, int y, bool near) {
  Surroundings result{x, y, {}, false, false};
  for (const auto& [place, cell] : cells) {
    result.row_below = result.row_below || place.first == y - 1;
    result.row_above = result.row_above || place.first == y + 1;
    if (std::abs(place.first - y) <= 1 && (!near || std::abs(place.second - x) <= 1)) {
      result.cells.push_back(&cell);
    }
  }
  return result;
}

Image<float> full(const ConvolvedCell& cell, const CellGeometry& g, int block) {
  Image<float> out(g.width, g.height);
  for (int row = 0; row < g.height; row += block) {
    cell.rows(row, out.view().sub({0, g.width, row, std::min(g.height, row + block)}));
  }
  return out;
}

/// A row from its own pixels: columns of the projection, rows of a cell.
Image<float> assembled(const CellGeometry& g, const Layout& layout, int y, const RimRules& rules) {
  Image<float> row(8 * g.step_x(), g.height, kNan);
  for (int x = 0; x < 6; ++x) {
    if (layout.count({y, x}) == 0) {
      continue;
    }
    const bool whole =
        layout.count({y, x - 1}) == 0 && !(rules.strict_slots && x != rules.first_column);
    const Image<float> cell = pixels(g, x, y);
    for (int i = 0; i < g.height; ++i) {
      for (int j = whole ? 0 : g.overlap - g.edge; j < g.width; ++j) {
        row(i, x * g.step_x() + j) = cell(i, j);
      }
    }
  }
  return row;
}

/// The master row around cell x: `pad` pixels more than the cell on every side.
Image<float> master(const CellGeometry& g, const Layout& layout, int x, int y,
                    const RimRules& rules) {
  const auto occupied = [&](int row) {
    return std::any_of(layout.begin(), layout.end(),
                       [&](const Place& place) { return place.first == row; });
  };
  const Image<float> own = assembled(g, layout, y, rules);
  const Image<float> below = assembled(g, layout, y - 1, rules);
  const Image<float> above = assembled(g, layout, y + 1, rules);
  Image<float> out(g.width + 2 * g.pad, g.height + 2 * g.pad, kNan);
  for (int i = -g.pad; i < g.height + g.pad; ++i) {
    const Image<float>* from = i >= 0 && i < g.height ? &own : nullptr;
    int row = i;
    if (i < g.edge && occupied(y - 1)) {
      from = &below;
      row = i + g.step_y();
    } else if (i >= g.height - g.edge && occupied(y + 1)) {
      from = &above;
      row = i - g.step_y();
    } else if (i >= g.height - g.edge && rules.void_top) {
      from = nullptr;
    }
    for (int j = -g.pad; j < g.width + g.pad && from != nullptr; ++j) {
      const int column = x * g.step_x() + j;
      if (column >= 0 && column < from->width()) {
        out(i + g.pad, j + g.pad) = (*from)(row, column);
      }
    }
  }
  return out;
}

struct Agreement {
  double error = 0.0;         ///< largest difference over largest reference
  std::size_t other_nan = 0;  ///< pixels that have a value in one of the two only
};

Agreement compare(const Image<float>& out, const Image<float>& whole, int margin,
                  const RimRules& rules) {
  Image<float> light = whole;
  Image<float> valid(whole.width(), whole.height());
  for (std::size_t i = 0; i < light.pixels().size(); ++i) {
    const bool missing = std::isnan(light.pixels()[i]);
    light.pixels()[i] = missing ? 0.0F : light.pixels()[i];
    valid.pixels()[i] = missing ? 0.0F : 1.0F;
  }
  const Image<double> reference = tests::exact_gaussian(light, kSigma);
  const bool normalise = rules.missing == MissingData::normalise;
  const Image<double> weight = normalise ? tests::exact_gaussian(valid, kSigma) : Image<double>{};
  Agreement result;
  double scale = 0.0;
  for (int y = 0; y < out.height(); ++y) {
    for (int x = 0; x < out.width(); ++x) {
      const int i = y + margin;
      const int j = x + margin;
      const double w = normalise ? weight(i, j) : 1.0;
      const bool missing = valid(i, j) == 0.0F || (normalise && w < rules.min_weight);
      result.other_nan += missing != std::isnan(out(y, x)) ? 1 : 0;
      scale = std::max(scale, std::abs(reference(i, j)));
      if (!missing && !std::isnan(out(y, x))) {
        result.error =
            std::max(result.error, std::abs(static_cast<double>(out(y, x)) * w - reference(i, j)));
      }
    }
  }
  result.error /= scale;
  return result;
}

void check_layout(const CellGeometry& g, const RimRules& rules) {
  const MultirateGaussian gaussian = multirate();
  const Cells cells = all_combined(gaussian, g, kLayout);
  for (const auto& [y, x] : kLayout) {
    const ConvolvedCell cell(gaussian, g, rules, around(cells, x, y, true));
    const Agreement agreement =
        compare(full(cell, g, 64), master(g, kLayout, x, y, rules), g.pad, rules);
    INFO("cell " << x << ", " << y);
    CHECK(agreement.error <= 1e-6);
    CHECK(agreement.other_nan == 0);
  }
}

bool same_bytes(const Image<float>& a, const Image<float>& b) {
  return a.pixels().size() == b.pixels().size() &&
         std::memcmp(a.pixels().data(), b.pixels().data(), a.pixels().size_bytes()) == 0;
}

}  // namespace

TEST_CASE("convolved skycells are those of assembled rows") {
  check_layout({330, 300, 60, 4, 60}, {});
  // Steps of cells that are no multiples of the coarse one.
  check_layout({347, 291, 60, 4, 60}, {});
}

TEST_CASE("the old rules of rows can be had") {
  RimRules rules;
  rules.strict_slots = true;
  rules.void_top = true;
  check_layout({330, 300, 60, 4, 60}, rules);
}

TEST_CASE("light around missing pixels is made up for when asked") {
  RimRules rules;
  rules.missing = MissingData::normalise;
  rules.min_weight = 0.3;
  check_layout({330, 300, 60, 4, 60}, rules);
}

TEST_CASE("convolved skycells do not depend on how they are made") {
  const CellGeometry g{347, 300, 60, 4, 60};
  const MultirateGaussian gaussian = multirate();
  const Cells cells = all_combined(gaussian, g, kLayout);
  for (const auto& [y, x] : kLayout) {
    const ConvolvedCell near(gaussian, g, {}, around(cells, x, y, true));
    const ConvolvedCell far(gaussian, g, {}, around(cells, x, y, false));
    const Image<float> whole = full(near, g, g.height);
    for (const int block : {7, 64, 97}) {
      CHECK(same_bytes(full(far, g, block), whole));
    }
  }
  // A cell that failed is a cell that is not there.
  Cells without = all_combined(gaussian, g, kLayout);
  without.erase({3, 2});
  Layout fewer = kLayout;
  fewer.erase({3, 2});
  const ConvolvedCell cell(gaussian, g, {}, around(without, 1, 3, true));
  const Agreement agreement = compare(full(cell, g, 64), master(g, fewer, 1, 3, {}), g.pad, {});
  CHECK(agreement.error <= 1e-6);
  CHECK(agreement.other_nan == 0);
}

TEST_CASE("the zones of a skycell hold all of its light") {
  const CellGeometry g{330, 300, 60, 4, 60};
  const MultirateGaussian gaussian = multirate();
  const CombinedCell cell = combined(gaussian, g, 3, 2);
  const Image<float> image = pixels(g, 3, 2);
  double light = 0.0;
  std::int64_t missing = 0;
  for (const float v : image.pixels()) {
    light += std::isnan(v) ? 0.0 : static_cast<double>(v);
    missing += std::isnan(v) ? 1 : 0;
  }
  CHECK(cell.missing_pixels == missing);
  double on_nodes = 0.0;
  for (const Patch& patch : cell.light) {
    if (patch.row_zone != RowZone::up && patch.row_zone != RowZone::down) {
      for (const float v : patch.nodes.pixels()) {
        on_nodes += static_cast<double>(v);
      }
    }
  }
  const int step = gaussian.plan().step;
  CHECK(on_nodes * step * step == Approx(light).epsilon(1e-6));
}

TEST_CASE("pixels of other projections fill the sides of a skycell") {
  const CellGeometry g{330, 300, 60, 4, 60};
  const MultirateGaussian gaussian = multirate();
  const Image<float> image = pixels(g, 2, 1, g.pad);
  CellDecimation decimation(gaussian, g, 2, 1, {true, true, true, true}, false);
  CHECK(decimation.rows() == PixelRange{-60, 360});
  CHECK(decimation.columns() == PixelRange{-60, 390});
  for (int row = -g.pad; row < g.height + g.pad; ++row) {
    decimation.add_row(row, image.view().row(row + g.pad));
  }
  const CombinedCell cell = decimation.finish();
  const ConvolvedCell convolved(gaussian, g, {}, Surroundings{2, 1, {&cell}, false, false});
  const Agreement agreement = compare(full(convolved, g, 300), image, g.pad, {});
  CHECK(agreement.error <= 1e-6);
  CHECK(agreement.other_nan == 0);
}
