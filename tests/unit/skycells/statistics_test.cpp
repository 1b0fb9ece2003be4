// Statistics of rows and pixels that belong to one cell alone.

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include "pipelines/skycells/combine/kernel_statistics.hpp"
#include "pipelines/skycells/convolve/kernel_owned.hpp"
#include "skyloom/core/image.hpp"

using namespace skyloom;
using namespace skyloom::skycells;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST_CASE("statistics leave missing pixels out") {
  StatisticsSum sum;
  sum.add(std::vector<float>{1.0F, kNan, -2.0F, 4.0F});
  sum.add(std::vector<float>{kNan, kNan, 7.0F, 5.0F});
  const PixelStatistics found = sum.result();
  CHECK(found.missing == 3);
  CHECK(found.minimum == -2.0);
  CHECK(found.maximum == 7.0);
  CHECK(found.mean == 3.0);
  StatisticsSum none;
  none.add(std::vector<float>{kNan, kNan});
  CHECK(none.result().missing == 2);
  CHECK(std::isnan(none.result().mean));
  CHECK(std::isnan(none.result().minimum));
}

// Every layout of nine cells: what they own together is every pixel of the sky once.
TEST_CASE("owned pixels cover the sky once") {
  const CellGeometry g{40, 36, 12, 2, 10};
  const int width = 2 * g.step_x() + g.width;
  const int height = 2 * g.step_y() + g.height;
  for (unsigned layout = 1; layout < 512; ++layout) {
    const auto is_there = [&](int x, int y) {
      return x >= 0 && x < 3 && y >= 0 && y < 3 && (layout >> (3 * y + x) & 1U) != 0;
    };
    Image<int> covered(width, height, 0);
    Image<int> owned(width, height, 0);
    for (int y = 0; y < 3; ++y) {
      for (int x = 0; x < 3; ++x) {
        if (!is_there(x, y)) {
          continue;
        }
        Neighbours around;
        for (int dy = -1; dy <= 1; ++dy) {
          for (int dx = -1; dx <= 1; ++dx) {
            around.present[1 + dy][1 + dx] = is_there(x + dx, y + dy);
          }
        }
        const OwnedPixels pixels(g, around);
        for (int i = 0; i < g.height; ++i) {
          std::vector<float> values(static_cast<std::size_t>(g.width), 1.0F);
          std::vector<std::uint64_t> bits(1, 0);
          pixels.clear_others(i, values);
          pixels.mark_others(i, bits);
          for (int j = 0; j < g.width; ++j) {
            const bool is_own = !std::isnan(values[static_cast<std::size_t>(j)]);
            REQUIRE(is_own == ((bits[0] >> j & 1U) == 0));
            covered(y * g.step_y() + i, x * g.step_x() + j) = 1;
            owned(y * g.step_y() + i, x * g.step_x() + j) += is_own ? 1 : 0;
          }
        }
      }
    }
    INFO("layout " << layout);
    REQUIRE(std::equal(covered.pixels().begin(), covered.pixels().end(), owned.pixels().begin()));
  }
}
