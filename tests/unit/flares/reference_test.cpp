// Networks published by others on real light curves, against a double-precision reference that
// evaluates every window by itself.

#include <cmath>
#include <filesystem>

#include <catch2/catch.hpp>

#include "pipelines/flares/detect/kernel_mask.hpp"
#include "pipelines/flares/detect/kernel_windows.hpp"
#include "pipelines/flares/inject/kernel_template.hpp"
#include "pipelines/flares/inject/kernel_trials.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/hdf5.hpp"
#include "skyloom/numerics/robust.hpp"
#include "skyloom/surveys/keras_network.hpp"
#include "skyloom/surveys/light_curve.hpp"

using namespace skyloom;
using namespace skyloom::flares;

namespace {

const std::string kFolder = std::string(SKYLOOM_TEST_DATA) + "/flares/";
const std::vector<std::string> kTargets = {"tic2760232_s2", "tic188646744_s55"};

bool absent() {
  if (std::filesystem::exists(kFolder)) {
    return false;
  }
  WARN("skipped: no folder " << kFolder);
  return true;
}

template <class T>
std::vector<T> values(const io::Hdf5File& file, const std::string& name, Type type) {
  std::size_t count = 1;
  const std::vector<std::size_t> shape = file.shape(name);
  for (const std::size_t side : shape) {
    count *= side;
  }
  std::vector<T> out(count);
  file.read_rows(name, type, 0, shape[0], std::as_writable_bytes(std::span(out)));
  return out;
}

std::vector<double> numbers(const io::Hdf5File& file, const std::string& name) {
  return values<double>(file, name, Type::float64);
}

std::vector<int> integers(const io::Hdf5File& file, const std::string& name) {
  return values<int>(file, name, Type::int32);
}

double number(const io::Hdf5File& file, const std::string& name) {
  return std::stod(file.attribute("/", name).value());
}

/// The kept cadences of an expected light curve, and what is expected of them.
struct Reference {
  io::Hdf5File file;
  std::vector<double> time;
  std::vector<double> flux;
  std::vector<double> flux_err;
  std::vector<WindowNetwork> networks;
};

Reference reference(const std::string& target) {
  Reference out{io::Hdf5File(kFolder + "expected_" + target + ".h5"), {}, {}, {}, {}};
  const surveys::LightCurve curve =
      surveys::read_light_curve(kFolder + out.file.attribute("/", "fits").value());
  out.time = curve.time;
  out.flux.assign(curve.flux.begin(), curve.flux.end());
  out.flux_err.assign(curve.flux_err.begin(), curve.flux_err.end());
  const auto models = out.file.attribute_list("/", "models").value();
  for (const std::string& name : models) {
    out.networks.push_back(surveys::read_keras_network(kFolder + name).weights);
  }
  return out;
}

template <class Real>
std::vector<std::vector<double>> probabilities(const Reference& star, const Windows& windows,
                                               Edge edge) {
  NetworkWorkspace<Real> work;
  const std::vector<Real> y = normalised<Real>(star.flux, windows.median_flux);
  std::vector<std::vector<double>> out;
  for (const WindowNetwork& weights : star.networks) {
    out.push_back(flare_probability<Real>(Network<Real>(weights), y, windows, edge, work));
  }
  return out;
}

/// Largest difference where `windows` has predictions. NaN anywhere there counts as 1.
double worst_difference(const std::vector<double>& found, std::span<const double> expected,
                        const Windows& windows) {
  double worst = 0.0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (windows.predicted[i] != 0) {
      const double difference = std::abs(found[i] - expected[i]);
      worst = std::max(worst, difference >= 0.0 ? difference : 1.0);
    }
  }
  return worst;
}

template <class Real>
void check_probabilities(const std::string& target, double tolerance) {
  const Reference star = reference(target);
  const Windows windows = find_windows(star.time, star.flux, GapRule::native);
  const std::size_t n = star.time.size();
  const std::vector<double> expected = numbers(star.file, "prob_models");
  const auto models = probabilities<Real>(star, windows, Edge::invalid);
  const auto peer = probabilities<Real>(star, windows, Edge::peer);
  for (std::size_t m = 0; m < models.size(); ++m) {
    const auto row = std::span(expected).subspan(m * n, n);
    INFO(target << " network " << m);
    CHECK(worst_difference(models[m], row, windows) <= tolerance);
    double edge = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      edge = std::max(edge, std::abs(peer[m][i] - row[i]));
      REQUIRE(std::isnan(models[m][i]) == (windows.predicted[i] == 0));
    }
    CHECK(edge <= tolerance);
  }
  CHECK(worst_difference(combined(models, Combine::median), numbers(star.file, "prob_median"),
                         windows) <= tolerance);
  CHECK(worst_difference(combined(models, Combine::mean), numbers(star.file, "prob_mean"),
                         windows) <= tolerance);
}

