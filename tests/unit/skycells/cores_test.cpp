// Saturated cores: the truth comes back where it was cut off, and nothing else changes.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/skycells/combine/kernel_cores.hpp"
#include "skyloom/core/random.hpp"

using namespace skyloom;
using namespace skyloom::skycells;

namespace {

constexpr int kWidth = 500;
constexpr int kHeight = 420;
constexpr double kNoise = 0.2;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Moffat, beta 3, FWHM 5 pixels, at the offset (dx, dy); sum 1.
double profile(double dx, double dy) {
  const double alpha = 5.0 / (2.0 * std::sqrt(std::pow(2.0, 1.0 / 3.0) - 1.0));
  return 2.0 / (M_PI * alpha * alpha) * std::pow(1.0 + (dx * dx + dy * dy) / (alpha * alpha), -3.0);
}

struct Field {
  std::vector<CatalogueStar> stars;
  Image<float> truth{kWidth, kHeight};
  Image<float> image{kWidth, kHeight};
  Image<std::uint16_t> mask{kWidth, kHeight};
};

CatalogueStar star_at(double x, double y, double rp) {
  CatalogueStar star;
  star.x = x;
  star.y = y;
  star.rp_mag = rp;
  return star;
}

/// Stars of RP 14 to 16.5 on a lattice, three brighter ones, one of them at the edge; above `full`
/// counts per second pixels are cut off and marked.
Field field(double full) {
  Field out;
  const Rng rng(2, "stars", "cores");
  for (std::uint64_t i = 0; i < 30; ++i) {
    const double x = 35.0 + 72.0 * static_cast<double>(i % 6) + rng.uniform(i, 1);
    const double y = 35.0 + 72.0 * static_cast<double>(i / 6) + rng.uniform(i, 2);
    out.stars.push_back(star_at(x, y, 14.1 + 2.4 * rng.uniform(i, 3)));
  }
  out.stars.push_back(star_at(430.3, 71.8, 12.0));
  out.stars.push_back(star_at(250.6, 395.2, 11.0));
  out.stars.push_back(star_at(kWidth + 2.2, 300.7, 11.0));
  for (const CatalogueStar& star : out.stars) {
    const double flux = std::pow(10.0, 0.4 * (25.0 - star.rp_mag));
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        out.truth(y, x) += static_cast<float>(flux * profile(x - star.x, y - star.y));
      }
    }
  }
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      const auto pixel = static_cast<std::uint64_t>(y * kWidth + x);
      out.image(y, x) = out.truth(y, x) + static_cast<float>(kNoise * rng.normal(pixel, 4));
      if (static_cast<double>(out.image(y, x)) > full) {
        out.image(y, x) = static_cast<float>(full);
        out.mask(y, x) = kSaturatedBit | kStarCoreBit;
      }
    }
  }
  return out;
}

}  // namespace

TEST_CASE("saturated cores become the model of the star") {
  // The central pixel of a star of 15 mag has about 300 counts per second.
  Field f = field(1500.0);
  for (int k = -1; k <= 1; ++k) {
    f.image(72 + k, 430) = kNan;
  }
  f.mask(200, 5) = kSaturatedBit | 0x0100;
  const Image<float> before = f.image;
  const ReplacedCores cores = replace_cores(f.stars, {}, f.image.view(), f.mask.view());
  CHECK(cores.psf_stars >= 20);
  CHECK(cores.peak_psf == Approx(profile(0.0, 0.0)).epsilon(0.05));
  CHECK(cores.stars == std::vector<std::size_t>{31, 32, 30});
  CHECK(f.mask(200, 5) == 0x0100);
  int replaced = 0;
  double worst = 0.0;
  const double limit = std::pow(10.0, 4.0) * cores.peak_psf;
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      REQUIRE(std::isfinite(f.image(y, x)));
      const bool marked = (f.mask(y, x) & kSaturatedBit) != 0;
      if (!marked) {
        CHECK(f.image(y, x) == before(y, x));
        continue;
      }
      ++replaced;
      CHECK((std::isnan(before(y, x)) || static_cast<double>(before(y, x)) > limit));
      const double truth = f.truth(y, x);
      worst = std::max(worst, std::abs(static_cast<double>(f.image(y, x)) - truth) / truth);
    }
  }
  CHECK(replaced == cores.pixels);
  CHECK(replaced > 100);
  CHECK(worst < 0.06);
}

TEST_CASE("without stars for a PSF pixels stay") {
  Field f = field(1500.0);
  f.stars.erase(f.stars.begin() + 2, f.stars.begin() + 30);
  const Image<float> before = f.image;
  const ReplacedCores cores = replace_cores(f.stars, {}, f.image.view(), f.mask.view());
  CHECK(cores.psf_stars == 0);
  CHECK(cores.stars.empty());
  CHECK(std::equal(before.pixels().begin(), before.pixels().end(), f.image.pixels().begin()));
  const auto bits = f.mask.pixels();
  CHECK(std::none_of(bits.begin(), bits.end(),
                     [](std::uint16_t b) { return (b & kSaturatedBit) != 0; }));
}
