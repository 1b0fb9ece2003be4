#include <complex>
#include <numbers>

#include <catch2/catch.hpp>

#include "pipelines/flares/detect/kernel_network.hpp"
#include "pipelines/flares/detect/kernel_network_lanes.hpp"
#include "pipelines/flares/detect/kernel_windows.hpp"
#include "skyloom/core/errors.hpp"

#include "random_network.hpp"

using namespace skyloom;
using namespace skyloom::flares;

namespace {

using Net = WindowNetwork;

/// The definition of the network on relative flux, one sum at a time, in double.
double logit_by_definition(const Net& net, const std::vector<double>& x) {
  const auto at = [](const std::vector<float>& values, int i) {
    return static_cast<double>(values[static_cast<std::size_t>(i)]);
  };
  using Layer = std::vector<std::vector<double>>;
  const auto convolve = [&](const Layer& in, const std::vector<float>& kernel,
                            const std::vector<float>& bias, int taps, int channels) {
    Layer out;
    const int length = static_cast<int>(in.size());
    const int inputs = static_cast<int>(in[0].size());
    for (int p = 0; p < length; ++p) {
      std::vector<double> row;
      for (int o = 0; o < channels; ++o) {
        double sum = at(bias, o);
        for (int t = 0; t < taps; ++t) {
          const int q = p + t - taps / 2;
          for (int c = 0; c < inputs && q >= 0 && q < length; ++c) {
            sum += at(kernel, (t * inputs + c) * channels + o) *
                   in[static_cast<std::size_t>(q)][static_cast<std::size_t>(c)];
          }
        }
        row.push_back(std::max(0.0, sum));
      }
      out.push_back(row);
    }
    return out;
  };
  const auto pool = [](const Layer& in) {
    Layer out;
    for (std::size_t q = 0; q + 1 < in.size(); q += 2) {
      out.push_back(in[q]);
      for (std::size_t c = 0; c < in[q].size(); ++c) {
        out.back()[c] = std::max(in[q][c], in[q + 1][c]);
      }
    }
    return out;
  };
  Layer input;
  for (const double value : x) {
    input.push_back({value});
  }
  const Layer first = pool(convolve(input, net.first, net.first_bias, net.taps, Net::kFirst));
  const Layer second = pool(convolve(first, net.second, net.second_bias, Net::kTaps, Net::kSecond));
  double logit = static_cast<double>(net.output_bias);
  for (int k = 0; k < Net::kHidden; ++k) {
    double sum = at(net.dense_bias, k);
    for (int m = 0; m < Net::kPositions * Net::kSecond; ++m) {
      sum += at(net.dense, m * Net::kHidden + k) *
             second[static_cast<std::size_t>(m / Net::kSecond)]
                   [static_cast<std::size_t>(m % Net::kSecond)];
    }
    logit += std::max(0.0, sum) * at(net.output, k);
  }
  return logit;
}

template <class Real>
double largest_difference(const std::vector<Real>& a, const std::vector<Real>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return worst;
}

}  // namespace

TEST_CASE("Windows that share activations have the logits of the definition") {
  for (const int taps : {1, 3, 5, 7, 9, 11, 15}) {
    const Net weights = test::random_network(taps, static_cast<std::uint64_t>(taps));
    const Network<double> network(weights);
    const Network<float> single(weights);
    NetworkWorkspace<double> work;
    NetworkWorkspace<float> single_work;
    const int n = 262;
    const std::vector<double> y = test::random_curve<double>(n, 5);
    const std::vector<double> logits = network.logits(y, work);
    const std::vector<double> singles =
        single.logits(std::vector<float>(y.begin(), y.end()), single_work);
    REQUIRE(logits.size() == n - 199);
    REQUIRE(singles.size() == n - 199);
    double spread = 0.0;
    for (std::size_t i = 0; i < logits.size(); i += 7) {
      std::vector<double> window(y.begin() + static_cast<std::ptrdiff_t>(i),
                                 y.begin() + static_cast<std::ptrdiff_t>(i) + 200);
      const double one = network.window_logit(window);
      for (double& value : window) {
        value += 1.0;
      }
      const double expected = logit_by_definition(weights, window);
      INFO("taps " << taps << " window " << i);
      CHECK(logits[i] == Approx(expected).epsilon(0.0).margin(1e-12));
      CHECK(one == Approx(expected).epsilon(0.0).margin(1e-12));
      CHECK(singles[i] == Approx(expected).epsilon(0.0).margin(1e-5));
      spread = std::max(spread, std::abs(logits[i] - logits[0]));
    }
    CHECK(spread > 1e-3);
  }
}

