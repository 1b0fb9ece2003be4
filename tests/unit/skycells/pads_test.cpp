// Pixels of other projections: the mapping against WCSLIB, interpolation, extended rows, and
// convolved cells against rows that are assembled pixel by pixel.

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/skycells/combine/kernel_cell.hpp"
#include "pipelines/skycells/combine/kernel_pads.hpp"
#include "pipelines/skycells/combine/kernel_zones.hpp"
#include "pipelines/skycells/convolve/kernel.hpp"
#include "pipelines/skycells/convolve/kernel_window.hpp"
#include "skyloom/core/random.hpp"
#include "skyloom/sky/wcs.hpp"
#include "skyloom/surveys/skycell.hpp"

#include "support/gaussian_reference.hpp"

using namespace skyloom;
using namespace skyloom::skycells;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

GnomonicGrid grid_of(const surveys::Skycell& cell) {
  return {cell.crval_deg, cell.crpix, cell.cd};
}

/// A pixel of one grid in another, through WCSLIB.
PixelPosition by_wcslib(const surveys::Skycell& from, const surveys::Skycell& to, double x,
                        double y) {
  double ra = 0.0;
  double dec = 0.0;
  PixelPosition out;
  sky::Wcs(from.wcs_cards(), "from").to_sky({&x, 1}, {&y, 1}, {&ra, 1}, {&dec, 1});
  sky::Wcs(to.wcs_cards(), "to").to_pixel({&ra, 1}, {&dec, 1}, {&out.x, 1}, {&out.y, 1});
  return out;
}

/// Largest distance in pixels between mapping and WCSLIB over a window to the left of a cell.
double worst_mapping(const surveys::Skycell& from, const surveys::Skycell& to) {
  const GridMapping mapping(grid_of(from), grid_of(to));
  double worst = 0.0;
  for (const double x : {-480.0, -100.0, 9.0}) {
    for (const double y : {-480.0, 0.0, 3000.0, 6700.0}) {
      const PixelPosition ours = mapping(x, y);
      const PixelPosition theirs = by_wcslib(from, to, x, y);
      worst = std::max({worst, std::abs(ours.x - theirs.x), std::abs(ours.y - theirs.y)});
    }
  }
  return worst;
}

/// Pixels with stars and holes, the same for the same key.
Image<float> field(int width, int height, std::uint64_t key) {
  const Rng rng(key, "field", "pads");
  Image<float> image(width, height);
  for (std::size_t i = 0; i < image.pixels().size(); ++i) {
    image.pixels()[i] = static_cast<float>(3.0 + rng.normal(i));
  }
  for (std::uint64_t i = 0; i < 200; ++i) {
    image(static_cast<int>(rng.uniform(i, 1) * height),
          static_cast<int>(rng.uniform(i, 2) * width)) +=
        static_cast<float>(std::pow(10.0, 1.0 + 3.0 * rng.uniform(i, 3)));
    const int x = static_cast<int>(rng.uniform(i, 4) * (width - 5));
    const int y = static_cast<int>(rng.uniform(i, 5) * (height - 5));
    for (int k = 0; k < 25; ++k) {
      image(y + k / 5, x + k % 5) = kNan;
    }
  }
  return image;
}

class WholeImage final : public PadPixels {
 public:
  explicit WholeImage(Image<float> image) : image_(std::move(image)) {}
  Image<float> read(const Box& box) override {
    REQUIRE(box == box.intersect(image_.box()));
    largest = std::max(
        largest, static_cast<std::size_t>(box.width()) * static_cast<std::size_t>(box.height()));
    Image<float> out(box.width(), box.height());
    for (int y = 0; y < box.height(); ++y) {
      const auto row = image_.view().sub(box).row(y);
      std::copy(row.begin(), row.end(), out.view().row(y).begin());
    }
    return out;
  }
  [[nodiscard]] const Image<float>& image() const { return image_; }
  std::size_t largest = 0;  ///< pixels that were asked for at once

 private:
  Image<float> image_;
};

