// The simulated tessellation: what it says about itself must be so.

#include "pipelines/skycells/simulate_sky.hpp"

#include <cmath>
#include <limits>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/sky/wcs.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using namespace skyloom::skycells;
using surveys::PadSide;
using surveys::Skycell;
using surveys::SkycellId;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Flux of a stored pixel, NaN where blank.
double flux_of(const SimulatedPlane& plane, int y, int x) {
  const std::int16_t stored = plane.stored(y, x);
  const PlaneScaling& scaling = plane.scaling;
  if (stored == scaling.integers.blank) {
    return kNan;
  }
  return scaling.asinh.counts(scaling.integers.bzero + scaling.integers.bscale * stored) /
         scaling.exptime_s;
}

/// Spacing of the stored values at a flux.
double step_of(const SimulatedPlane& plane, double flux) {
  const PlaneScaling& scaling = plane.scaling;
  const double slope =
      std::hypot(flux * scaling.exptime_s - scaling.asinh.boffset, 2.0 * scaling.asinh.bsoften);
  return scaling.integers.bscale * slope * std::log(10.0) / 2.5 / scaling.exptime_s;
}

}  // namespace

TEST_CASE("Simulated skycells: the list reads back as it is", "[skycells]") {
  const Scratch scratch;
  const SimulatedSky sky = make_sky(sky_options("tiny", 5));
  REQUIRE(sky.list.cells.size() == 15);
  const std::string path = scratch.file("cells.csv", io::csv_text(metadata_table(sky))).string();
  const surveys::SkycellList list = surveys::read_skycell_list(path);
  REQUIRE(list.cells.size() == sky.list.cells.size());
  CHECK(list.padding_sources.empty());
  CHECK(list.warnings.empty());
  for (std::size_t i = 0; i < list.cells.size(); ++i) {
    CHECK(list.cells[i].id == sky.list.cells[i].id);
    CHECK(list.cells[i].line == sky.list.cells[i].line);
    CHECK(list.cells[i].wcs_cards() == sky.list.cells[i].wcs_cards());
    CHECK(list.cells[i].pads == sky.list.cells[i].pads);
  }
  CHECK(truth_table(sky).rows() == sky.stars.size());
}

TEST_CASE("Simulated skycells: two projections meet, turned against each other", "[skycells]") {
  const SimulatedSky sky = make_sky(sky_options("tiny", 5));
  const Skycell& west = *sky.list.find({2404, 5, 2});
  const Skycell& east = *sky.list.find({2405, 5, 5});
  CHECK(east.ra_deg > west.ra_deg);
  // North up in one is 6 degrees off in the other.
  const double x[] = {0.0, 0.0};
  const double y[] = {100.0, 200.0};
  double ra[2];
  double dec[2];
  double u[2];
  double v[2];
  sky::Wcs(west.wcs_cards(), "west").to_sky(x, y, ra, dec);
  sky::Wcs(east.wcs_cards(), "east").to_pixel(ra, dec, u, v);
  const double turn_deg = std::atan2(u[1] - u[0], v[1] - v[0]) * 180.0 / 3.14159265358979;
  CHECK(std::abs(std::abs(turn_deg) - 7.2 * std::sin(58.0 * 3.14159265358979 / 180.0)) < 0.5);
  // The left side of the western one is filled by the eastern one, and the other way round.
  REQUIRE_FALSE(west.pads.empty());
  CHECK(west.pads[0].side == PadSide::left);
  for (const surveys::SkycellPad& pad : west.pads) {
    for (const SkycellId& source : pad.sources) {
      CHECK(source.projection == 2405);
    }
  }
  REQUIRE_FALSE(east.pads.empty());
  CHECK(east.pads[0].side == PadSide::right);
  CHECK(sky.list.find({2404, 5, 4})->pads.empty());
}

TEST_CASE("Simulated skycells: stored pixels hold truth and noise", "[skycells]") {
  const SimulatedSky sky = make_sky(sky_options("tiny", 5));
  const Skycell& cell = *sky.list.find({2404, 5, 2});
  const SimulatedPlane plane = draw_plane(sky, cell, 1);
  double sum = 0.0;
  double squares = 0.0;
  int count = 0;
  int blank = 0;
  int saturated = 0;
  int wrong = 0;
  for (int y = 0; y < cell.height; ++y) {
    for (int x = 0; x < cell.width; ++x) {
      const double flux = flux_of(plane, y, x);
      const bool has_blank_bit = (plane.mask(y, x) & 0x0008) != 0;
      const bool is_border = std::min(x, y) < 3 || x >= cell.width - 3 || y >= cell.height - 3;
      wrong += std::isnan(flux) != has_blank_bit || (is_border && !has_blank_bit);
      blank += has_blank_bit;
      if ((plane.mask(y, x) & 0x1020) != 0) {
        wrong += (plane.mask(y, x) & 0x1020) != 0x1020 || plane.truth(y, x) < flux - 1.0;
        ++saturated;
      } else if (!has_blank_bit) {
        const double off = flux - static_cast<double>(plane.truth(y, x));
        sum += off;
        squares += off * off;
        ++count;
      }
    }
  }
  CHECK(wrong == 0);
  CHECK(saturated > 0);
  CHECK(blank > 2 * 3 * (cell.width + cell.height) - 36);
  CHECK(std::abs(sum / count) < 4.0 * sky.options.noise / std::sqrt(count));
  CHECK(std::sqrt(squares / count) == Approx(sky.options.noise).epsilon(0.02));
  // Again, the same bits; another seed, others.
  const SimulatedPlane again = draw_plane(make_sky(sky_options("tiny", 5)), cell, 1);
  const auto equal = [&](const SimulatedPlane& other) {
    return std::equal(plane.stored.pixels().begin(), plane.stored.pixels().end(),
                      other.stored.pixels().begin());
  };
  CHECK(equal(again));
  CHECK_FALSE(equal(draw_plane(make_sky(sky_options("tiny", 6)), cell, 1)));
}

