// Previews of cells: the right pixels, and one lattice for all cells of a projection.

#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/skycells/convolve/kernel_preview.hpp"

using namespace skyloom;
using namespace skyloom::skycells;

TEST_CASE("previews of neighbours share their points") {
  const CellGeometry real{6240, 6243, 480, 10, 480};
  CHECK(preview_step(real) == 98);
  const CellGeometry g{150, 130, 40, 4, 40};
  const int step = preview_step(g);
  CHECK(step == 3);
  for (const int x : {0, 1, 7}) {
    for (const int y : {0, 2, 5}) {
      Preview preview(g, x, y);
      std::vector<float> row(150);
      for (int i = 0; i < 130; ++i) {
        for (int j = 0; j < 150; ++j) {
          // Every pixel says where in the projection it is.
          row[static_cast<std::size_t>(j)] = static_cast<float>(10000 * (y * 90 + i) + x * 110 + j);
        }
        preview.add(i, row);
      }
      const Image<float>& points = preview.points();
      CHECK(points.width() == kPreviewPoints);
      CHECK(points.height() == kPreviewPoints);
      int shown = 0;
      for (int i = 0; i < points.height(); ++i) {
        for (int j = 0; j < points.width(); ++j) {
          const int px = (preview.first_x() + j) * step;
          const int py = (preview.first_y() + i) * step;
          const bool inside = px < x * 110 + 150 && py < y * 90 + 130;
          CHECK(std::isnan(points(i, j)) == !inside);
          if (inside) {
            ++shown;
            CHECK(points(i, j) == static_cast<float>(10000 * py + px));
          }
        }
      }
      CHECK(shown >= 49 * 43);
    }
  }
}