/// A grid of `scale` degrees per pixel around (x, y) = crpix - 1.
GnomonicGrid grid_at(double ra, double dec, double x, double y, double scale) {
  return {{ra, dec}, {x + 1.0, y + 1.0}, {-scale, 0.0, 0.0, scale}};
}

bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

}  // namespace

TEST_CASE("pixels of neighbouring projections, against WCSLIB") {
  double worst = 0.0;
  const auto rings = surveys::rings_v3();
  for (std::size_t i = 0; i < rings.size(); ++i) {
    const surveys::Skycell cell = surveys::tessellation_cell({rings[i].first, 4, 9});
    if (rings[i].count > 1) {
      const surveys::Skycell east = surveys::tessellation_cell({rings[i].first + 1, 4, 0});
      worst = std::max(worst, worst_mapping(east, cell));
    }
    if (i + 1 < rings.size()) {
      const surveys::Skycell north = surveys::tessellation_cell({rings[i + 1].first, 0, 5});
      worst = std::max(worst, worst_mapping(north, cell));
      worst = std::max(worst, worst_mapping(cell, north));
    }
  }
  INFO(worst);
  CHECK(worst < 1e-8);
  // Any linear matrix, and the other half of the sky.
  surveys::Skycell turned = surveys::tessellation_cell({1405, 5, 3});
  turned.cd = {-5e-5, 4e-5, 3e-5, 6e-5};
  CHECK(worst_mapping(turned, surveys::tessellation_cell({1406, 5, 3})) < 1e-8);
  CHECK(worst_mapping(surveys::tessellation_cell({1406, 5, 3}), turned) < 1e-8);
  const GridMapping across(grid_at(10.0, 5.0, 0.0, 0.0, 1e-3), grid_at(195.0, 5.0, 0.0, 0.0, 1e-3));
  CHECK(std::isnan(across(0.0, 0.0).x));
}

TEST_CASE("between pixels") {
  Image<float> image(3, 2);
  for (int i = 0; i < 6; ++i) {
    image.pixels()[static_cast<std::size_t>(i)] = static_cast<float>(i * i);
  }
  const Box at{10, 13, 20, 22};
  const auto value = [&](double x, double y) { return bilinear(image.view(), at, {x, y}); };
  CHECK(value(10.0, 20.0) == 0.0F);
  CHECK(value(12.0, 21.0) == 25.0F);
  CHECK(value(10.25, 20.0) == 0.25F);
  CHECK(value(11.5, 20.25) == Approx(0.75 * 2.5 + 0.25 * 20.5));
  // On a pixel but for the rounding of a mapping: that pixel alone, up to the rim.
  CHECK(value(12.0 + 5e-7, 21.0 + 5e-7) == 25.0F);
  CHECK(value(10.0 - 5e-7, 20.0 - 5e-7) == 0.0F);
  for (const auto& [x, y] : {std::pair(12.01, 20.0), {9.99, 20.0}, {10.0, 21.01}, {10.0, 19.99}}) {
    CHECK(std::isnan(value(x, y)));
  }
  CHECK(std::isnan(value(1e300, 20.0)));
  CHECK(std::isnan(value(std::nan(""), std::nan(""))));
  image(0, 1) = kNan;
  CHECK(value(10.0, 20.5) == 4.5F);
  CHECK(std::isnan(value(10.5, 20.5)));
  CHECK(value(10.5, 21.0) == 12.5F);
}

TEST_CASE("a neighbour of the same projection gives its own pixels") {
  WholeImage source(field(400, 380, 7));
  const GnomonicGrid here = grid_at(20.0, 58.0, 900.0, -300.0, 1e-3);
  GnomonicGrid there = here;
  there.crpix[0] += 340.0;
  PadRows rows({{{-60, 4, 0, 380}, {here, there}, {4, 396, 4, 376}, &source}}, -60, 400);
  std::vector<float> values(460);
  for (int y = 0; y < 380; ++y) {
    std::fill(values.begin(), values.end(), -1.0F);
    rows.extend(y, values);
    for (int x = -60; x < 400; ++x) {
      const bool inside = x < 4 && y >= 4 && y < 376;
      const float own = inside ? source.image()(y, x + 340) : kNan;
      REQUIRE(same(values[static_cast<std::size_t>(x + 60)], std::isnan(own) ? -1.0F : own));
    }
  }
}