TEST_CASE("Any length of light curve, with several transforms per residue") {
  const Net weights = test::random_network(7, 11);
  const Network<double> network(weights);
  NetworkWorkspace<double> work;
  for (const int n : {200, 201, 202, 203, 455, 456, 1043, 1044, 1300, 11000}) {
    const std::vector<double> y = test::random_curve<double>(n, 6);
    const std::vector<double> logits = network.logits(y, work);
    REQUIRE(static_cast<int>(logits.size()) == n - 199);
    double worst = 0.0;
    for (std::size_t i = 0; i<logits.size(); i += n> 2000 ? 97 : 3) {
      worst =
          std::max(worst, std::abs(network.window_logit(std::span(y).subspan(i, 200)) - logits[i]));
    }
    const std::size_t last = logits.size() - 1;
    worst = std::max(
        worst, std::abs(network.window_logit(std::span(y).subspan(last, 200)) - logits[last]));
    INFO(n << " cadences");
    CHECK(worst < 1e-12);
  }
  CHECK(network.logits(std::vector<double>(199), work).empty());
}

TEST_CASE("A used workspace and a later part of the light curve change no bit") {
  const Network<float> network(test::random_network(7, 3));
  NetworkWorkspace<float> fresh;
  NetworkWorkspace<float> used;
  const std::vector<float> y = test::random_curve<float>(1500, 8);
  CHECK(network.logits(test::random_curve<float>(4000, 9), used).size() == 3801);
  const std::vector<double> logits = network.logits(y, fresh);
  CHECK(network.logits(y, used) == logits);
  // FFT blocks are anchored at the start: 844 = 4 * 211 cadences later they are the same blocks.
  std::vector<float> longer = test::random_curve<float>(844, 10);
  longer.insert(longer.end(), y.begin(), y.end());
  const std::vector<double> shifted = network.logits(longer, fresh);
  CHECK(std::vector<double>(shifted.begin() + 844, shifted.end()) == logits);
}

TEST_CASE("A flat light curve has one probability, and single precision keeps it") {
  const Net weights = test::random_network(7, 4);
  NetworkWorkspace<float> work;
  const std::vector<double> logits = Network<float>(weights).logits(std::vector<float>(900), work);
  const double expected = logit_by_definition(weights, std::vector<double>(200, 1.0));
  for (const double logit : logits) {
    REQUIRE(logit == Approx(expected).epsilon(0.0).margin(1e-5));
  }
}

TEST_CASE("Every instruction set gives the same logits") {
  const Net weights = test::random_network(7, 12);
  const std::vector<double> y = test::random_curve<double>(1700, 13);
  const std::vector<float> y_single(y.begin(), y.end());
  NetworkWorkspace<double> work;
  NetworkWorkspace<float> single_work;
  const std::vector<double> expected = Network<double>(weights).logits(y, work);
  for (const char* name : {"portable", "avx2", "avx512"}) {
    if (const lanes::Kernels<float>* use = lanes::kernels(name)) {
      INFO(name);
      CHECK(largest_difference(Network<float>(weights, *use).logits(y_single, single_work),
                               expected) < 1e-5);
    }
  }
  CHECK(lanes::kernels("portable") != nullptr);
  CHECK(lanes::kernels("none") == nullptr);
}

TEST_CASE("Transforms: an impulse, the way back, and all instruction sets") {
  using lanes::kGroup;
  std::vector<float> twiddle;
  std::vector<int> frequency;
  for (int k = 0; k < 256; ++k) {
    const double angle = 2.0 * std::numbers::pi * k / 256;
    twiddle.push_back(static_cast<float>(std::cos(angle)));
    twiddle.push_back(static_cast<float>(std::sin(angle)));
    frequency.push_back((k & 3) << 6 | (k >> 2 & 3) << 4 | (k >> 4 & 3) << 2 | k >> 6);
  }
  const int row = 2 * kGroup * 128;
  int tried = 0;
  for (const char* name : {"portable", "avx2", "avx512"}) {
    const lanes::Kernels<float>* use = lanes::kernels(name);
    if (use == nullptr) {
      continue;
    }
    ++tried;
    INFO(name);
    // Sample 3 of channel 5, imaginary part; the series ends before the next sample.
    std::vector<float> series(4 * 128, 0.0F);
    series[3 * 128 + 64 + 5] = 1.0F;
    std::vector<float> spectra(static_cast<std::size_t>(lanes::kHalf) * row);
    use->forward({series.data(), 128, 64, 4, 4}, 2, twiddle.data(), frequency.data(),
                 spectra.data());
    double worst = 0.0;
    for (int f = 0; f < lanes::kHalf; ++f) {
      const std::complex<double> expected =
          std::complex<double>(0.0, 1.0) * std::polar(1.0, -2.0 * std::numbers::pi * 3 * f / 256);
      const float* z = spectra.data() + f * row + 4 * 128;
      worst = std::max({worst, std::abs(static_cast<double>(z[5]) - expected.real()),
                        std::abs(static_cast<double>(z[64 + 5]) - expected.imag()),
                        std::abs(static_cast<double>(z[6]))});
    }
    CHECK(worst < 1e-6);
    // Weights of 1/256 from input channel 5 to output 1: back comes the impulse.
    std::vector<float> weights(static_cast<std::size_t>(lanes::kHalf) * 64 * 64, 0.0F);
    for (std::size_t f = 0; f < lanes::kHalf; ++f) {
      weights[(f * 64 + 5) * 64 + 1] = 1.0F / 256.0F;
    }
    std::vector<float> products(static_cast<std::size_t>(lanes::kHalf) * 2 * kGroup * 64);
    use->product(spectra.data(), weights.data(), 3, products.data());
    std::vector<float> hidden(211 * 64, 0.0F);
    use->inverse(products.data(), 2, twiddle.data(), frequency.data(),
                 {hidden.data(), 64, 32, 211, 211});
    hidden[3 * 64 + 32 + 1] -= 1.0F;
    CHECK(largest_difference(hidden, std::vector<float>(hidden.size(), 0.0F)) < 1e-6);
  }
  CHECK(tried >= 1);
}