/// What find_flares makes of the reference's own probabilities must be its own list; ours may
/// differ only where a probability lies within 3e-4 of the threshold.
void check_flares(const Reference& star, const std::vector<double>& ours,
                  const std::vector<double>& theirs, const std::vector<int>& gaps,
                  const std::string& suffix) {
  const DetectionRule rule{number(star.file, "threshold"),
                           static_cast<int>(number(star.file, "merge")),
                           static_cast<int>(number(star.file, "min_points"))};
  const std::vector<int> start = integers(star.file, "flare_start" + suffix);
  const std::vector<int> stop = integers(star.file, "flare_stop" + suffix);
  std::vector<FlareBlock> expected;
  for (std::size_t i = 0; i < start.size(); ++i) {
    expected.push_back({start[i], stop[i]});
  }
  CHECK(find_flares(theirs, gaps, rule) == expected);
  std::size_t doubtful = 0;
  for (const double p : theirs) {
    doubtful += std::abs(p - rule.threshold) <= 3e-4 ? 1U : 0U;
  }
  INFO(doubtful << " cadences at the threshold");
  CHECK((doubtful > 0 || find_flares(ours, gaps, rule) == expected));
}

}  // namespace

TEST_CASE("Every expected probability, in single and in double precision") {
  if (absent()) {
    return;
  }
  for (const std::string& target : kTargets) {
    check_probabilities<double>(target, 1e-9);
    check_probabilities<float>(target, 7e-6);
  }
}

TEST_CASE("Median flux, gaps and predictable cadences of real light curves") {
  if (absent()) {
    return;
  }
  for (const std::string& target : kTargets) {
    const Reference star = reference(target);
    const Windows windows = find_windows(star.time, star.flux, GapRule::native);
    INFO(target);
    CHECK(windows.median_flux == number(star.file, "median_flux"));
    CHECK(windows.gap_threshold_d == Approx(number(star.file, "gap_threshold_days")).epsilon(1e-9));
    CHECK(windows.gaps == integers(star.file, "gap_index"));
    CHECK(windows.predicted == values<std::uint8_t>(star.file, "predicted", Type::boolean));
    CHECK(star.time == numbers(star.file, "time"));
  }
}

TEST_CASE("Flare lists and masks of real light curves") {
  if (absent()) {
    return;
  }
  for (const std::string& target : kTargets) {
    const Reference star = reference(target);
    const Windows windows = find_windows(star.time, star.flux, GapRule::native);
    const auto ours = combined(probabilities<float>(star, windows, Edge::invalid), Combine::median);
    const std::vector<double> peer = numbers(star.file, "prob_median");
    std::vector<double> native = peer;
    for (std::size_t i = 0; i < native.size(); ++i) {
      if (windows.predicted[i] == 0) {
        native[i] = std::numeric_limits<double>::quiet_NaN();
      }
    }
    INFO(target);
    check_flares(star, ours, native, windows.gaps, "");
    check_flares(star, combined(probabilities<float>(star, windows, Edge::peer), Combine::median),
                 peer, {}, "_peer");
    const std::vector<FlareBlock> blocks = find_flares(native, windows.gaps, {});
    CHECK(flare_mask(blocks, native.size()) ==
          values<std::uint8_t>(star.file, "flare_mask", Type::boolean));

    const std::vector<double> mu(star.time.size(), windows.median_flux);
    const FlareInput input{star.time, star.flux,           star.flux_err,    mu,
                           native,    windows.median_flux, windows.cadence_d};
    const std::vector<double> peak = numbers(star.file, "flare_t_peak_flat_mu");
    const std::vector<double> amplitude = numbers(star.file, "flare_amp_flat_mu");
    const std::vector<double> duration = numbers(star.file, "flare_ed_flat_mu");
    REQUIRE(blocks.size() == peak.size());
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const Flare flare = measure_flare(input, blocks[i]);
      CHECK(flare.t_peak == peak[i]);
      CHECK(flare.amplitude == Approx(amplitude[i]).epsilon(1e-10));
      CHECK(flare.equivalent_duration_s == Approx(duration[i]).epsilon(1e-9).margin(1e-9));
      CHECK(flare.equivalent_duration_error_s > 0.0);
    }
  }
}