TEST_CASE("extended rows do not depend on where they begin, and read in pieces") {
  WholeImage wide(field(6000, 900, 8));
  WholeImage small(field(300, 300, 9));
  const GnomonicGrid here = grid_at(20.0, 58.0, 2900.0, 900.0, 1e-3);
  const GnomonicGrid of_wide = grid_at(24.0, 58.5, 1000.0, 200.0, 1.01e-3);
  const GnomonicGrid of_small = grid_at(20.4, 58.2, 130.0, 150.0, 0.99e-3);
  const std::vector<CellPad> pads{
      {{0, 5000, 800, 1400}, {here, of_wide}, {4, 5996, 4, 896}, &wide},
      {{0, 5000, 800, 1400}, {here, of_small}, {4, 296, 4, 296}, &small}};
  const auto made = [&](int first) {
    PadRows rows(pads, 0, 5000);
    Image<float> out(5000, 600, -1.0F);
    for (int y = first; y < 1400; ++y) {
      rows.extend(y, out.view().row(y - 800));
    }
    return out;
  };
  const Image<float> whole = made(800);
  const auto expect = [&](int x, int y) {
    float value = -1.0F;
    for (const CellPad& pad : pads) {
      const auto& image = static_cast<const WholeImage*>(pad.source)->image();
      const float over = bilinear(image.view().sub(pad.usable), pad.usable, pad.to_source(x, y));
      value = std::isnan(over) ? value : over;
    }
    return value;
  };
  std::size_t filled = 0;
  for (int y = 800; y < 1400; ++y) {
    for (int x = 0; x < 5000; ++x) {
      REQUIRE(same(whole(y - 800, x), expect(x, y)));
      filled += whole(y - 800, x) == -1.0F ? 0 : 1;
    }
  }
  CHECK(filled > 500000);
  const Image<float> later = made(931);
  for (int y = 931; y < 1400; ++y) {
    for (int x = 0; x < 5000; ++x) {
      REQUIRE(same(later(y - 800, x), whole(y - 800, x)));
    }
  }
  CHECK(wide.largest < 2200 * 500);
}

