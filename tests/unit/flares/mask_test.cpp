#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include "pipelines/flares/detect/kernel_mask.hpp"

using namespace skyloom::flares;

namespace {

const double kNone = std::numeric_limits<double>::quiet_NaN();

/// Probability 0.9 on the given inclusive ranges, 0.1 elsewhere.
std::vector<double> runs(std::size_t n, const std::vector<FlareBlock>& high) {
  std::vector<double> out(n, 0.1);
  for (const FlareBlock& block : high) {
    std::fill(out.begin() + block.start, out.begin() + block.stop + 1, 0.9);
  }
  return out;
}

using Blocks = std::vector<FlareBlock>;

}  // namespace

TEST_CASE("Runs become flares, are merged when close and dropped when short") {
  const DetectionRule rule;
  CHECK(find_flares(runs(50, {}), {}, rule).empty());
  CHECK(find_flares(runs(50, {{10, 14}}), {}, rule) == Blocks{{10, 14}});
  CHECK(find_flares(runs(50, {{10, 11}}), {}, rule).empty());
  CHECK(find_flares(runs(50, {{0, 2}, {47, 49}}), {}, rule) == Blocks{{0, 2}, {47, 49}});
  // 18 cadences between them are bridged, 19 are not.
  CHECK(find_flares(runs(80, {{10, 12}, {31, 33}}), {}, rule) == Blocks{{10, 33}});
  CHECK(find_flares(runs(80, {{10, 12}, {32, 34}}), {}, rule) == Blocks{{10, 12}, {32, 34}});
  // Two runs too short by themselves; bridged cadences count.
  CHECK(find_flares(runs(50, {{10, 10}, {25, 25}}), {}, rule) == Blocks{{10, 25}});
  CHECK(find_flares(std::vector<double>(20, 0.75), {}, rule).empty());
  // Without merging a run is still one run.
  CHECK(find_flares(runs(50, {{10, 14}, {16, 18}}), {}, {0.75, 0, 3}) ==
        Blocks{{10, 14}, {16, 18}});
  std::vector<double> missing = runs(50, {{10, 20}});
  missing[15] = kNone;
  CHECK(find_flares(missing, {}, rule) == Blocks{{10, 20}});
  missing[20] = kNone;
  CHECK(find_flares(missing, {}, rule) == Blocks{{10, 19}});
}

TEST_CASE("No flare bridges a gap") {
  const DetectionRule rule;
  CHECK(find_flares(runs(60, {{10, 20}}), std::vector<int>{15}, rule) ==
        Blocks{{10, 15}, {16, 20}});
  CHECK(find_flares(runs(60, {{10, 20}}), std::vector<int>{9, 20}, rule) == Blocks{{10, 20}});
  CHECK(find_flares(runs(60, {{10, 12}, {20, 22}}), std::vector<int>{16}, rule) ==
        Blocks{{10, 12}, {20, 22}});
  // What the cut leaves must be long enough by itself.
  CHECK(find_flares(runs(60, {{10, 14}}), std::vector<int>{12}, rule) == Blocks{{10, 12}});
}

TEST_CASE("The mask covers every cadence of every block, also of a single one") {
  CHECK(flare_mask(Blocks{{1, 3}}, 6) == std::vector<std::uint8_t>{0, 1, 1, 1, 0, 0});
  CHECK(flare_mask(Blocks{{0, 0}, {4, 5}}, 6) == std::vector<std::uint8_t>{1, 0, 0, 0, 1, 1});
  CHECK(flare_mask({}, 2) == std::vector<std::uint8_t>{0, 0});
}

TEST_CASE("Peak, amplitude, equivalent duration and its error") {
  const double cadence = 1.0 / 720.0;
  std::vector<double> time;
  std::vector<double> flux(40, 200.0);
  std::vector<double> mu(40, 200.0);
  std::vector<double> error(40, 2.0);
  std::vector<double> p(40, 0.9);
  for (int i = 0; i < 40; ++i) {
    time.push_back(i * cadence);
  }
  p[12] = 0.97;
  // Triangle of base 4 cadences: area of the excess 2 cadences at relative height 0.5.
  flux[11] = 250.0;
  flux[12] = 300.0;
  flux[13] = 250.0;
  FlareInput input{time, flux, error, mu, p, 200.0, cadence};
  Flare flare = measure_flare(input, {11, 13});
  CHECK(flare.peak == 12);
  CHECK(flare.t_peak == Approx(time[12]));
  CHECK(flare.t_start == Approx(time[11]));
  CHECK(flare.t_stop == Approx(time[13]));
  CHECK(flare.amplitude == Approx(0.5));
  CHECK(flare.probability_max == Approx(0.97));
  CHECK(flare.equivalent_duration_s == Approx(2 * 120.0 * 0.5));
  // Cadences 8 to 22: 13 of full and 2 of half weight, relative error 0.01 each.
  CHECK(flare.equivalent_duration_error_s == Approx(120.0 * 0.01 * std::sqrt(13.5)));
  // A cadence without an error adds none; one of zero or less is unknown too.
  error[10] = kNone;
  error[12] = 0.0;
  flare = measure_flare(input, {11, 13});
  CHECK(flare.equivalent_duration_error_s == Approx(120.0 * 0.01 * std::sqrt(11.5)));
  // The quiet level counts, not the median alone.
  mu.assign(40, 190.0);
  flare = measure_flare(input, {11, 13});
  CHECK(flare.amplitude == Approx(0.55));
  CHECK(flare.equivalent_duration_s == Approx(120.0 * (1.0 + 14 * 0.05)));
}

TEST_CASE("Equivalent durations are clipped to the light curve and skip gaps") {
  const double cadence = 1.0 / 720.0;
  const std::vector<double> flux(20, 300.0);
  const std::vector<double> mu(20, 200.0);
  const std::vector<double> error(20, 2.0);
  const std::vector<double> p(20, 0.9);
  std::vector<double> time;
  for (int i = 0; i < 20; ++i) {
    time.push_back(i * cadence + (i > 5 ? 0.5 : 0.0));
  }
  const FlareInput input{time, flux, error, mu, p, 200.0, cadence};
  // Cadences 0 to 11 without the interval over the gap: 10 intervals.
  CHECK(measure_flare(input, {1, 2}).equivalent_duration_s == Approx(120.0 * 10 * 0.5));
  // Cadences 15 to 19.
  CHECK(measure_flare(input, {18, 19}).equivalent_duration_s == Approx(120.0 * 4 * 0.5));
}

TEST_CASE("Energies follow the class of the star") {
  CHECK(log10_energy(*energy_relation(3500.0), 1.0) == Approx(36.05875657));
  CHECK(log10_energy(*energy_relation(4500.0), 0.1) == Approx(36.61235441 - 1.18075204));
  CHECK(log10_energy(*energy_relation(5800.0), 0.01) == Approx(37.27283556 - 2 * 1.18996884));
  CHECK(energy_relation(3900.0)->scatter == Approx(0.21504));
  CHECK(energy_relation(5300.0)->scatter == Approx(0.17545));
  CHECK_FALSE(energy_relation(7000.0).has_value());
  CHECK_FALSE(energy_relation(kNone).has_value());
  CHECK(std::isnan(log10_energy(*energy_relation(3500.0), -0.1)));
}