TEST_CASE("Gaps, edges and the two gap rules") {
  std::vector<double> time;
  std::vector<double> flux;
  for (int i = 0; i < 1000; ++i) {
    time.push_back(1000.0 + i / 720.0 + (i > 499 ? 1.0 : 0.0));
    flux.push_back(i % 2 == 0 ? 90.0 : 110.0);
  }
  const Windows windows = find_windows(time, flux, GapRule::native);
  CHECK(windows.median_flux == Approx(100.0));
  CHECK(windows.cadence_d == Approx(1.0 / 720.0));
  CHECK(windows.gaps == std::vector<int>{499});
  for (int i = 0; i < 1000; ++i) {
    const bool expected = i >= 100 && i < 900 && (i < 399 || i > 598);
    REQUIRE((windows.predicted[static_cast<std::size_t>(i)] == 1) == expected);
  }
  // Without a gap the scatter is jitter, which is a gap for the peer only.
  for (int i = 0; i < 1000; ++i) {
    time[static_cast<std::size_t>(i)] = 1000.0 + i / 720.0 + (i % 10 == 3 ? 1e-6 : 0.0);
  }
  CHECK(find_windows(time, flux, GapRule::native).gaps.empty());
  CHECK_FALSE(find_windows(time, flux, GapRule::peer).gaps.empty());
  // Too short for any window.
  const Windows none =
      find_windows(std::span(time).first(150), std::span(flux).first(150), GapRule::native);
  CHECK(std::count(none.predicted.begin(), none.predicted.end(), 1) == 0);

  const Net weights = test::random_network(7, 2);
  const Network<double> network(weights);
  NetworkWorkspace<double> work;
  const std::vector<double> y = normalised<double>(flux, 100.0);
  CHECK(y[1] == Approx(0.1));
  const std::vector<double> nothing =
      flare_probability<double>(network, y, windows, Edge::invalid, work);
  const std::vector<double> peer = flare_probability<double>(network, y, windows, Edge::peer, work);
  const double zero = probability(logit_by_definition(weights, std::vector<double>(200, 0.0)));
  for (std::size_t i = 0; i < y.size(); ++i) {
    REQUIRE(std::isnan(nothing[i]) == (windows.predicted[i] == 0));
    REQUIRE(peer[i] ==
            Approx(windows.predicted[i] != 0 ? nothing[i] : zero).epsilon(0.0).margin(1e-12));
  }
  CHECK(nothing[250] == Approx(probability(network.window_logit(std::span(y).subspan(150, 200)))));
  const std::vector<double> few =
      flare_probability<double>(network, std::span(y).first(150), none, Edge::invalid, work);
  CHECK(few.size() == 150);
}

TEST_CASE("Light curves without windows to normalise are refused") {
  const std::vector<double> time = {1.0, 2.0, 3.0};
  const std::vector<double> negative = {-1.0, -2.0, -3.0};
  const std::vector<double> good = {1.0, 2.0, 3.0};
  CHECK_THROWS_AS(find_windows(time, negative, GapRule::native), UnitError);
  CHECK_THROWS_AS(find_windows(std::vector<double>{1.0, 1.0, 2.0}, good, GapRule::native),
                  UnitError);
  CHECK_THROWS_AS(find_windows(std::vector<double>{1.0}, std::vector<double>{1.0}, GapRule::native),
                  UnitError);
}

TEST_CASE("Networks are combined per cadence") {
  const double none = std::numeric_limits<double>::quiet_NaN();
  const std::vector<std::vector<double>> models = {
      {0.1, 0.9, none}, {0.5, 0.2, none}, {0.2, 0.4, none}, {0.9, 0.3, none}};
  const std::vector<double> median = combined(models, Combine::median);
  CHECK(median[0] == Approx(0.35));
  CHECK(median[1] == Approx(0.35));
  CHECK(std::isnan(median[2]));
  CHECK(combined(std::span(models).first(3), Combine::median)[0] == Approx(0.2));
  CHECK(combined(models, Combine::mean)[0] == Approx(0.425));
}