TEST_CASE("Simulated skycells: neighbours agree where they overlap", "[skycells]") {
  const SimulatedSky sky = make_sky(sky_options("tiny", 5));
  const int overlap = sky.options.rules.overlap;
  const Skycell& left = *sky.list.find({2405, 5, 3});
  const Skycell& right = *sky.list.find({2405, 5, 4});
  const Skycell& above = *sky.list.find({2405, 6, 4});
  const SimulatedPlane first = draw_plane(sky, left, 0);
  const SimulatedPlane second = draw_plane(sky, right, 0);
  const SimulatedPlane third = draw_plane(sky, above, 0);
  int compared = 0;
  int wrong = 0;
  const auto compare = [&](const SimulatedPlane& a, int ya, int xa, const SimulatedPlane& b, int yb,
                           int xb) {
    const double fa = flux_of(a, ya, xa);
    const double fb = flux_of(b, yb, xb);
    const bool is_saturated = ((a.mask(ya, xa) | b.mask(yb, xb)) & 0x0020) != 0;
    if (!std::isnan(fa) && !std::isnan(fb) && !is_saturated) {
      ++compared;
      wrong += std::abs(fa - fb) > 0.51 * (step_of(a, fa) + step_of(b, fb));
    }
  };
  for (int y = 0; y < left.height; ++y) {
    for (int x = 0; x < overlap; ++x) {
      wrong += std::abs(first.truth(y, left.width - overlap + x) - second.truth(y, x)) >
               1e-5F * second.truth(y, x);
      compare(first, y, left.width - overlap + x, second, y, x);
    }
  }
  for (int y = 0; y < overlap; ++y) {
    for (int x = 0; x < above.width; ++x) {
      compare(second, right.height - overlap + y, x, third, y, x);
    }
  }
  CHECK(compared > 25000);
  CHECK(wrong == 0);
}

TEST_CASE("Simulated skycells: a star has its light in every cell that sees it", "[skycells]") {
  SkyOptions options = sky_options("tiny", 5);
  options.extended = 0.0;
  options.stars_per_cell = 2;
  options.saturated_per_cell = 0;
  const SimulatedSky sky = make_sky(options);
  std::vector<Image<float>> truths;
  for (const Skycell& cell : sky.list.cells) {
    truths.push_back(draw_plane(sky, cell, 2).truth);
  }
  int seen = 0;
  int seen_by_other = 0;
  for (const TrueStar& star : sky.stars) {
    for (std::size_t i = 0; i < truths.size(); ++i) {
      const Skycell& cell = sky.list.cells[i];
      const sky::Wcs wcs(cell.wcs_cards(), "cell");
      const auto place = [&](const TrueStar& of, double& x, double& y) {
        wcs.to_pixel({&of.ra_deg, 1}, {&of.dec_deg, 1}, {&x, 1}, {&y, 1});
      };
      double x = 0.0;
      double y = 0.0;
      place(star, x, y);
      constexpr double kRadius = 16.0;
      const Box inner = Box{0, cell.width - 1, 0, cell.height - 1}.grown(-17);
      bool is_alone = inner.contains(x, y);
      for (const TrueStar& other : sky.stars) {
        double ox = 0.0;
        double oy = 0.0;
        place(other, ox, oy);
        is_alone = is_alone && (&other == &star || std::hypot(ox - x, oy - y) > 2.0 * kRadius);
      }
      if (!is_alone) {
        continue;
      }
      double sum = 0.0;
      for (int py = static_cast<int>(y) - 16; py <= static_cast<int>(y) + 17; ++py) {
        for (int px = static_cast<int>(x) - 16; px <= static_cast<int>(x) + 17; ++px) {
          const bool is_inside = Box{0, cell.width, 0, cell.height}.contains(px, py);
          sum += is_inside ? static_cast<double>(truths[i](py, px)) : 0.0;
        }
      }
      // Light below a thousandth of the noise is not drawn.
      const double left_out = 1000.0 * 1e-3 * options.noise * 0.1;
      CHECK(std::abs(sum - star.flux[2]) < 1e-5 * star.flux[2] + left_out);
      ++seen;
      seen_by_other += star.projection != cell.id.projection;
    }
  }
  CHECK(seen > 10);
  CHECK(seen_by_other > 0);
}

TEST_CASE("Simulated skycells: the real size has the cells of RINGS.V3", "[skycells]") {
  SkyOptions options = sky_options("row", 1);
  options.stars_per_cell = 1;
  const SimulatedSky sky = make_sky(options);
  REQUIRE(sky.list.cells.size() == 12);
  CHECK(sky.list.find({1405, 5, 3})->crpix == std::array<double, 2>{11760.0, 242.0});
  CHECK(sky.list.find({1405, 5, 0})->pads.at(0).sources.at(0).projection == 1406);
  CHECK(sky.list.find({1405, 5, 4})->pads.empty());
  CHECK_THROWS_AS(sky_options("huge", 1), ConfigError);
}