TEST_CASE("Injected flares get the reference's probabilities and are recovered where it says so") {
  if (absent()) {
    return;
  }
  constexpr int kReach = 40;  // offsets of the reference, on either side of the injection
  for (const std::string& target : kTargets) {
    const Reference star = reference(target);
    const Windows windows = find_windows(star.time, star.flux, GapRule::native);
    const std::vector<double> amplitude = numbers(star.file, "inject/amp");
    const std::vector<double> fwhm = numbers(star.file, "inject/fwhm");
    const std::vector<double> expected = numbers(star.file, "inject/prob_native");
    const std::vector<int> index = integers(star.file, "inject/index");
    const auto recovered =
        values<std::uint8_t>(star.file, "inject/recovered_detect", Type::boolean);
    const auto mask = values<std::uint8_t>(star.file, "flare_mask", Type::boolean);
    std::vector<double> quiet;
    for (std::size_t i = 0; i < star.flux.size(); ++i) {
      if (mask[i] == 0) {
        quiet.push_back(star.flux[i]);
      }
    }
    const double level = numerics::median(quiet);
    std::vector<Network<float>> networks;
    for (const WindowNetwork& weights : star.networks) {
      networks.emplace_back(weights);
    }
    NetworkWorkspace<float> work;
    for (std::size_t k = 0; k < index.size(); ++k) {
      const int n = static_cast<int>(star.flux.size());
      const int first = std::max(0, index[k] - kReach - 100);
      const int last = std::min(n, index[k] + kReach + 100);
      std::vector<double> flux;
      for (int i = first; i < last; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const double x = (star.time[at] - star.time[static_cast<std::size_t>(index[k])]) / fwhm[k];
        flux.push_back(star.flux[at] + level * amplitude[k] * mendoza2022(x));
      }
      const std::vector<float> y = normalised<float>(flux, windows.median_flux);
      std::vector<std::vector<double>> models;
      for (const Network<float>& network : networks) {
        models.emplace_back(2 * kReach + 1, std::numeric_limits<double>::quiet_NaN());
        const std::vector<double> logits = network.logits(y, work);
        for (int i = 0; i <= 2 * kReach; ++i) {
          const int cadence = index[k] - kReach + i;
          if (cadence >= 0 && cadence < n &&
              windows.predicted[static_cast<std::size_t>(cadence)] != 0) {
            models.back()[static_cast<std::size_t>(i)] =
                probability(logits[static_cast<std::size_t>(cadence - 100 - first)]);
          }
        }
      }
      const std::vector<double> found = combined(models, Combine::median);
      INFO(target << " injection " << k);
      for (std::size_t i = 0; i < found.size(); ++i) {
        const double wanted = expected[k * found.size() + i];
        CHECK(std::isnan(found[i]) == std::isnan(wanted));
        CHECK_FALSE(std::abs(found[i] - wanted) > 3e-4);
      }
      bool hit = false;
      for (const FlareBlock& block : find_flares(found, {}, {})) {
        hit = hit || (block.start <= kReach + 2 && block.stop >= kReach - 1);
      }
      CHECK(hit == (recovered[k] != 0));
    }
    std::vector<Trial> trials;
    for (std::size_t k = 0; k < index.size(); ++k) {
      trials.push_back({index[k], amplitude[k], fwhm[k]});
    }
    const std::vector<TrialNetwork<float>> trial_networks(networks.begin(), networks.end());
    const QuietCurve curve{star.time, star.flux, &windows, level};
    Trials<float> runner(trial_networks, curve, {});
    CHECK(runner.recovered(trials) == recovered);
    TrialRule peer;
    peer.criterion = Criterion::peer;
    peer.mode = GapRule::peer;
    CHECK(Trials<float>(trial_networks, curve, peer).recovered(trials) ==
          values<std::uint8_t>(star.file, "inject/recovered_peer", Type::boolean));
  }
}

