// A PSF of one array per cell.

#include "skyloom/sky/grid_psf.hpp"

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"

using namespace skyloom;
using sky::GridPsf;
using sky::GridPsfCell;

namespace {

/// Cells of 100 pixels whose arrays hold one number each; columns 0 to 2, rows 0 and 1.
std::vector<GridPsfCell> cells() {
  std::vector<GridPsfCell> out;
  for (int row = 0; row < 2; ++row) {
    for (int column = 0; column < 3; ++column) {
      out.push_back({50.0 + 100.0 * column, 50.0 + 100.0 * row,
                     Image<float>(5, 5, static_cast<float>(10 * row + column))});
    }
  }
  return out;
}

float value(const GridPsf& psf, double x, double y) {
  return psf.at(x, y).values(2, 2);
}

}  // namespace

TEST_CASE("without interpolation the nearest cell counts", "[grid_psf]") {
  const GridPsf psf(cells(), 1, false);
  CHECK(value(psf, 20.0, 20.0) == 0.0F);
  CHECK(value(psf, 99.0, 20.0) == 0.0F);
  CHECK(value(psf, 101.0, 20.0) == 1.0F);
  CHECK(value(psf, 299.0, 180.0) == 12.0F);
  CHECK_FALSE(psf.is_constant());
}

TEST_CASE("between centres the arrays are mixed bilinearly", "[grid_psf]") {
  const GridPsf psf(cells(), 2, true);
  CHECK(psf.at(0, 0).oversampling == 2);
  CHECK(value(psf, 50.0, 50.0) == 0.0F);
  CHECK(value(psf, 75.0, 50.0) == Approx(0.25));
  CHECK(value(psf, 225.0, 125.0) == Approx(1.75 + 7.5));
  CHECK(value(psf, -30.0, 110.0) == Approx(6.0));  // held beyond the outermost centres
  CHECK(value(psf, 400.0, 400.0) == Approx(12.0));
}

TEST_CASE("the weight of a missing cell goes to the others", "[grid_psf]") {
  std::vector<GridPsfCell> some = cells();
  some.erase(some.begin() + 1);  // row 0, column 1
  const GridPsf psf(some, 1, true);
  // At (125, 75): weights 0.25 * 0.75 (missing, 1), ... of (1, 2; 11, 12).
  const double w12 = 0.25 * 0.75;
  const double w21 = 0.75 * 0.25;
  const double w22 = 0.25 * 0.25;
  CHECK(value(psf, 175.0, 75.0) ==
        Approx((w12 * 2.0 + w21 * 11.0 + w22 * 12.0) / (w12 + w21 + w22)));
  CHECK(value(psf, 150.0, 50.0) == Approx(0.0));  // nothing but the missing one: the nearest
}

TEST_CASE("a single cell is constant, and bad arrays are refused", "[grid_psf]") {
  const GridPsf psf({cells().front()}, 1, true);
  CHECK(psf.is_constant());
  CHECK_THROWS_AS(GridPsf({}, 1, false), ConfigError);
  CHECK_THROWS_AS(GridPsf({{0.0, 0.0, Image<float>(4, 4)}}, 1, false), ConfigError);
  CHECK_THROWS_AS(
      GridPsf({{0.0, 0.0, Image<float>(5, 5)}, {9.0, 0.0, Image<float>(7, 7)}}, 1, false),
      ConfigError);
}
