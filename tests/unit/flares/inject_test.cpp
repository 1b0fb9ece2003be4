// Which flares are injected, and where.

#include <cmath>
#include <numeric>

#include <catch2/catch.hpp>

#include "pipelines/flares/inject/kernel.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/numerics/robust.hpp"

#include "random_network.hpp"

using namespace skyloom;
using namespace skyloom::flares;

TEST_CASE("Amplitudes and durations of the log-normal sample") {
  const Rng rng(1, "inject", "123/4");
  FlareSample sample;
  sample.count = 4000;
  const StarScale star{1e-3, std::nan(""), std::nan("")};
  std::vector<double> logs;
  for (int id = 0; id < sample.count; ++id) {
    const InjectedFlare flare = draw_flare(sample, star, rng, id);
    CHECK(flare.amplitude == Approx(1e-3 * std::pow(50.0, id / 3999.0)));
    logs.push_back(std::log(flare.duration_d));
  }
  const double mean = std::accumulate(logs.begin(), logs.end(), 0.0) / 4000.0;
  double square = 0.0;
  for (const double x : logs) {
    square += (x - mean) * (x - mean) / 4000.0;
  }
  CHECK(mean == Approx(std::log(0.002)).margin(0.04));
  CHECK(std::sqrt(square) == Approx(0.7).epsilon(0.04));
  sample.count = 1;
  CHECK(draw_flare(sample, star, rng, 0).amplitude == Approx(1e-3));
  CHECK_THROWS_AS(draw_flare(sample, {std::nan(""), 3300.0, 3e31}, rng, 0), UnitError);
  // Other sectors and seeds have other numbers, the same sector the same.
  sample.count = 4000;
  CHECK(draw_flare(sample, star, Rng(1, "inject", "123/4"), 7).duration_d ==
        draw_flare(sample, star, rng, 7).duration_d);
  CHECK(draw_flare(sample, star, Rng(1, "inject", "123/5"), 7).duration_d !=
        draw_flare(sample, star, rng, 7).duration_d);
  CHECK(draw_flare(sample, star, Rng(2, "inject", "123/4"), 7).duration_d !=
        draw_flare(sample, star, rng, 7).duration_d);
}

TEST_CASE("Energies of the power law, and the shape that gives them") {
  const Rng rng(5, "inject", "9/1");
  FlareSample sample;
  sample.how = Sample::ffd;
  sample.energies = {-0.8, 1e31, 1e35};
  const StarScale star{1e-3, 3300.0, 3e31};
  const int count = 20000;
  int above = 0;
  double scatter = 0.0;
  for (int id = 0; id < count; ++id) {
    const InjectedFlare flare = draw_flare(sample, star, rng, id);
    const double energy = flare.amplitude * flare.duration_d * 86400.0 * flare_area(sample.shape) *
                          star.luminosity_erg_s;
    REQUIRE(energy >= 0.999e31);
    REQUIRE(energy <= 1.001e35);
    above += energy > 1e32 ? 1 : 0;
    const double off =
        std::log10(energy) - (1.75999376 * std::log10(flare.amplitude) + 36.05875657);
    scatter += off * off / count;
  }
  const double least = std::pow(1e31, -0.8);
  const double most = std::pow(1e35, -0.8);
  const double expected = (std::pow(1e32, -0.8) - most) / (least - most);
  CHECK(static_cast<double>(above) / count ==
        Approx(expected).margin(4.0 * std::sqrt(expected / count)));
  CHECK(std::sqrt(scatter) == Approx(0.27824).epsilon(0.02));
  CHECK_THROWS_AS(draw_flare(sample, {1e-3, std::nan(""), 3e31}, rng, 0), UnitError);
  CHECK_THROWS_AS(draw_flare(sample, {1e-3, 7000.0, 3e33}, rng, 0), UnitError);
  CHECK_THROWS_AS(draw_flare(sample, {1e-3, 3300.0, std::nan("")}, rng, 0), UnitError);
}

TEST_CASE("Luminosity of a black body in the band") {
  // Fraction of a black body of 5772 K between 600 and 1000 nm, by summing Planck's law.
  double band = 0.0;
  double all = 0.0;
  for (double wavelength = 50e-9; wavelength < 200e-6; wavelength *= 1.0002) {
    const double x = 1.438776877e-2 / (wavelength * 5772.0);
    const double power = std::pow(x, 4) / std::expm1(x);  // per logarithm of the wavelength
    all += power;
    band += wavelength > 600e-9 && wavelength < 1000e-9 ? power : 0.0;
  }
  CHECK(band_luminosity(5772.0, 1.0) == Approx(3.828e33 * band / all).epsilon(2e-3));
  CHECK(band_luminosity(5772.0, 2.0) == Approx(4.0 * band_luminosity(5772.0, 1.0)));
  CHECK(std::isnan(band_luminosity(std::nan(""), 1.0)));
  CHECK(std::isnan(band_luminosity(5000.0, 0.0)));
}