namespace {

// A projection all of whose outer sides are filled from one image that is turned against it.
const CellGeometry kCell{330, 300, 60, 4, 60};
const std::set<std::pair<int, int>> kLayout = {{2, 1}, {2, 2}, {3, 1}, {3, 2}, {3, 3}, {4, 2}};

/// Grid of a cell of that projection.
GnomonicGrid grid_in_layout(int x, int y) {
  return grid_at(20.0, 58.0, 600.0 - x * kCell.step_x(), 900.0 - y * kCell.step_y(), 1e-3);
}

bool has_row(int y) {
  return std::any_of(kLayout.begin(), kLayout.end(), [&](const auto& p) { return p.first == y; });
}

struct PaddedCell {
  PaddedSides sides;
  std::vector<CellPad> pads;
};

/// The rules of the list: outer cells of rows, first and last row.
PaddedCell padded_cell(int x, int y, WholeImage& source, const GnomonicGrid& of_source) {
  PaddedCell out;
  const CellGeometry& g = kCell;
  out.sides = {kLayout.count({y, x - 1}) == 0, kLayout.count({y, x + 1}) == 0, !has_row(y - 1),
               !has_row(y + 1)};
  const Box usable = source.image().box().grown(-g.edge);
  const auto add = [&](bool there, const Box& window) {
    if (there) {
      out.pads.push_back({window, {grid_in_layout(x, y), of_source}, usable, &source});
    }
  };
  const auto& s = out.sides;
  const int w = g.width;
  const int h = g.height;
  add(s.top, {0, w, h - g.edge, h + g.pad});
  add(s.bottom, {0, w, -g.pad, g.edge});
  add(s.left, {-g.pad, g.edge, 0, h});
  add(s.right, {w - g.edge, w + g.pad, 0, h});
  add(s.top && s.left, {-g.pad, g.edge, h - g.edge, h + g.pad});
  add(s.top && s.right, {w - g.edge, w + g.pad, h - g.edge, h + g.pad});
  add(s.bottom && s.left, {-g.pad, g.edge, -g.pad, g.edge});
  add(s.bottom && s.right, {w - g.edge, w + g.pad, -g.pad, g.edge});
  return out;
}

/// A cell with all that is around it: rows and columns -pad .. side + pad.
Image<float> extended(int x, int y, WholeImage& source, const GnomonicGrid& of_source) {
  const CellGeometry& g = kCell;
  const Image<float> own = field(g.width, g.height, static_cast<std::uint64_t>(100 * y + x));
  const PaddedCell cell = padded_cell(x, y, source, of_source);
  Image<float> out(g.width + 2 * g.pad, g.height + 2 * g.pad, kNan);
  for (int i = -g.pad; i < g.height + g.pad; ++i) {
    for (int j = -g.pad; j < g.width + g.pad; ++j) {
      float& value = out(i + g.pad, j + g.pad);
      if (own.box().contains(j, i)) {
        value = own(i, j);
      }
      for (const CellPad& pad : cell.pads) {
        const float over =
            pad.window.contains(j, i)
                ? bilinear(source.image().view().sub(pad.usable), pad.usable, pad.to_source(j, i))
                : kNan;
        value = std::isnan(over) ? value : over;
      }
    }
  }
  return out;
}

using Extended = std::map<std::pair<int, int>, Image<float>>;

/// Pixel of the assembled row y at row i of its cells and column j of the projection: of the cell
/// that owns the column.
/// @param reach how much of its paddings counts beyond its sides
float assembled(const Extended& cells, int y, int i, int column, int reach) {
  const CellGeometry& g = kCell;
  for (const auto& [place, image] : cells) {
    const int x = place.second;
    if (place.first != y) {
      continue;
    }
    const int first = kLayout.count({y, x - 1}) != 0 ? g.overlap - g.edge : -reach;
    const int last = kLayout.count({y, x + 1}) != 0 ? g.width - g.edge : g.width + reach;
    const int j = column - x * g.step_x();
    if (j >= first && j < last) {
      return image(i + g.pad, j + g.pad);
    }
  }
  return kNan;
}

/// The rows around a cell. With reach 0 its own part has the values that count as missing or not: a
/// neighbour's paddings have light, but no pixels.
Image<float> master(const Extended& cells, int x, int y, int reach) {
  const CellGeometry& g = kCell;
  Image<float> out(g.width + 2 * g.pad, g.height + 2 * g.pad);
  for (int i = -g.pad; i < g.height + g.pad; ++i) {
    for (int j = -g.pad; j < g.width + g.pad; ++j) {
      const bool below = i < g.edge && has_row(y - 1);
      const bool above = i >= g.height - g.edge && has_row(y + 1);
      const int row = below ? y - 1 : above ? y + 1 : y;
      out(i + g.pad, j + g.pad) =
          assembled(cells, row, i + (y - row) * g.step_y(), x * g.step_x() + j, reach);
    }
  }
  return out;
}

/// Rows of a cell that is one band of fluxes.
class ImageRows final : public RowSource {
 public:
  explicit ImageRows(Image<float> image) : image_(std::move(image)) { block_.bands.resize(1); }
  [[nodiscard]] int rows_per_read() const override { return 64; }
  const RowBlock& read(int first, int count) override {
    block_.bands[0].flux = Image<float>(image_.width(), count);
    block_.mask = Image<std::uint16_t>(image_.width(), count);
    for (int i = 0; i < count; ++i) {
      const auto row = image_.view().row(first + i);
      std::copy(row.begin(), row.end(), block_.bands[0].flux.view().row(i).begin());
    }
    return block_;
  }

