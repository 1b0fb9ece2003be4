// Light that varies smoothly over the sky, in two projections that meet: with paddings by the other
// projection the convolved cells do not show where one ends.

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/skycells/combine/kernel_pads.hpp"
#include "pipelines/skycells/combine/kernel_zones.hpp"
#include "pipelines/skycells/convolve/kernel.hpp"
#include "pipelines/skycells/simulate_sky.hpp"
#include "skyloom/sky/wcs.hpp"

#include "support/gaussian_reference.hpp"

using namespace skyloom;
using namespace skyloom::skycells;

namespace {

constexpr double kSigma = 7.5;

SimulatedSky smooth_sky() {
  SkyOptions options = sky_options("tiny", 3);
  options.stars_per_cell = 0;
  options.saturated_per_cell = 0;
  options.extended = 2.0;
  return make_sky(options);
}

/// The light itself, or 1 everywhere, which shows what part of the kernel has pixels under it.
enum class Kind { light, coverage };

class DrawnCell final : public PadPixels {
 public:
  DrawnCell(const SimulatedSky& sky, const surveys::Skycell& cell, Kind kind)
      : image_(draw_plane(sky, cell, 0).truth) {
    if (kind == Kind::coverage) {
      std::fill(image_.pixels().begin(), image_.pixels().end(), 1.0F);
    }
  }
  Image<float> read(const Box& box) override {
    Image<float> out(box.width(), box.height());
    for (int y = 0; y < box.height(); ++y) {
      const auto row = image_.view().sub(box).row(y);
      std::copy(row.begin(), row.end(), out.view().row(y).begin());
    }
    return out;
  }
  [[nodiscard]] const Image<float>& image() const { return image_; }

 private:
  Image<float> image_;
};

using Convolved = std::map<surveys::SkycellId, Image<float>>;

/// All cells, convolved. @param padded by the other projection
Convolved convolve_all(const SimulatedSky& sky, Kind kind, bool padded) {
  const surveys::RowRules& rules = sky.options.rules;
  const CellGeometry g{sky.options.cell_width, sky.options.cell_height, rules.overlap, rules.edge,
                       rules.pad};
  const numerics::MultirateGaussian gaussian(
      numerics::plan_gaussian({kSigma, 1e-6, 0, numerics::GaussianMethod::multirate}));
  std::map<surveys::SkycellId, std::unique_ptr<DrawnCell>> drawn;
  for (const surveys::Skycell& cell : sky.list.cells) {
    drawn.emplace(cell.id, std::make_unique<DrawnCell>(sky, cell, kind));
  }
  std::map<surveys::SkycellId, CombinedCell> combined;
  for (const surveys::Skycell& cell : sky.list.cells) {
    PaddedSides sides;
    std::vector<CellPad> pads;
    surveys::RowCell place;
    place.placed = {0, g.width, 0, g.height};
    for (const surveys::SkycellPad& pad : cell.pads) {
      for (std::size_t i = 0; padded && i < pad.sources.size(); ++i) {
        const surveys::Skycell& other = *sky.list.find(pad.sources[i]);
        const std::string name(surveys::kPadSideNames[static_cast<std::size_t>(pad.side)]);
        const auto has = [&](const char* word) { return name.find(word) != std::string::npos; };
        sides = {sides.left || has("left"), sides.right || has("right"),
                 sides.bottom || has("bottom"), sides.top || has("top")};
        pads.push_back(
            {surveys::pad_window(place, pad.side, rules),
             {{cell.crval_deg, cell.crpix, cell.cd}, {other.crval_deg, other.crpix, other.cd}},
             Box{0, g.width, 0, g.height}.grown(-g.edge),
             drawn.at(other.id).get()});
      }
    }
    CellDecimation decimation(gaussian, g, cell.id.x, cell.id.y, sides, false);
    const PixelRange columns = decimation.columns();
    PadRows rows(pads, columns.first, columns.last);
    std::vector<float> values(static_cast<std::size_t>(columns.last - columns.first));
    for (int row = decimation.rows().first; row < decimation.rows().last; ++row) {
      std::fill(values.begin(), values.end(), std::numeric_limits<float>::quiet_NaN());
      if (row >= 0 && row < g.height) {
        const auto own = drawn.at(cell.id)->image().view().row(row);
        std::copy(own.begin(), own.end(), values.begin() - columns.first);
      }
      rows.extend(row, values);
      decimation.add_row(row, values);
    }
    combined.emplace(cell.id, decimation.finish());
  }
  Convolved out;
  for (const surveys::Skycell& cell : sky.list.cells) {
    const auto& id = cell.id;
    Surroundings around{id.x, id.y, {}, false, false};
    for (const auto& [other, each] : combined) {
      if (other.projection == id.projection && std::abs(other.y - id.y) <= 1) {
        around.row_below = around.row_below || other.y == id.y - 1;
        around.row_above = around.row_above || other.y == id.y + 1;
        around.cells.push_back(&each);
      }
    }
    const ConvolvedCell convolved(gaussian, g, {}, around);
    Image<float>& image = out.emplace(id, Image<float>(g.width, g.height)).first->second;
    convolved.rows(0, image.view());
  }
  return out;
}

/// The cell's light as if its projection had no end: the formula of SkyOptions::extended.
Image<double> endless(const SimulatedSky& sky, const surveys::Skycell& cell, int margin) {
  const double radian = std::numbers::pi / 180.0;
  const double phase = 2.0 * std::numbers::pi / (cell.width * cell.cd[3]);
  const sky::Wcs wcs(cell.wcs_cards(), cell.id.name());
  Image<float> image(cell.width + 2 * margin, cell.height + 2 * margin);
  for (int row = 0; row < image.height(); ++row) {
    for (int column = 0; column < image.width(); ++column) {
      const double x = column - margin;
      const double y = row - margin;
      double ra = 0.0;
      double dec = 0.0;
      wcs.to_sky({&x, 1}, {&y, 1}, {&ra, 1}, {&dec, 1});
      const double along = std::cos(dec * radian) * std::cos(ra * radian) / radian;
      image(row, column) =
          static_cast<float>(0.25 * sky.options.extended * (1.0 + std::sin(phase * along)) *
                             (1.0 + std::sin(phase * dec)));
    }
  }
  return tests::exact_gaussian(image, kSigma);
}

}  // namespace

