// Completeness curves, frequency distributions and power laws against samples of known law.

#include <cmath>

#include <catch2/catch.hpp>

#include "pipelines/flares/rates/kernel_survey.hpp"
#include "skyloom/core/random.hpp"

using namespace skyloom;
using namespace skyloom::flares;

namespace {

/// Injections whose recovery follows a logistic curve in log10 ED.
std::vector<InjectedOutcome> injections(int count, double steepness, double middle, double ceiling,
                                        std::uint64_t seed) {
  const Rng rng(seed, "injections", "test");
  std::vector<InjectedOutcome> out;
  for (int k = 0; k < count; ++k) {
    const auto draw = static_cast<std::uint64_t>(k);
    const double x = rng.uniform(draw, -1.0, 3.0, 0);
    const double c = ceiling / (1.0 + std::exp(-steepness * (x - middle)));
    InjectedOutcome flare{
        1e-2, std::pow(10.0, x) / (86400.0 * 2.04087 * 1e-2), std::pow(10.0, x), 33.0, 10, 0};
    for (std::uint32_t repeat = 0; repeat < 10; ++repeat) {
      flare.recovered += rng.uniform(draw, 1 + repeat) < c ? 1 : 0;
    }
    out.push_back(flare);
  }
  return out;
}

/// Flares of N(> ED) = rate ED^-slope per day above ED = 0.3 s, of which the curve lets some pass.
std::vector<FlareEvent> flares_of(double rate, double slope, double days,
                                  const CompletenessCurve& curve, std::uint64_t seed) {
  const Rng rng(seed, "flares", "test");
  const double lowest = 0.3;
  const auto count =
      static_cast<std::uint64_t>(rng.poisson(0, rate * std::pow(lowest, -slope) * days, 9));
  std::vector<FlareEvent> out;
  for (std::uint64_t i = 0; i < count; ++i) {
    const double ed = lowest * std::pow(rng.uniform(i, 0), -1.0 / slope);
    if (rng.uniform(i, 1) < curve.at(ed)) {
      out.push_back({ed, 0.1});
    }
  }
  return out;
}

CompletenessCurve curve_of(double steepness, double middle, double ceiling) {
  return {true, steepness, middle, ceiling, true};
}

}  // namespace

TEST_CASE("Errors of recovered fractions are binomial and never vanish") {
  CHECK(fraction_error(30, 100) == Approx(std::sqrt((0.3 * 0.7 + 0.005) / 100.0)));
  CHECK(fraction_error(0, 10) == Approx(std::sqrt(0.05 / 10.0)));
  CHECK(fraction_error(10, 10) == Approx(std::sqrt(0.05 / 10.0)));
  CHECK(std::isnan(fraction_error(0, 0)));
  // Scatter of 2,000 fractions of 50 trials each.
  const Rng rng(4, "binomial", "test");
  double square = 0.0;
  for (std::uint64_t k = 0; k < 2000; ++k) {
    int hits = 0;
    for (std::uint32_t i = 0; i < 50; ++i) {
      hits += rng.uniform(k, i) < 0.2 ? 1 : 0;
    }
    square += std::pow(hits / 50.0 - 0.2, 2) / 2000.0;
  }
  CHECK(fraction_error(10, 50) == Approx(std::sqrt(square)).epsilon(0.08));
}

TEST_CASE("Completeness curves are found again") {
  for (const bool logarithmic : {true, false}) {
    double steepness = 0.0;
    double middle = 0.0;
    double half = 0.0;
    const int samples = 30;
    const double truth = logarithmic ? 6.0 : 0.3;
    const double truth_middle = logarithmic ? 0.7 : 12.0;
    for (int k = 0; k < samples; ++k) {
      const Rng rng(static_cast<std::uint64_t>(k), "curve", "test");
      Counts counts(kEquivalentDurationBins);
      for (std::uint64_t i = 0; i < 2000; ++i) {
        // Bin centres, so that the curve is compared and not the width of the bins.
        const int bin = 30 + static_cast<int>(rng.uniform(i, 0) * 70.0);
        const double ed = std::pow(10.0, counts.bins.middle(bin));
        const double x = logarithmic ? std::log10(ed) : ed;
        const double c = (logarithmic ? 0.9 : 0.96) / (1.0 + std::exp(-truth * (x - truth_middle)));
        int recovered = 0;
        for (std::uint32_t repeat = 1; repeat <= 10; ++repeat) {
          recovered += rng.uniform(i, repeat) < c ? 1 : 0;
        }
        counts.add(ed, 10, recovered);
      }
      const CompletenessCurve curve = fit_curve(counts, logarithmic);
      REQUIRE(curve.converged);
      steepness += curve.steepness / samples;
      middle += curve.middle / samples;
      half += curve.log10_half() / samples;
      CHECK(curve.at(std::pow(10.0, curve.log10_half())) == Approx(0.5));
    }
    INFO("logarithmic " << logarithmic);
    CHECK(steepness == Approx(truth).epsilon(0.02));
    CHECK(middle == Approx(truth_middle).epsilon(0.01));
    const double expected = truth_middle - std::log((logarithmic ? 0.9 : 0.96) / 0.5 - 1.0) / truth;
    CHECK(half == Approx(logarithmic ? expected : std::log10(expected)).margin(0.005));
  }
}

