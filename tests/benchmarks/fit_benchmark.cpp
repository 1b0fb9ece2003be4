// CPU time of the patch fit per source: patches of 170 x 170 pixels in five bands with 12 sources
// on average, starts like a catalogue's. Usage: fit_benchmark [patches] [tao|lm] [weak|none]
// [sky|total] [varying]

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <petscsys.h>

#include "skyloom/sky/field_psf.hpp"

#include "cpu_time.hpp"
#include "support/fit_patch.hpp"

namespace {

using skyloom::benchmarks::cpu_seconds;

double median_of(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.empty() ? 0.0 : v[v.size() / 2];
}

double scatter_of(const std::vector<double>& v) {
  const double m = median_of(v);
  std::vector<double> d;
  for (const double x : v) {
    d.push_back(std::abs(x - m));
  }
  return 1.4826 * median_of(d);
}

/// A PSF whose size and ellipticity vary by some per cent over a frame of 1000 x 1000 pixels.
std::shared_ptr<const skyloom::sky::Psf> varying_psf(double fwhm_pix) {
  skyloom::sky::FieldPsfModel model;
  model.width = 1000;
  model.height = 1000;
  model.order = 2;
  model.lambda = {std::log(0.5 * fwhm_pix / std::sqrt(std::pow(2.0, 1.0 / 3.5) - 1.0)),
                  0.02,
                  -0.02,
                  0.01,
                  0.0,
                  0.01};
  model.g1 = {0.0, 0.01, 0.0, 0.01, 0.0, 0.0};
  model.g2 = {0.0, 0.0, 0.01, 0.0, 0.01, 0.0};
  return std::make_shared<skyloom::sky::FieldPsf>(std::move(model), 55, 1);
}

}  // namespace

int main(int argc, char** argv) {
  namespace fit = skyloom::photometry::fit;
  PetscInitializeNoArguments();
  const int patches = argc > 1 ? std::atoi(argv[1]) : 20;
  const auto has = [&](const char* word) {
    return std::any_of(argv + 1, argv + argc,
                       [&](const char* a) { return std::strcmp(a, word) == 0; });
  };
  skyloom::test::PatchOptions options;
  if (has("crowded")) {
    options.side = 100;
    options.mean_sources = 15.5;
    options.min_distance = 3.0;
  }
  double seconds = 0.0;
  int sources = 0;
  int iterations = 0;
  int converged = 0;
  int failed = 0;
  std::vector<double> pull[4];
  std::vector<double> position_pull;
  const auto workspace = fit::make_workspace();
  std::vector<std::shared_ptr<const skyloom::sky::Psf>> psfs;
  for (int p = 0; p < patches; ++p) {
    auto patch = skyloom::test::make_patch(static_cast<std::uint64_t>(p) + 1, options);
    patch.input.options.solver =
        has("lm") ? fit::Solver::levenberg_marquardt : fit::Solver::tao_bnls;
    patch.input.options.shape_prior = has("none") ? fit::ShapePrior::none : fit::ShapePrior::weak;
    patch.input.options.noise = has("total") ? fit::Noise::total : fit::Noise::sky;
    // As in a field: one workspace and one PSF per band for all patches.
    patch.input.workspace = workspace;
    for (std::size_t f = 0; f < patch.input.frames.size(); ++f) {
      if (psfs.size() == f) {
        psfs.push_back(has("varying") ? varying_psf(3.2 + 0.25 * static_cast<double>(f))
                                      : patch.input.frames[f].psf);
      }
      patch.input.frames[f].psf = psfs[f];
    }
    const double before = cpu_seconds();
    fit::Result result;
    try {
      result = fit::compute(patch.input);
    } catch (const std::exception& error) {
      std::printf("patch %d: %s\n", p, error.what());
      ++failed;
      continue;
    }
    seconds += cpu_seconds() - before;
    sources += static_cast<int>(patch.truth.size());
    iterations += result.iterations;
    for (std::size_t s = 0; s < patch.truth.size(); ++s) {
      const auto& source = result.sources[s];
      converged += source.converged ? 1 : 0;
      for (std::size_t b = 0; b < source.bands.size(); ++b) {
        const auto& band = source.bands[b];
        if (patch.truth[s].flux[b] > 20.0 * band.flux_err) {
          pull[static_cast<std::size_t>(patch.truth[s].type)].push_back(
              (band.flux - patch.truth[s].flux[b]) / band.flux_err);
        }
      }
      if (patch.truth[s].type == fit::SourceType::star &&
          patch.truth[s].flux[2] > 20.0 * source.bands[2].flux_err) {
        position_pull.push_back((source.x - patch.truth[s].x) / source.x_err);
      }
    }
  }
  std::printf(
      "%d patches, %d sources: %.4f ms CPU per source, %.2f iterations per patch, "
      "%d not converged, %d patches failed\n",
      patches, sources, 1e3 * seconds / std::max(1, sources),
      static_cast<double>(iterations) / patches, sources - converged, failed);
  const char* names[] = {"STAR", "EXP", "DEV", "SERSIC"};
  for (std::size_t t = 0; t < 4; ++t) {
    std::printf("%-6s %4zu values, flux pull median %+.3f scatter %.3f\n", names[t], pull[t].size(),
                median_of(pull[t]), scatter_of(pull[t]));
  }
  std::printf("x pull of stars: median %+.3f scatter %.3f\n", median_of(position_pull),
              scatter_of(position_pull));
  PetscFinalize();
  return 0;
}
