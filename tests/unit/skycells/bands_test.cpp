// Bands to one image: the asinh table against the formula, weighted sums, pixels that a band lacks.

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/skycells/combine/kernel.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/core/random.hpp"

using namespace skyloom;
using namespace skyloom::skycells;

TEST_CASE("the table of a band is the asinh formula") {
  const BandScaling scaling{0.6, 2.1e-4, -32768, false, 12.5, 222.0, 914.0};
  const std::vector<float> table = band_table(scaling, 0.344);
  REQUIRE(table.size() == 65536);
  CHECK(std::isnan(table[0]));
  for (const int q : {-32767, -20000, -2857, -1, 0, 1, 77, 12345, 32767}) {
    const long double v = 0.6L + 2.1e-4L * q;
    const long double counts = 12.5L + 444.0L * std::sinh(v * std::log(10.0L) / 2.5L);
    const auto expected = static_cast<double>(0.344L * counts / 914.0L);
    CHECK(static_cast<double>(table[static_cast<std::size_t>(q + 32768)]) ==
          Approx(expected).epsilon(2e-7).margin(1e-9));
  }
  BandScaling linear;
  linear.linear = true;
  linear.bscale = 0.5;
  linear.exptime_s = 10.0;
  CHECK(band_table(linear, 1.0)[32768 + 40] == 2.0F);
  BandScaling silly = scaling;
  silly.bscale = 1.0;
  CHECK_THROWS_AS(band_table(silly, 1.0), UnitError);
}

TEST_CASE("bands add up, and a pixel that one lacks follows the rule") {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> r = {1.0F, kNan, 2.0F, kNan};
  const std::vector<float> i = {10.0F, 6.0F, kNan, kNan};
  const std::vector<std::span<const float>> bands = {r, i};
  const std::vector<double> weights = {0.25, 0.75};
  std::vector<float> out(4);
  const std::span<const std::span<const float>> rows = bands;
  sum_bands(rows, weights, MissingPixel::nan, out);
  CHECK(out[0] == 11.0F);
  CHECK(std::isnan(out[1]));
  CHECK(std::isnan(out[2]));
  sum_bands(rows, weights, MissingPixel::renormalise, out);
  CHECK(out[0] == 11.0F);
  CHECK(out[1] == 8.0F);
  CHECK(out[2] == 8.0F);
  CHECK(std::isnan(out[3]));
}

TEST_CASE("bands by their tables are bands by their values") {
  const Rng rng(3, "stored", "bands");
  const std::vector<double> weights = {0.238, 0.344, 0.283, 0.135};
  std::vector<std::vector<float>> tables;
  std::vector<std::vector<std::int16_t>> stored;
  std::vector<std::vector<float>> values;
  for (std::size_t b = 0; b < 4; ++b) {
    tables.push_back(band_table(
        {0.0, 2.1e-4, -32768, false, 10.0, 222.0, 900.0 + static_cast<double>(b)}, weights[b]));
    stored.emplace_back();
    values.emplace_back();
    for (std::uint64_t i = 0; i < 1500; ++i) {
      const auto q =
          static_cast<int>(rng.uniform(i, static_cast<std::uint32_t>(b)) < 0.1
                               ? -32768
                               : 5000.0 * rng.normal(i, static_cast<std::uint32_t>(b) + 7));
      stored[b].push_back(static_cast<std::int16_t>(q));
      values[b].push_back(tables[b][static_cast<std::size_t>(q + 32768)]);
    }
  }
  for (const MissingPixel missing : {MissingPixel::nan, MissingPixel::renormalise}) {
    for (std::size_t used = 1; used <= 4; ++used) {
      std::vector<StoredBand> by_table;
      std::vector<std::span<const float>> by_value;
      for (std::size_t b = 0; b < used; ++b) {
        by_table.push_back({tables[b], stored[b]});
        by_value.emplace_back(values[b]);
      }
      std::vector<float> a(1500);
      std::vector<float> b(1500);
      sum_bands(std::span<const StoredBand>(by_table), std::span(weights).first(used), missing, a);
      sum_bands(std::span<const std::span<const float>>(by_value), std::span(weights).first(used),
                missing, b);
      CHECK(std::memcmp(a.data(), b.data(), 1500 * sizeof(float)) == 0);
    }
  }
}