TEST_CASE("The completeness surface is found again") {
  const CompletenessSurface truth{0.01, 0.002, {0.5, 2.5, 1.2, -0.1, 0.2, -0.15}, true};
  const int samples = 20;
  double worst = 0.0;
  for (std::uint64_t k = 0; k < samples; ++k) {
    const Rng rng(k, "surface", "test");
    std::vector<InjectedOutcome> injected;
    for (std::uint64_t i = 0; i < 3000; ++i) {
      InjectedOutcome flare{0.002 * std::exp(3.0 * rng.uniform(i, 0)),
                            0.002 * std::exp(0.7 * rng.normal(i, 1)),
                            1.0,
                            33.0,
                            10,
                            0};
      for (std::uint32_t repeat = 2; repeat < 12; ++repeat) {
        flare.recovered +=
            rng.uniform(i, repeat) < truth.at(flare.amplitude, flare.duration_d) ? 1 : 0;
      }
      injected.push_back(flare);
    }
    const CompletenessSurface found = fit_surface(injected);
    REQUIRE(found.converged);
    for (const double amplitude : {0.004, 0.01, 0.02}) {
      for (const double duration : {0.001, 0.002, 0.004}) {
        worst = std::max(worst,
                         std::abs(found.at(amplitude, duration) - truth.at(amplitude, duration)));
      }
    }
  }
  CHECK(worst < 0.03);
  CHECK_FALSE(fit_surface({}).converged);
  CHECK(std::isnan(fit_surface({}).at(0.01, 0.002)));
  std::vector<InjectedOutcome> all(100, InjectedOutcome{0.01, 0.002, 1.0, 33.0, 10, 10});
  CHECK_FALSE(fit_surface(all).converged);
}

TEST_CASE("Where nothing can be fitted there is no curve and no limit") {
  Counts counts(kEquivalentDurationBins);
  CHECK_FALSE(fit_curve(counts, true).converged);
  for (int bin = 40; bin < 60; ++bin) {
    counts.add(std::pow(10.0, counts.bins.middle(bin)), 10, 0);
  }
  CHECK_FALSE(fit_curve(counts, true).converged);
  CHECK(std::isnan(fit_curve(counts, false).log10_half()));
  CHECK(std::isnan(curve_of(5.0, 1.0, 0.4).log10_half()));
  CHECK(counts.bins.bin_of(0.0) == -1);
  CHECK(counts.bins.bin_of(1e-30) == 0);
  CHECK(counts.bins.bin_of(1e30) == counts.bins.count - 1);
}

TEST_CASE("Fractions without a model take in as many neighbours as they need") {
  Counts counts(kEquivalentDurationBins);
  counts.trials[50] = 100;
  counts.recovered[50] = 10;
  counts.trials[51] = 100;
  counts.recovered[51] = 30;
  counts.trials[52] = 200;
  counts.recovered[52] = 100;
  const std::vector<double> fractions = smoothed_fractions(counts, 200);
  CHECK(fractions[52] == Approx(0.5));
  CHECK(fractions[51] == Approx(140.0 / 400.0));
  CHECK(fractions[50] == Approx(40.0 / 200.0));
  CHECK(fractions[199] == Approx(0.5));
  CHECK(smoothed_fractions(Counts(kEquivalentDurationBins))[60] == 0.0);
}

TEST_CASE("Cumulative distribution, its errors and its correction") {
  const std::vector<FlareEvent> events = {{1.0, 0.1}, {100.0, 2.0}, {-3.0, 1.0}, {10.0, 0.5}};
  const CompletenessCurve curve = curve_of(4.0, 0.5, 1.0);
  const std::vector<FrequencyPoint> points = frequency_distribution(events, 20.0, curve, 0.5);
  REQUIRE(points.size() == 3);
  CHECK(points[0].event == 1);
  CHECK(points[1].event == 3);
  CHECK(points[2].event == 0);
  CHECK(points[1].log10_ed == Approx(1.0));
  CHECK(points[1].log10_ed_error == Approx(0.5 / (std::log(10.0) * 10.0)));
  CHECK(points[1].log10_rate == Approx(std::log10(0.1)));
  CHECK(points[1].log10_rate_error ==
        Approx((std::sqrt(2.75) + 1.0) / 20.0 / (std::log(10.0) * 0.1)));
  CHECK(points[1].log10_corrected == Approx(std::log10(0.1 / curve.at(10.0))));
  CHECK(std::isnan(points[2].log10_corrected));
  for (const FrequencyPoint& point : frequency_distribution(events, 20.0, curve, std::nan(""))) {
    CHECK(std::isnan(point.log10_corrected));
  }
  CHECK(equivalent_duration_error(600.0, 40.0, 50.0) == Approx(std::sqrt(2.0) * 560.0 / 50.0));
}

