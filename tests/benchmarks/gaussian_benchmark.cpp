// CPU time of the Gaussian convolution on one core: every method over sigma on one image, and the
// streaming form against FFTW with measured plans (whole lines) on a row of skycells. Usage:
//   gaussian_benchmark [COLUMNS ROWS] [-s SIGMA] [-r REPEATS] [-i portable|avx2]
// Times are the fastest of the repeats, in turn, so that a busy machine slows all methods alike.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "skyloom/core/random.hpp"
#include "skyloom/numerics/gaussian.hpp"
#include "skyloom/numerics/multirate.hpp"

#include "cpu_time.hpp"
#include "numerics/gaussian_methods.hpp"

using namespace skyloom;
using namespace skyloom::benchmarks;
using namespace skyloom::numerics;

namespace {

/// A field like that of the skycells: stars over five decades, sky and noise in a quarter.
Image<float> field(int width, int height) {
  const Rng rng(1, "field", "benchmark");
  Image<float> image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width / 4; ++x) {
      image(y, x) =
          static_cast<float>(20.0 + 5.0 * rng.normal(static_cast<std::uint64_t>(y) *
                                                         static_cast<std::uint64_t>(width) +
                                                     static_cast<std::uint64_t>(x)));
    }
  }
  const auto stars = static_cast<std::uint64_t>(0.00025 * width * height);
  for (std::uint64_t i = 0; i < stars; ++i) {
    image(static_cast<int>(rng.uniform(i, 1) * height),
          static_cast<int>(rng.uniform(i, 2) * width)) +=
        static_cast<float>(std::pow(10.0, 1.0 + 5.0 * rng.uniform(i, 3)));
  }
  return image;
}

double difference(const Image<float>& a, const Image<float>& b) {
  double worst = 0.0;
  double scale = 0.0;
  for (std::size_t i = 0; i < a.pixels().size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(a.pixels()[i] - b.pixels()[i])));
    scale = std::max(scale, std::abs(static_cast<double>(b.pixels()[i])));
  }
  return worst / scale;
}

void compare_methods(const Image<float>& image, double tolerance, InstructionSet set) {
  std::printf("methods, tolerance %g: CPU s per Mpx (step)\n%8s %10s %10s %10s %16s\n", tolerance,
              "sigma", "direct", "fft", "expsum", "multirate");
  const double mpx = 1e-6 * image.width() * image.height();
  Image<float> out(image.width(), image.height());
  for (const double sigma : {2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 40.0, 60.0, 120.0}) {
    std::printf("%8.1f", sigma);
    for (const GaussianMethod method : {GaussianMethod::direct, GaussianMethod::fft,
                                        GaussianMethod::expsum, GaussianMethod::multirate}) {
      if (method == GaussianMethod::multirate && sigma < 5.0) {
        std::printf("%11s", "-");
        continue;
      }
      const GaussianPlan plan = plan_gaussian({sigma, tolerance, 0, method});
      GaussianConvolution convolution(plan, set);
      double best = 1e30;
      for (int i = 0; i < 3; ++i) {
        best = std::min(best, seconds_of([&] { convolution(image.view(), out.view()); }));
      }
      std::printf(" %10.5f", best / mpx);
      if (method == GaussianMethod::multirate) {
        std::printf(" (%d)", plan.step);
      }
    }
    std::printf("\n");
  }
}

void compare_with_fftw(const Image<float>& image, double sigma, int repeats, InstructionSet set) {
  const double mpx = 1e-6 * image.width() * image.height();
  const GaussianPlan plan = plan_gaussian({sigma, 1e-6, static_cast<int>(7.84 * sigma)});
  GaussianConvolution convolution(plan, set);
  FftGaussian opponent(sigma, static_cast<int>(7.84 * sigma), true);
  Image<float> ours(image.width(), image.height());
  Image<float> theirs(image.width(), image.height());
  const auto run_ours = [&] { convolution(image.view(), ours.view()); };
  const auto run_theirs = [&] { opponent.convolve(image.view(), {}, theirs.view(), {}); };
  run_theirs();  // measures its plans
  double best_ours = 1e30;
  double best_theirs = 1e30;
  for (int i = 0; i < repeats; ++i) {
    best_ours = std::min(best_ours, seconds_of(run_ours));
    best_theirs = std::min(best_theirs, seconds_of(run_theirs));
  }
  std::printf(
      "%d x %d, sigma %g: multirate (step %d, %g steps, reach %d) %.5f s/Mpx, FFTW with "
      "measured plans %.5f s/Mpx, ratio %.3f, largest difference %.1e\n",
      image.width(), image.height(), sigma, plan.step, plan.narrow, plan.reach, best_ours / mpx,
      best_theirs / mpx, best_ours / best_theirs, difference(ours, theirs));
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<int> size;
  double sigma = 60.0;
  int repeats = 5;
  InstructionSet set = best_instructions();
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "-s" && i + 1 < argc) {
      sigma = std::atof(argv[++i]);
    } else if (word == "-r" && i + 1 < argc) {
      repeats = std::atoi(argv[++i]);
    } else if (word == "-i" && i + 1 < argc) {
      set = std::string(argv[++i]) == "avx2" ? InstructionSet::avx2 : InstructionSet::portable;
    } else {
      size.push_back(std::atoi(argv[i]));
    }
  }
  if (!(size.empty() || size.size() == 2) || !(sigma >= 12.0) || repeats < 1 ||
      (size.size() == 2 && (size[0] < 1 || size[1] < 1))) {
    std::fprintf(stderr,
                 "usage: gaussian_benchmark [COLUMNS ROWS] [-s SIGMA >= 12] [-r REPEATS] "
                 "[-i portable|avx2]\n");
    return 2;
  }
  if (size.empty()) {
    size = {13000, 7203};
  }
  compare_with_fftw(field(size[0], size[1]), sigma, repeats, set);
  compare_methods(field(2048, 2048), 1e-6, set);
  return 0;
}