TEST_CASE("Windows whose probabilities the network's authors printed") {
  if (absent()) {
    return;
  }
  const io::Hdf5File file(kFolder + "printed_windows.h5");
  const auto net = surveys::read_keras_network(kFolder + file.attribute("/", "model").value());
  const std::vector<double> x = numbers(file, "window");
  const std::vector<double> printed = numbers(file, "prob_printed");
  const std::vector<double> logits = numbers(file, "logit_float64");
  REQUIRE(printed.size() == 19);
  const Network<double> network(net.weights);
  const Network<float> single(net.weights);
  NetworkWorkspace<float> work;
  for (std::size_t i = 0; i < printed.size(); ++i) {
    const auto window = std::span(x).subspan(200 * i, 200);
    const double logit = network.window_logit(normalised<double>(window, 1.0));
    const double logit_single = single.logits(normalised<float>(window, 1.0), work).front();
    INFO("window " << i);
    CHECK(logit == Approx(logits[i]).epsilon(1e-10).margin(1e-10));
    CHECK(probability(logit) == Approx(printed[i]).epsilon(5e-5).margin(1e-7));
    CHECK(probability(logit_single) == Approx(printed[i]).epsilon(5e-5).margin(1e-7));
  }
}

TEST_CASE("A network with a first kernel of three") {
  if (absent()) {
    return;
  }
  const auto net = surveys::read_keras_network(kFolder + "synthetic_k1_3.h5");
  CHECK(net.weights.taps == 3);
  const io::Hdf5File file(kFolder + "synthetic_k1_3_expected.h5");
  const std::vector<double> x = numbers(file, "window");
  const std::vector<double> logits = numbers(file, "logit_float64");
  const Network<double> network(net.weights);
  const Network<float> single(net.weights);
  NetworkWorkspace<double> work;
  NetworkWorkspace<float> single_work;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const auto window = std::span(x).subspan(200 * i, 200);
    CHECK(network.logits(normalised<double>(window, 1.0), work).front() ==
          Approx(logits[i]).epsilon(1e-12).margin(1e-12));
    CHECK(single.logits(normalised<float>(window, 1.0), single_work).front() ==
          Approx(logits[i]).epsilon(0.0).margin(2e-6));
  }
}

TEST_CASE("Mask cases") {
  if (absent()) {
    return;
  }
  using Array = ConfigValue::Array;
  const std::string path = kFolder + "mask_cases.json";
  const ConfigValue document = io::parse_json(io::read_text(path), path);
  const auto to_number = [](const ConfigValue& value) {
    if (const auto* integer = std::get_if<std::int64_t>(&value.value)) {
      return static_cast<double>(*integer);
    }
    const auto* real = std::get_if<double>(&value.value);
    return real != nullptr ? *real : std::numeric_limits<double>::quiet_NaN();
  };
  const auto& cases = std::get<Array>(document.value);
  CHECK(cases.size() == 11);
  for (const ConfigValue& element : cases) {
    const auto& members = std::get<ConfigValue::TableMap>(element.value);
    std::vector<double> p;
    for (const ConfigValue& value : std::get<Array>(members.at("prob").value)) {
      p.push_back(to_number(value));
    }
    std::vector<int> gaps;
    for (const ConfigValue& value : std::get<Array>(members.at("gaps").value)) {
      gaps.push_back(static_cast<int>(to_number(value)));
    }
    std::vector<FlareBlock> expected;
    for (const ConfigValue& value : std::get<Array>(members.at("flares").value)) {
      const auto& pair = std::get<Array>(value.value);
      expected.push_back(
          {static_cast<int>(to_number(pair[0])), static_cast<int>(to_number(pair[1]))});
    }
    INFO(std::get<std::string>(members.at("name").value));
    CHECK(find_flares(
              p, gaps,
              {to_number(members.at("threshold")), static_cast<int>(to_number(members.at("merge"))),
               static_cast<int>(to_number(members.at("min_points")))}) == expected);
  }
}

TEST_CASE("The table of the flare template") {
  if (absent()) {
    return;
  }
  const Table table = io::read_csv(kFolder + "template_tovar_mendoza_2022.csv");
  const std::vector<double> x = table.numbers("x");
  const std::vector<double> g = table.numbers("g");
  REQUIRE(x.size() > 100);
  for (std::size_t i = 0; i < x.size(); ++i) {
    INFO("x = " << x[i]);
    CHECK(mendoza2022(x[i]) == Approx(g[i]).epsilon(1e-10).margin(1e-22));
  }
}