TEST_CASE("Straight lines through corrected points") {
  std::vector<FrequencyPoint> points;
  for (int k = 0; k < 5; ++k) {
    FrequencyPoint point;
    point.log10_ed = 0.5 * k;
    point.log10_rate_error = 0.1 + 0.05 * k;
    point.log10_corrected = k == 4 ? std::nan("") : 0.3 - 0.8 * point.log10_ed;
    points.push_back(point);
  }
  const PowerLaw law = fit_power_law(points);
  CHECK(law.points == 4);
  CHECK(law.slope == Approx(0.8));
  CHECK(law.intercept == Approx(0.3));
  CHECK(law.slope_error > 0.0);
  const PowerLaw fixed = fit_intercept(points, 0.8);
  CHECK(fixed.intercept == Approx(0.3));
  double weights = 0.0;
  for (int k = 0; k < 4; ++k) {
    weights += 1.0 / std::pow(0.1 + 0.05 * k, 2);
  }
  CHECK(fixed.intercept_error == Approx(1.0 / std::sqrt(weights)));
  CHECK(std::isnan(fit_power_law(std::span(points).first(1)).slope));
  CHECK(std::isnan(fit_intercept(std::span(points).last(1), 0.8).intercept));
}

TEST_CASE("The slope of a power law is found without bias, and with its error") {
  for (const double slope : {0.6, 1.0, 1.6}) {
    const int samples = 200;
    double mean = 0.0;
    double square = 0.0;
    double rate = 0.0;
    double pull = 0.0;
    for (int k = 0; k < samples; ++k) {
      SampleSearch sample({});
      for (int s = 0; s < 3; ++s) {
        StarSearch star({});
        for (int sector = 0; sector < 2; ++sector) {
          const auto seed = static_cast<std::uint64_t>(1000 * k + 10 * s + sector);
          // Sectors of one star differ in depth.
          const CompletenessCurve here = curve_of(6.0, 0.4 + 0.4 * sector, 0.95);
          star.add({s + 1, sector, 20.0, flares_of(2.0, slope, 20.0, here, seed),
                    injections(2000, 6.0, 0.4 + 0.4 * sector, 0.95, seed)});
        }
        sample.add(star.part());
      }
      const CombinedRates rates = sample.finish();
      mean += rates.likelihood.slope / samples;
      square += std::pow(rates.likelihood.slope - slope, 2) / samples;
      rate += rates.likelihood.log10_rate / samples;
      pull +=
          std::pow((rates.likelihood.slope - slope) / rates.likelihood.slope_error, 2) / samples;
    }
    INFO("slope " << slope << ": mean " << mean << " scatter " << std::sqrt(square));
    CHECK(std::abs(mean - slope) < 3.5 * std::sqrt(square / samples));
    CHECK(pull == Approx(1.0).margin(0.35));
    CHECK(rate == Approx(std::log10(2.0)).margin(0.02));
  }
}

TEST_CASE("A star of two sectors") {
  StarSearch star({});
  star.add(
      {7, 1, 20.0, {{5.0, 0.1}, {50.0, 0.1}, {1.0, 0.1}}, injections(2000, 6.0, 0.4, 0.95, 1)});
  star.add({7, 2, 25.0, {{8.0, 0.1}}, injections(2000, 6.0, 0.6, 0.95, 2)});
  star.add({7, 3, 10.0, {}, {}});
  const CombinedRates rates = star.finish();
  CHECK(rates.days == Approx(55.0));
  CHECK(rates.flares == 4);
  CHECK(rates.curve.middle == Approx(0.5).margin(0.03));
  CHECK(rates.points.size() == 4);
  CHECK(rates.luminosity_fraction == Approx(64.0 / (86400.0 * 55.0)));
  REQUIRE(star.sectors().size() == 3);
  CHECK(star.sectors()[0].above_limit == 2);
  CHECK(star.sectors()[1].above_limit == 1);
  CHECK(star.sectors()[0].trials == 20000);
  CHECK_FALSE(star.sectors()[2].logarithmic.converged);
  CHECK(std::isnan(star.sectors()[2].log10_ed50));
  CHECK(rates.likelihood.flares == 3);
  CHECK(star.sectors()[0].law.slope == rates.law.slope);
  std::int64_t trials = 0;
  for (const std::int64_t count : star.completeness().map.trials) {
    trials += count;
  }
  CHECK(trials == 40000);
  // A sample of one star is that star but for its curve.
  SampleSearch sample({});
  sample.add(star.part());
  sample.add(star.completeness());
  CHECK(sample.stars() == 1);
  CHECK(sample.sectors() == 3);
  CHECK(sample.finish().likelihood.slope == Approx(rates.likelihood.slope));
}