TEST_CASE("Simulated skycells: smooth light has no seam between projections", "[skycells]") {
  const SimulatedSky sky = smooth_sky();
  const Convolved light = convolve_all(sky, Kind::light, true);
  const Convolved covered = convolve_all(sky, Kind::coverage, true);
  const Convolved unpadded = convolve_all(sky, Kind::light, false);
  const Convolved alone = convolve_all(sky, Kind::coverage, false);
  constexpr int kMargin = 60;
  double worst = 0.0;
  double worst_unpadded = 0.0;
  int across = 0;
  for (const surveys::Skycell& cell : sky.list.cells) {
    if (cell.pads.empty()) {
      continue;
    }
    const Image<double> expected = endless(sky, cell, kMargin);
    const Image<float>& got = light.at(cell.id);
    for (int y = 0; y < got.height(); ++y) {
      for (int x = 0; x < got.width(); ++x) {
        if (!(covered.at(cell.id)(y, x) > 1.0F - 2e-6F)) {
          continue;  // here neither projection has all the pixels
        }
        const double truth = expected(y + kMargin, x + kMargin);
        worst = std::max(worst, std::abs(static_cast<double>(got(y, x)) - truth));
        if (alone.at(cell.id)(y, x) < 0.99F) {
          worst_unpadded = std::max(
              worst_unpadded, std::abs(static_cast<double>(unpadded.at(cell.id)(y, x)) - truth));
          ++across;
        }
      }
    }
  }
  INFO(worst << " " << worst_unpadded << " " << across);
  // Bilinear interpolation of a wave of 330 pixels loses up to (2 pi / 330)^2 / 8 per axis.
  CHECK(worst < 5e-5);
  CHECK(worst_unpadded > 0.2);
  CHECK(across > 3000);
}
