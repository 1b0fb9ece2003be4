// How a survey is dealt out: light curves to the members of a job array, injections to units; and
// which flares of it are drawn.

#include <algorithm>
#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/flares/inject/stage.hpp"
#include "pipelines/flares/report_parts.hpp"
#include "pipelines/flares/sectors.hpp"

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

TEST_CASE("Blocks of injections are cut by trials, and make up the sector") {
  const auto largest = [](const flares::Config& config, std::size_t sectors) {
    int next = 0;
    int most = 0;
    for (const flares::InjectionBlock& block : flares::injection_blocks(config, sectors)) {
      REQUIRE(block.first == next);
      next += block.count;
      most = std::max(most, block.count * block.repeats);
    }
    REQUIRE(next == config.injection.n_inject);
    return most;
  };
  flares::Config config;
  CHECK(largest(config, 20) == 5000);
  CHECK(largest(config, 200'000) == 20'000);
  config.injection.n_inject = 100'000;
  config.injection.n_repeat = 100;
  CHECK(largest(config, 20) == 5000);
  CHECK(largest(config, 200'000) == 50'000);
  config.injection.n_repeat = 1000;
  CHECK(largest(config, 200'000) == 50'000);
  config.injection.block_flares = 70'000;
  CHECK(largest(config, 20) == 70'000'000);
}

TEST_CASE(
    "A long list of flares is drawn by its largest, and evenly in the logarithm of the rank") {
  for (const std::size_t count : {0U, 1U, 299U, 300U, 301U, 1000U}) {
    CHECK(flares::drawn_points(count).size() == count);
  }
  const std::vector<std::size_t> drawn = flares::drawn_points(3'000'000);
  CHECK(drawn.size() > 2000);
  CHECK(drawn.size() <= flares::kLargestDrawn + 2000);
  CHECK(drawn[flares::kLargestDrawn - 1] == flares::kLargestDrawn - 1);
  CHECK(drawn.back() == 3'000'000 - 1);
  for (std::size_t i = 1; i < drawn.size(); ++i) {
    REQUIRE(drawn[i] > drawn[i - 1]);
    const double ratio = static_cast<double>(drawn[i] + 1) / static_cast<double>(drawn[i - 1] + 1);
    REQUIRE((drawn[i] == drawn[i - 1] + 1 || ratio < 1.007));
  }
}
