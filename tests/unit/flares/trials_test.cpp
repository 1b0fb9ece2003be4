// Injection and recovery against evaluations that know no shortcut.

#include <algorithm>
#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include "pipelines/flares/inject/kernel_trials.hpp"
#include "skyloom/core/random.hpp"
#include "skyloom/numerics/robust.hpp"

#include "random_network.hpp"

using namespace skyloom;
using namespace skyloom::flares;

namespace {

constexpr double kAll = -std::numeric_limits<double>::infinity();

/// A network of random weights that answers flares with rising probability and is above 0.75 in a
/// twentieth of the windows of a quiet light curve.
WindowNetwork flare_network(int taps, std::uint64_t seed, const std::vector<double>& quiet) {
  WindowNetwork weights = test::random_network(taps, seed);
  weights.output_bias = 0.0F;
  NetworkWorkspace<double> work;
  std::vector<double> logits = Network<double>(weights).logits(quiet, work);
  std::sort(logits.begin(), logits.end());
  std::vector<double> flare(quiet.begin() + 500, quiet.begin() + 700);
  const Network<double> network(weights);
  const double before = network.window_logit(flare);
  for (std::size_t i = 0; i < 40; ++i) {
    flare[100 + i] += 0.1 * std::exp(-0.1 * static_cast<double>(i));
  }
  const double change = network.window_logit(flare) - before;
  const double scale = 5.0 / change;
  for (float& value : weights.output) {
    value *= static_cast<float>(scale);
  }
  const auto rank =
      static_cast<std::size_t>((scale > 0.0 ? 0.95 : 0.05) * static_cast<double>(logits.size()));
  weights.output_bias = static_cast<float>(std::log(3.0) - scale * logits[rank]);
  return weights;
}

/// A light curve with two gaps and an ensemble.
struct Sector {
  std::vector<double> time;
  std::vector<double> flux;
  Windows windows;
  std::vector<Network<double>> networks;
  std::vector<TrialNetwork<double>> trial_networks;

