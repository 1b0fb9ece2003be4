#include "pipelines/skycells/simulate_maps.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include <fmt/format.h>

#include "skyloom/sky/wcs.hpp"

namespace skyloom::skycells {
namespace {

constexpr double kDegree = std::numbers::pi / 180.0;

sky::Wcs detector_wcs(const std::vector<io::FitsCard>& cards) {
  std::string text;
  for (const auto& [keyword, value] : cards) {
    std::string card = std::visit(
        [&, &name = keyword](const auto& v) {
          if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::string>) {
            return fmt::format("{:<8}= '{:<8}'", name, v);
          } else {
            return fmt::format("{:<8}= {:>20}", name, v);
          }
        },
        value);
    card.resize(80, ' ');
    text += card;
  }
  return {text, "simulated detector"};
}

std::vector<io::FitsCard> wcs_cards(const std::array<double, 2>& crval,
                                    const std::array<double, 2>& crpix, double scale_deg,
                                    double distortion) {
  constexpr double kTurn = 20.0 * kDegree;
  const double c = scale_deg * std::cos(kTurn);
  const double s = scale_deg * std::sin(kTurn);
  return {{"CTYPE1", "RA---TAN-SIP"},
          {"CTYPE2", "DEC--TAN-SIP"},
          {"RADESYS", "FK5"},
          {"EQUINOX", 2000.0},
          {"CRVAL1", crval[0]},
          {"CRVAL2", crval[1]},
          {"CRPIX1", crpix[0]},
          {"CRPIX2", crpix[1]},
          {"CD1_1", -c},
          {"CD1_2", s},
          {"CD2_1", s},
          {"CD2_2", c},
          {"A_ORDER", std::int64_t{2}},
          {"A_2_0", distortion},
          {"A_1_1", -0.5 * distortion},
          {"B_ORDER", std::int64_t{2}},
          {"B_0_2", -0.7 * distortion},
          {"B_1_1", 0.4 * distortion},
          // The inverse, to first order.
          {"AP_ORDER", std::int64_t{2}},
          {"AP_2_0", -distortion},
          {"AP_1_1", 0.5 * distortion},
          {"BP_ORDER", std::int64_t{2}},
          {"BP_0_2", 0.7 * distortion},
          {"BP_1_1", -0.4 * distortion}};
}

std::array<double, 2> mean_position(const std::vector<surveys::Skycell>& cells) {
  std::array<double, 3> sum{};
  for (const surveys::Skycell& cell : cells) {
    const double dec = cell.dec_deg * kDegree;
    const double ra = cell.ra_deg * kDegree;
    sum[0] += std::cos(dec) * std::cos(ra);
    sum[1] += std::cos(dec) * std::sin(ra);
    sum[2] += std::sin(dec);
  }
  const double ra_deg = std::atan2(sum[1], sum[0]) / kDegree;
  return {ra_deg < 0.0 ? ra_deg + 360.0 : ra_deg,
          std::atan2(sum[2], std::hypot(sum[0], sum[1])) / kDegree};
}

/// Detector pixels of a lattice of points of a cell, kStep apart; the last ones lie outside it.
struct Lattice {
  static constexpr int kStep = 32;
  int columns = 0;
  std::vector<double> x;
  std::vector<double> y;
};

Lattice lattice_of(const surveys::Skycell& cell, const sky::Wcs& detector) {
  Lattice out;
  out.columns = cell.width / Lattice::kStep + 2;
  const int rows = cell.height / Lattice::kStep + 2;
  for (int j = 0; j < rows; ++j) {
    for (int i = 0; i < out.columns; ++i) {
      out.x.push_back(i * Lattice::kStep);
      out.y.push_back(j * Lattice::kStep);
    }
  }
  std::vector<double> ra(out.x.size());
  std::vector<double> dec(out.x.size());
  sky::Wcs(cell.wcs_cards(), cell.id.name()).to_sky(out.x, out.y, ra, dec);
  detector.to_pixel(ra, dec, out.x, out.y);
  return out;
}

/// Per pixel of the oversampled detector the cell whose centre is nearest, of those that hold it.
Image<std::int32_t> nearest_cells(const SimulatedSky& sky, const DetectorGrid& grid,
                                  int oversample) {
  Image<std::int32_t> out(grid.width * oversample, grid.height * oversample, -1);
  const std::size_t count = out.pixels().size();
  std::vector<double> x(count);
  std::vector<double> y(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto width = static_cast<std::size_t>(out.width());
    const std::size_t column = i % width;
    const std::size_t row = i / width;
    x[i] = (static_cast<double>(column) + 0.5) / oversample - 0.5;
    y[i] = (static_cast<double>(row) + 0.5) / oversample - 0.5;
  }
  std::vector<double> ra(count);
  std::vector<double> dec(count);
  detector_wcs(grid.cards).to_sky(x, y, ra, dec);
  std::vector<double> nearest(count, std::numeric_limits<double>::infinity());
  for (std::size_t c = 0; c < sky.list.cells.size(); ++c) {
    const surveys::Skycell& cell = sky.list.cells[c];
    sky::Wcs(cell.wcs_cards(), cell.id.name()).to_pixel(ra, dec, x, y);
    const Box inner = Box{0, cell.width - 1, 0, cell.height - 1}.grown(-sky.options.rules.edge);
    for (std::size_t i = 0; i < count; ++i) {
      const double distance = std::max(std::abs(x[i] - 0.5 * (cell.width - 1)) / cell.width,
                                       std::abs(y[i] - 0.5 * (cell.height - 1)) / cell.height);
      if (inner.contains(x[i], y[i]) && distance < nearest[i]) {
        nearest[i] = distance;
        out.pixels()[i] = static_cast<std::int32_t>(c);
      }
    }
  }
  return out;
}

Image<std::int32_t> cell_map(const surveys::Skycell& cell, std::int32_t index,
                             const Lattice& lattice, const Image<std::int32_t>& owner,
                             int oversample) {
  Image<std::int32_t> out(cell.width, cell.height, -1);
  for (int y = 0; y < cell.height; ++y) {
    const double v = static_cast<double>(y % Lattice::kStep) / Lattice::kStep;
    const std::size_t row = static_cast<std::size_t>(y / Lattice::kStep * lattice.columns);
    for (int x = 0; x < cell.width; ++x) {
      const double u = static_cast<double>(x % Lattice::kStep) / Lattice::kStep;
      const std::size_t at = row + static_cast<std::size_t>(x / Lattice::kStep);
      const std::size_t above = at + static_cast<std::size_t>(lattice.columns);
      const auto between = [&](const std::vector<double>& p) {
        return (1.0 - v) * ((1.0 - u) * p[at] + u * p[at + 1]) +
               v * ((1.0 - u) * p[above] + u * p[above + 1]);
      };
      const auto px = static_cast<int>(std::floor((between(lattice.x) + 0.5) * oversample));
      const auto py = static_cast<int>(std::floor((between(lattice.y) + 0.5) * oversample));
      if (Box{0, owner.width(), 0, owner.height()}.contains(px, py) && owner(py, px) == index) {
        out(y, x) = py * owner.width() + px;
      }
    }
  }
  return out;
}

}  // namespace

