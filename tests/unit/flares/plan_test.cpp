// How the light curves of a survey are dealt to the members of a job array.

#include "pipelines/flares/sectors.hpp"

#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

using namespace skyloom;

TEST_CASE("Every sector is in exactly one share, and shares are about equal") {
  const std::size_t shares = 7;
  std::vector<int> sectors(shares, 0);
  for (std::int64_t tic = 100; tic < 600; ++tic) {
    for (int sector = 1; sector <= 14; ++sector) {
      int found = 0;
      for (std::size_t i = 0; i < shares; ++i) {
        if (flares::is_in_share({tic, sector, "a file"}, {i, shares})) {
          ++sectors[i];
          ++found;
        }
      }
      REQUIRE(found == 1);
    }
  }
  for (const int count : sectors) {
    CHECK(std::abs(count - 1000) < 5 * std::sqrt(1000.0));
  }
}

TEST_CASE("The share of a light curve is told by star and sector alone") {
  // Run directories of job arrays rely on these.
  const auto share = [](std::int64_t tic, int sector, const char* path) {
    std::size_t i = 0;
    while (!flares::is_in_share({tic, sector, path}, {i, 1000})) {
      ++i;
    }
    return i;
  };
  CHECK(share(142052876, 1, "a/x_lc.fits") == share(142052876, 1, "b/y_lc.fits"));
  CHECK(share(142052876, 1, "x") == 193);
  CHECK(share(142052876, 2, "x") == 591);
  CHECK(share(0, 0, "a/broken_lc.fits") == share(0, 0, "b/broken_lc.fits"));
  CHECK(flares::is_in_share({5, 1, "x"}, {0, 1}));
}