  Sector(int n, int models, int taps = 7) {
    const std::vector<double> y = test::random_curve<double>(n, 21);
    for (int i = 0; i < n; ++i) {
      time.push_back(1400.0 + (i + (i > n / 3 ? 300 : 0) + (i > n / 2 ? 50 : 0)) / 720.0);
      flux.push_back(500.0 * (1.0 + 0.2 * y[static_cast<std::size_t>(i)]));
    }
    windows = find_windows(time, flux, GapRule::native);
    for (int m = 0; m < models; ++m) {
      networks.emplace_back(flare_network(taps, static_cast<std::uint64_t>(40 + m),
                                          normalised<double>(flux, windows.median_flux)));
    }
    for (const Network<double>& network : networks) {
      trial_networks.emplace_back(network);
    }
  }
  [[nodiscard]] QuietCurve curve() const { return {time, flux, &windows, 499.0}; }
};

std::vector<Trial> some_trials(const Sector& sector, int count, std::uint64_t seed) {
  const Rng rng(seed, "trials", "test");
  std::vector<Trial> out;
  std::vector<int> eligible;
  for (int i = 0; i < static_cast<int>(sector.time.size()); ++i) {
    if (sector.windows.predicted[static_cast<std::size_t>(i)] != 0) {
      eligible.push_back(i);
    }
  }
  for (int k = 0; k < count; ++k) {
    const auto draw = static_cast<std::uint64_t>(k);
    out.push_back({eligible[static_cast<std::size_t>(rng.uniform(draw, 0) *
                                                     static_cast<double>(eligible.size()))],
                   0.01 * std::exp(3.5 * rng.uniform(draw, 1)),
                   0.002 * std::exp(0.9 * rng.normal(draw, 2))});
  }
  return out;
}

std::vector<double> with_flare(const Sector& sector, const TrialRule& rule, const Trial& trial) {
  std::vector<double> flux = sector.flux;
  for (std::size_t i = 0; i < flux.size(); ++i) {
    const double added =
        sector.curve().quiet_median * added_flux(rule, sector.curve(), trial, static_cast<int>(i));
    flux[i] += added >= kFaintestFlare * sector.windows.median_flux ? added : 0.0;
  }
  return flux;
}

/// Evaluates the whole light curve.
bool recovered_by_definition(const Sector& sector, const TrialRule& rule, const Trial& trial) {
  const std::vector<double> flux = with_flare(sector, rule, trial);
  const double median =
      rule.mode == GapRule::peer ? numerics::median(flux) : sector.windows.median_flux;
  const std::vector<double> y = normalised<double>(flux, median);
  NetworkWorkspace<double> work;
  std::vector<std::vector<double>> models;
  for (const Network<double>& network : sector.networks) {
    models.push_back(flare_probability<double>(network, y, sector.windows, rule.edge, work));
  }
  const std::vector<double> p = combined(models, rule.combine);
  const auto at = [&](int i) { return p[static_cast<std::size_t>(i)]; };
  if (rule.criterion == Criterion::peer) {
    return at(trial.cadence - 1) > 0.3 && at(trial.cadence) > 0.3;
  }
  for (const FlareBlock& block : find_flares(p, sector.windows.gaps, rule.detection)) {
    for (int zone = trial.cadence - 1; zone <= trial.cadence + 2; ++zone) {
      if (zone >= block.start && zone <= block.stop) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

TEST_CASE("A decision from few answers is that of the whole mask") {
  const Rng rng(3, "decision", "test");
  int recovered = 0;
  std::size_t asked = 0;
  const int cases = 20000;
  for (int k = 0; k < cases; ++k) {
    const auto draw = static_cast<std::uint64_t>(k);
    const DetectionRule rule{0.5, static_cast<int>(rng.uniform(draw, 0) * 30.0),
                             1 + static_cast<int>(rng.uniform(draw, 1) * 12.0)};
    const int n = 400;
    const int peak = 200;
    const double density = std::exp(-5.0 * rng.uniform(draw, 2));
    std::vector<double> p;
    for (int i = 0; i < n; ++i) {
      p.push_back(rng.uniform(draw, static_cast<std::uint32_t>(10 + i)) < density ? 0.9 : 0.1);
    }
    std::vector<int> gaps;
    if (k % 3 == 0) {
      gaps.push_back(peak - 2 - k / 3 % 40);
    }
    if (k % 4 == 0) {
      gaps.push_back(peak + 2 + k / 4 % 40);
    }
    Decision decision(Criterion::detect, rule, (k % 3 == 0 ? gaps.front() + 1 : 0) - peak,
                      (k % 4 == 0 ? gaps.back() : n - 1) - peak);
    for (std::vector<int> ask = decision.ask(); !ask.empty(); ask = decision.ask()) {
      asked += ask.size();
      for (const int cadence : ask) {
        REQUIRE(std::abs(cadence) <= Decision::reach(rule));
        decision.tell(cadence, p[static_cast<std::size_t>(peak + cadence)] > rule.threshold);
      }
    }
    bool expected = false;
    for (const FlareBlock& block : find_flares(p, gaps, rule)) {
      expected = expected || (block.start <= peak + 2 && block.stop >= peak - 1);
    }
    INFO("case " << k << " merge " << rule.merge_cadences << " shortest " << rule.min_cadences);
    REQUIRE(decision.recovered() == expected);
    recovered += expected ? 1 : 0;
  }
  CHECK(recovered > cases / 10);
  CHECK(recovered < 9 * cases / 10);
  CHECK(asked < 30U * cases);
}

TEST_CASE("Changed windows have the logits of a full evaluation, and stay within the bounds") {
  for (const int taps : {1, 3, 5, 7, 9, 11}) {
    const Sector sector(1900, 1, taps);
    const TrialNetwork<double>& network = sector.trial_networks.front();
    const std::vector<double> y = normalised<double>(sector.flux, sector.windows.median_flux);
    const QuietActivations<double> quiet = network.quiet(y);
    const Rng rng(9, "changes", "test");
    double worst = 0.0;
    double largest_change = 0.0;
    int right = 0;
    int left = 0;
    for (int k = 0; k < (taps == 7 ? 40 : 6); ++k) {
      const auto draw = static_cast<std::uint64_t>(k);
      ChangedCurve<double> curve;
      const int peak = 700 + k;
      const int length = 1 + static_cast<int>(rng.uniform(draw, 0) * 200.0);
      curve.first = peak - 300;
      curve.begin = peak - static_cast<int>(rng.uniform(draw, 1) * (k % 4 == 0 ? 100.0 : 10.0));
      curve.end = std::min(peak + length, peak + 160);
      curve.samples.assign(y.begin() + curve.first, y.begin() + curve.first + 620);
      curve.change.assign(curve.samples.size(), 0.0);
      for (int i = curve.begin; i < curve.end; ++i) {
        const auto at = static_cast<std::size_t>(i - curve.first);
        curve.change[at] = 0.3 * rng.normal(draw, static_cast<std::uint32_t>(100 + i));
        curve.samples[at] += curve.change[at];
      }
      std::vector<double> full = y;
      std::copy(curve.samples.begin(), curve.samples.end(), full.begin() + curve.first);
      NetworkWorkspace<double> work;
      const std::vector<double> expected = network.network().direct_logits(full, work);
      std::vector<WindowQuestion> questions;
      for (int window = peak - 160; window < peak - 60; window += 1 + k % 7) {
        questions.push_back({0, window});
        right += curve.end > window + 187 ? 1 : 0;
        left += curve.begin <= window + 13 ? 1 : 0;
      }
      TrialWorkspace<double> trial_work;
      std::vector<double> logits(questions.size());
      network.logits(quiet, std::span(&curve, 1), questions, kAll, trial_work, logits);
      for (std::size_t q = 0; q < questions.size(); ++q) {
        const auto window = static_cast<std::size_t>(questions[q].window);
        worst = std::max(worst, std::abs(logits[q] - expected[window]));
        const double change = std::abs(expected[window] - quiet.logits[window]);
        largest_change = std::max(largest_change, change);
        REQUIRE(change <= network.sample_bound(curve, questions[q].window));
        // Just within reach nothing may be refused; far out of reach everything is.
        double answer = 0.0;
        network.logits(quiet, std::span(&curve, 1), std::span(&questions[q], 1), expected[window],
                       trial_work, std::span(&answer, 1));
        REQUIRE(answer == logits[q]);
        const double bound = network.sample_bound(curve, questions[q].window);
        network.logits(quiet, std::span(&curve, 1), std::span(&questions[q], 1),
                       quiet.logits[window] + bound + 0.02, trial_work, std::span(&answer, 1));
        REQUIRE(answer == kAll);
      }
    }
    INFO("taps " << taps);
    CHECK(worst < 1e-9);
    CHECK(largest_change > 1.0);
    CHECK(right > 10);
    CHECK((taps != 7 || left > 10));
  }
}

TEST_CASE("Nothing changes without a change") {
  const Sector sector(1500, 1);
  const TrialNetwork<double>& network = sector.trial_networks.front();
  const std::vector<double> y = normalised<double>(sector.flux, sector.windows.median_flux);
  const QuietActivations<double> quiet = network.quiet(y);
  ChangedCurve<double> curve{400, 600, 600, {}, {}};
  curve.samples.assign(y.begin() + 400, y.begin() + 1000);
  curve.change.assign(600, 0.0);
  const std::vector<WindowQuestion> questions = {{0, 480}, {0, 500}, {0, 501}};
  std::vector<double> logits(3);
  TrialWorkspace<double> work;
  network.logits(quiet, std::span(&curve, 1), questions, kAll, work, logits);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(logits[i] == quiet.logits[static_cast<std::size_t>(questions[i].window)]);
  }
  // A cadence that is rewritten with its own value: only the order of sums differs.
  curve.end = 601;
  network.logits(quiet, std::span(&curve, 1), questions, kAll, work, logits);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(logits[i] == Approx(quiet.logits[static_cast<std::size_t>(questions[i].window)])
                           .epsilon(0.0)
                           .margin(1e-10));
  }
}

TEST_CASE("Trials are recovered where the full evaluation recovers them") {
  struct Case {
    int models;
    TrialRule rule;
    int trials;
  };
  TrialRule base;
  std::vector<Case> cases = {{1, base, 40}, {3, base, 40}, {4, base, 40}, {10, base, 40}};
  cases.push_back({4, base, 40});
  cases.back().rule.combine = Combine::mean;
  cases.push_back({3, base, 40});
  cases.back().rule.criterion = Criterion::peer;
  cases.push_back({4, base, 40});
  cases.back().rule.shape = FlareTemplate::davenport2014;
  cases.back().rule.oversample = 5;
  cases.push_back({3, base, 40});
  cases.back().rule.detection = {0.6, 35, 9};
  cases.push_back({3, base, 40});
  cases.back().rule.edge = Edge::peer;
  cases.push_back({2, base, 30});
  cases.back().rule.mode = GapRule::peer;
  cases.push_back({2, base, 30});
  cases.back().rule.mode = GapRule::peer;
  cases.back().rule.criterion = Criterion::peer;
  for (std::size_t c = 0; c < cases.size(); ++c) {
    const Sector sector(1400, cases[c].models);
    REQUIRE(sector.windows.gaps.size() == 2);
    const std::vector<Trial> trials = some_trials(sector, cases[c].trials, 50 + c);
    Trials<double> runner(sector.trial_networks, sector.curve(), cases[c].rule);
    const std::vector<std::uint8_t> recovered = runner.recovered(trials);
    int found = 0;
    for (std::size_t i = 0; i < trials.size(); ++i) {
      INFO("case " << c << " trial " << i << " cadence " << trials[i].cadence << " amplitude "
                   << trials[i].amplitude);
      REQUIRE((recovered[i] != 0) == recovered_by_definition(sector, cases[c].rule, trials[i]));
      found += recovered[i];
    }
    INFO("case " << c << ": " << found << " of " << trials.size());
    CHECK(found > 0);
    CHECK(found < static_cast<int>(trials.size()));
    // Another order, other batches, one by one.
    std::vector<Trial> reversed(trials.rbegin(), trials.rend());
    std::vector<std::uint8_t> again = runner.recovered(reversed);
    std::reverse(again.begin(), again.end());
    CHECK(again == recovered);
    CHECK(runner.recovered(std::span(trials).subspan(7, 1)).front() == recovered[7]);
  }
}

TEST_CASE("Flares injected together are searched in one light curve") {
  const Sector sector(1400, 3);
  TrialRule rule;
  const std::vector<Trial> one = some_trials(sector, 1, 77);
  const Trials<double> trials(sector.trial_networks, sector.curve(), rule);
  CHECK((trials.recovered_together(one).front() != 0) ==
        recovered_by_definition(sector, rule, one.front()));
  CHECK(trials.recovered_together(some_trials(sector, 40, 78)).size() == 40);
  rule.criterion = Criterion::peer;
  rule.mode = GapRule::peer;
  const Trials<double> peer(sector.trial_networks, sector.curve(), rule);
  CHECK((peer.recovered_together(one).front() != 0) ==
        recovered_by_definition(sector, rule, one.front()));
}

TEST_CASE("Single precision decides as double precision does") {
  const Sector sector(1800, 4);
  std::vector<Network<float>> networks;
  for (std::uint64_t m = 0; m < 4; ++m) {
    networks.emplace_back(
        flare_network(7, 40 + m, normalised<double>(sector.flux, sector.windows.median_flux)));
  }
  const std::vector<TrialNetwork<float>> trial_networks(networks.begin(), networks.end());
  const std::vector<Trial> trials = some_trials(sector, 200, 90);
  const TrialRule rule;
  Trials<float> single(trial_networks, sector.curve(), rule);
  Trials<double> reference(sector.trial_networks, sector.curve(), rule);
  const std::vector<std::uint8_t> a = single.recovered(trials);
  const std::vector<std::uint8_t> b = reference.recovered(trials);
  int different = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    different += a[i] != b[i] ? 1 : 0;
  }
  CHECK(different <= 1);
}