TEST_CASE("Cadences outside flares with a window, all equally often") {
  std::vector<std::uint8_t> predicted(400, 1);
  std::vector<std::uint8_t> mask(400, 0);
  std::fill(predicted.begin() + 100, predicted.begin() + 200, std::uint8_t{0});
  std::fill(mask.begin() + 300, mask.begin() + 310, std::uint8_t{1});
  const std::vector<int> eligible = eligible_cadences(predicted, mask);
  CHECK(eligible.size() == 400 - 12 + 1 - 100 - 10);
  CHECK(eligible.front() == 6);
  CHECK(eligible.back() == 394);
  const Rng rng(8, "inject", "5/5");
  std::vector<int> count(400, 0);
  const int draws = 40000;
  for (int k = 0; k < draws; ++k) {
    ++count[static_cast<std::size_t>(draw_cadence(eligible, rng, k / 10, k % 10))];
  }
  const double expected = static_cast<double>(draws) / static_cast<double>(eligible.size());
  double chi2 = 0.0;
  for (const int cadence : eligible) {
    chi2 += std::pow(count[static_cast<std::size_t>(cadence)] - expected, 2) / expected;
  }
  CHECK(chi2 == Approx(static_cast<double>(eligible.size())).epsilon(0.25));
  CHECK(std::accumulate(count.begin(), count.end(), 0) == draws);
  CHECK(count[150] == 0);
  CHECK(count[305] == 0);
}

TEST_CASE("Blocks of any size have the same flares and outcomes") {
  const int n = 900;
  std::vector<double> time;
  std::vector<double> flux;
  for (const double y : test::random_curve<double>(n, 31)) {
    time.push_back(1500.0 + static_cast<double>(time.size()) / 720.0);
    flux.push_back(800.0 * (1.0 + 0.1 * y));
  }
  const Windows windows = find_windows(time, flux, GapRule::native);
  std::vector<std::uint8_t> mask(flux.size(), 0);
  std::vector<Network<float>> networks;
  networks.emplace_back(test::random_network(7, 3));
  const std::vector<TrialNetwork<float>> trial_networks(networks.begin(), networks.end());
  const QuietCurve curve{time, flux, &windows, numerics::median(flux)};
  TrialRule rule;
  rule.detection.threshold = Trials<float>(trial_networks, curve, rule).probability()[450];
  Trials<float> trials(trial_networks, curve, rule);
  FlareSample sample;
  sample.count = 30;
  const StarScale star{2e-3, std::nan(""), std::nan("")};
  const Rng rng(1, "inject", "77/3");
  for (const bool together : {false, true}) {
    const BlockOutcome all = inject(trials, mask, sample, star, {0, 30, 4}, together, rng);
    CHECK(all.flares.size() == 30);
    CHECK(all.recovered.size() == 120);
    const int found = std::accumulate(all.recovered.begin(), all.recovered.end(), 0);
    CHECK(found > 0);
    CHECK(found < 120);
    BlockOutcome pieces;
    for (const auto& [first, count] : {std::pair{0, 7}, {7, 22}, {29, 1}}) {
      const BlockOutcome one = inject(trials, mask, sample, star, {first, count, 4}, together, rng);
      for (const InjectedFlare& flare : one.flares) {
        pieces.flares.push_back(flare);
      }
      pieces.cadence.insert(pieces.cadence.end(), one.cadence.begin(), one.cadence.end());
      pieces.recovered.insert(pieces.recovered.end(), one.recovered.begin(), one.recovered.end());
    }
    CHECK(pieces.cadence == all.cadence);
    CHECK(pieces.recovered == all.recovered);
    for (std::size_t k = 0; k < 30; ++k) {
      CHECK(pieces.flares[k].amplitude == all.flares[k].amplitude);
      CHECK(pieces.flares[k].duration_d == all.flares[k].duration_d);
    }
  }
  std::fill(mask.begin(), mask.end(), std::uint8_t{1});
  CHECK_THROWS_AS(inject(trials, mask, sample, star, {0, 30, 4}, false, rng), UnitError);
}