DetectorGrid detector_grid(const SimulatedSky& sky) {
  constexpr double kOfOverlap = 84.0 / surveys::kSkycellOverlap;
  const surveys::Skycell& any = sky.list.cells.front();
  const double scale_deg = std::abs(any.cd[3]) * kOfOverlap * sky.options.rules.overlap;
  const std::array<double, 2> crval = mean_position(sky.list.cells);
  const sky::Wcs plain = detector_wcs(wcs_cards(crval, {1.0, 1.0}, scale_deg, 0.0));
  std::array<double, 4> reach{0.0, 0.0, 0.0, 0.0};
  for (const surveys::Skycell& cell : sky.list.cells) {
    const Lattice lattice = lattice_of(cell, plain);
    const auto [x0, x1] = std::minmax_element(lattice.x.begin(), lattice.x.end());
    const auto [y0, y1] = std::minmax_element(lattice.y.begin(), lattice.y.end());
    reach = {std::min(reach[0], *x0), std::max(reach[1], *x1), std::min(reach[2], *y0),
             std::max(reach[3], *y1)};
  }
  constexpr double kMargin = 4.0;
  DetectorGrid grid;
  grid.width = static_cast<int>(std::ceil(reach[1] - reach[0] + 2.0 * kMargin));
  grid.height = static_cast<int>(std::ceil(reach[3] - reach[2] + 2.0 * kMargin));
  const double size = 0.5 * std::max(grid.width, grid.height);
  constexpr double kAtRim = 1.5;  // detector pixels
  grid.cards = wcs_cards(crval, {1.0 + kMargin - reach[0], 1.0 + kMargin - reach[2]}, scale_deg,
                         kAtRim / (size * size));
  return grid;
}

void write_registration(const SimulatedSky& sky, const DetectorGrid& grid,
                        const std::filesystem::path& folder, const std::string& stem,
                        int oversample) {
  const std::string ending =
      (oversample > 1 ? fmt::format("_os{}", oversample) : std::string()) + ".fits.gz";
  const Image<std::int32_t> owner = nearest_cells(sky, grid, oversample);
  const auto write = [&](const std::string& name, const Image<std::int32_t>& map,
                         std::vector<io::FitsCard> cards) {
    const std::array<io::FitsImage, 2> images{io::FitsImage{{}, {}},
                                              io::FitsImage{map.view(), std::move(cards)}};
    io::write_fits_images(folder / (stem + "_" + name + ending), images);
  };
  std::vector<io::FitsCard> cards{{"TELESCOP", "TESS"}, {"INSTRUME", "TESS Photometer"}};
  cards.insert(cards.end(), grid.cards.begin(), grid.cards.end());
  write("master_pixels2skycells", owner, cards);
  const sky::Wcs wcs = detector_wcs(grid.cards);
  for (std::size_t i = 0; i < sky.list.cells.size(); ++i) {
    const surveys::Skycell& cell = sky.list.cells[i];
    const auto index = static_cast<std::int32_t>(i);
    write(cell.id.name(), cell_map(cell, index, lattice_of(cell, wcs), owner, oversample),
          {{"SKYCELL", cell.id.name()}});
  }
}

}  // namespace skyloom::skycells
