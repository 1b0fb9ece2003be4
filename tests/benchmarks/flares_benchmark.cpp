// CPU time of the heavy parts of the flares pipeline on one core, for one sector: the pass of an
// ensemble, the Gaussian process, and injections. Usage:
//   flares_benchmark LIGHT_CURVE WEIGHTS... [-n FLARES] [-r REPEATS]
// The networks are used in turn until there are ten.

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <petscsys.h>

#include "pipelines/flares/detect/kernel_mask.hpp"
#include "pipelines/flares/detect/kernel_windows.hpp"
#include "pipelines/flares/gp/kernel.hpp"
#include "pipelines/flares/inject/kernel.hpp"
#include "skyloom/numerics/robust.hpp"
#include "skyloom/surveys/keras_network.hpp"
#include "skyloom/surveys/light_curve.hpp"

#include "cpu_time.hpp"

using namespace skyloom;
using namespace skyloom::benchmarks;
using namespace skyloom::flares;

namespace {

std::vector<double> unmasked(const std::vector<double>& values,
                             const std::vector<std::uint8_t>& mask) {
  std::vector<double> out;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (mask[i] == 0) {
      out.push_back(values[i]);
    }
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> files;
  InjectionBlock block{0, 2000, 10};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "-n" && i + 1 < argc) {
      block.count = std::atoi(argv[++i]);
    } else if (word == "-r" && i + 1 < argc) {
      block.repeats = std::atoi(argv[++i]);
    } else {
      files.push_back(word);
    }
  }
  if (files.size() < 2) {
    std::fprintf(stderr, "usage: flares_benchmark LIGHT_CURVE WEIGHTS... [-n N] [-r N]\n");
    return 2;
  }
  PetscCall(PetscInitialize(nullptr, nullptr, nullptr, nullptr));
  const surveys::LightCurve curve = surveys::read_light_curve(files[0]);
  const std::vector<double> flux(curve.flux.begin(), curve.flux.end());
  const std::vector<double> error(curve.flux_err.begin(), curve.flux_err.end());
  std::vector<Network<float>> networks;
  for (std::size_t m = 0; m < 10; ++m) {
    networks.emplace_back(surveys::read_keras_network(files[1 + m % (files.size() - 1)]).weights);
  }
  const Windows windows = find_windows(curve.time, flux, GapRule::native);
  std::printf("%zu cadences, %s\n", flux.size(), instruction_set());

  NetworkWorkspace<float> work;
  std::vector<double> p;
  const auto pass = [&] {
    const std::vector<float> y = normalised<float>(flux, windows.median_flux);
    std::vector<std::vector<double>> models;
    for (const Network<float>& network : networks) {
      models.push_back(flare_probability<float>(network, y, windows, Edge::invalid, work));
    }
    p = combined(models, Combine::median);
  };
  pass();
  const double ensemble = seconds_of(pass);
  std::printf("ensemble of 10:      %8.3f s  (%.3f s per 20,000 cadences)\n", ensemble,
              ensemble * 20000.0 / static_cast<double>(flux.size()));

  const std::vector<FlareBlock> blocks = find_flares(p, windows.gaps, {});
  const std::vector<std::uint8_t> mask = flare_mask(blocks, flux.size());
  const double process = seconds_of([&] { (void)gp::fit({curve.time, flux, error, mask}, {}); });
  std::printf("Gaussian process:    %8.3f s\n", process);

  const std::vector<TrialNetwork<float>> trial_networks(networks.begin(), networks.end());
  const QuietCurve quiet{curve.time, flux, &windows, numerics::median(unmasked(flux, mask))};
  const StarScale star{numerics::median(error) / windows.median_flux, 0.0, 0.0};
  FlareSample sample;
  sample.count = block.count;
  BlockOutcome outcome;
  const double injections = seconds_of([&] {
    Trials<float> trials(trial_networks, quiet, {});
    outcome = inject(trials, mask, sample, star, block, false, Rng(1, "inject", "benchmark"));
  });
  int recovered = 0;
  for (const std::uint8_t one : outcome.recovered) {
    recovered += one;
  }
  std::printf("injections %d x %d: %8.3f s  (%.1f us per trial, %.0f %% recovered, %zu flares)\n",
              block.count, block.repeats, injections,
              1e6 * injections / static_cast<double>(outcome.recovered.size()),
              100.0 * recovered / static_cast<double>(outcome.recovered.size()), blocks.size());
  PetscCall(PetscFinalize());
  return 0;
}