 private:
  Image<float> image_;
  RowBlock block_;
};

/// A cell as `combine` leaves it. @param gaussian null: its pixels
CellResult combined(int x, int y, WholeImage& source, const GnomonicGrid& of_source,
                    const numerics::MultirateGaussian* gaussian) {
  const CellGeometry& g = kCell;
  const PaddedCell padded = padded_cell(x, y, source, of_source);
  PadRows pads(padded.pads, padded.sides.left ? -g.pad : 0,
               g.width + (padded.sides.right ? g.pad : 0));
  ImageRows rows(field(g.width, g.height, static_cast<std::uint64_t>(100 * y + x)));
  return combine_cell({g,
                       x,
                       y,
                       g.width,
                       g.height,
                       {1.0},
                       MissingPixel::nan,
                       false,
                       gaussian,
                       padded.sides,
                       &pads,
                       g.pad},
                      rows);
}

void check_cell(const Image<float>& out, const Extended& explicit_cells, int x, int y) {
  const CellGeometry& g = kCell;
  const Image<float> pixels = master(explicit_cells, x, y, 0);
  Image<float> light = master(explicit_cells, x, y, g.pad);
  for (float& value : light.pixels()) {
    value = std::isnan(value) ? 0.0F : value;
  }
  const Image<double> reference = tests::exact_gaussian(light, 7.5);
  double scale = 0.0;
  double error = 0.0;
  std::size_t other_nan = 0;
  for (int i = 0; i < g.height; ++i) {
    for (int j = 0; j < g.width; ++j) {
      const double expected = reference(i + g.pad, j + g.pad);
      scale = std::max(scale, std::abs(expected));
      const bool missing = std::isnan(pixels(i + g.pad, j + g.pad));
      other_nan += missing != std::isnan(out(i, j)) ? 1 : 0;
      error = std::isnan(out(i, j))
                  ? error
                  : std::max(error, std::abs(static_cast<double>(out(i, j)) - expected));
    }
  }
  INFO("cell " << x << ", " << y);
  CHECK(error / scale <= 1e-6);
  CHECK(other_nan == 0);
}

bool is_near(std::pair<int, int> place, int x, int y) {
  return std::abs(place.first - y) <= 1 && std::abs(place.second - x) <= 1;
}

}  // namespace

TEST_CASE("cells padded on all outer sides are those of assembled rows") {
  const CellGeometry& g = kCell;
  const numerics::MultirateGaussian gaussian(
      numerics::plan_gaussian({7.5, 1e-6, 0, numerics::GaussianMethod::multirate}));
  numerics::GaussianConvolution plain(
      numerics::plan_gaussian({7.5, 1e-6, g.pad - g.edge, numerics::GaussianMethod::direct}));
  WholeImage source(field(1500, 1400, 3));
  const GnomonicGrid of_source = grid_at(21.2, 58.1, 380.0, 560.0, 1.002e-3);
  Extended explicit_cells;
  std::map<std::pair<int, int>, CombinedCell> cells;
  std::map<std::pair<int, int>, Image<float>> kept;
  for (const auto& [y, x] : kLayout) {
    const std::pair place(y, x);
    explicit_cells.emplace(place, extended(x, y, source, of_source));
    cells.emplace(place, combined(x, y, source, of_source, &gaussian).cell);
    kept.emplace(place, combined(x, y, source, of_source, nullptr).pixels);
  }
  for (const auto& [y, x] : kLayout) {
    const bool below = has_row(y - 1);
    const bool above = has_row(y + 1);
    Surroundings around{x, y, {}, below, above};
    PixelSurroundings pixels{x, y, {}, below, above};
    for (const auto& [place, cell] : cells) {
      if (is_near(place, x, y)) {
        const Box all = Box{0, g.width, 0, g.height}.grown(g.pad);
        around.cells.push_back(&cell);
        pixels.cells.push_back({place.second, place.first, all, kept.at(place)});
      }
    }
    Image<float> out(g.width, g.height);
    ConvolvedCell(gaussian, g, {}, around).rows(0, out.view());
    check_cell(out, explicit_cells, x, y);
    check_cell(convolved_pixels(plain, g, {}, pixels), explicit_cells, x, y);
  }
}
