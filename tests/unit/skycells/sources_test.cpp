// Sources of a skycell and its saturated stars: against sums and distances taken pixel by pixel.

#include <cmath>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/skycells/combine/kernel_background.hpp"
#include "pipelines/skycells/combine/kernel_saturation.hpp"
#include "pipelines/skycells/combine/kernel_sources.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/core/random.hpp"

using namespace skyloom;
using namespace skyloom::skycells;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

void add_star(Image<float>& image, double x, double y, double peak, double sigma) {
  for (int j = 0; j < image.height(); ++j) {
    for (int i = 0; i < image.width(); ++i) {
      const double r2 = (i - x) * (i - x) + (j - y) * (j - y);
      image(j, i) += static_cast<float>(peak * std::exp(-0.5 * r2 / (sigma * sigma)));
    }
  }
}

/// Three stars on a sky of noise 1: bright (300, 300), middling (60, 200), far below the threshold.
Image<float> field(int width, int height) {
  Image<float> image(width, height);
  const Rng rng(11, "noise", "sources");
  for (std::size_t i = 0; i < image.pixels().size(); ++i) {
    image.pixels()[i] = static_cast<float>(rng.normal(i));
  }
  add_star(image, 60.0, 50.0, 300.0, 2.0);
  add_star(image, 120.0, 80.0, 20.0, 2.0);
  return image;
}

int pixels_above(const Image<float>& image, float limit, int x, int y, int radius) {
  int n = 0;
  for (int j = y - radius; j <= y + radius; ++j) {
    for (int i = x - radius; i <= x + radius; ++i) {
      n += image(j, i) > limit ? 1 : 0;
    }
  }
  return n;
}

}  // namespace

TEST_CASE("only sources stay, and missing pixels") {
  Image<float> image = field(200, 150);
  image(20, 30) = kNan;
  const Image<float> before = image;
  Image<float> sigma(200, 150, 1.0F);
  sigma(10, 10) = kNan;
  const SourceMap sources = find_sources(image.view(), sigma.view(), {});
  keep_sources(sources, image.view());
  CHECK(std::isnan(image(20, 30)));
  CHECK(sources.bright(50, 60) == 1);
  CHECK(sources.segments(50, 60) == 0);
  CHECK(sources.segments(80, 120) > 0);
  // The wings around the bright core are a segment of their own.
  CHECK(sources.segments(50, 66) > 0);
  int kept = 0;
  for (int y = 0; y < 150; ++y) {
    for (int x = 0; x < 200; ++x) {
      const bool source = sources.bright(y, x) != 0 || sources.segments(y, x) != 0;
      kept += source ? 1 : 0;
      if (!std::isnan(before(y, x))) {
        CHECK(image(y, x) == (source ? before(y, x) : 0.0F));
      }
    }
  }
  // Stars of sigma 2 above 2.5 / (gain of the filter): radii of about 6.6 and 4.5 pixels.
  CHECK(kept > 150);
  CHECK(kept < 600);
  CHECK(pixels_above(image, 0.0F, 120, 80, 6) > 30);
}

TEST_CASE("groups of fewer than five pixels are sky") {
  Image<float> image(60, 40);
  const Image<float> sigma(60, 40, 1.0F);
  // The filtered image of one pixel is above the threshold in its 3 x 3 surroundings, or only on a
  // cross of 5, or alone: 4 / 6, 2 / 6 and 1 / 6 of it in units of the noise.
  image(10, 10) = 18.0F;
  image(10, 30) = 9.0F;
  image(10, 50) = 4.5F;
  const SourceMap sources = find_sources(image.view(), sigma.view(), {2.5, 50.0});
  CHECK(sources.count == 2);
  CHECK(sources.segments(9, 9) == sources.segments(10, 10));
  CHECK(sources.segments(10, 10) > 0);
  CHECK(sources.segments(10, 29) > 0);
  CHECK(sources.segments(9, 29) == 0);
  CHECK(sources.segments(10, 50) == 0);
  CHECK_THROWS_AS(find_sources(image.view(), Image<float>(60, 40, kNan).view(), {}), UnitError);
}

TEST_CASE("blended stars are one segment") {
  Image<float> image(80, 60);
  const Image<float> sigma(80, 60, 1.0F);
  add_star(image, 30.0, 30.0, 45.0, 2.5);
  add_star(image, 40.0, 30.0, 40.0, 2.5);
  CHECK(find_sources(image.view(), sigma.view(), {}).count == 1);
}

TEST_CASE("the median of the noise leaves out what is none") {
  Image<float> sigma(4, 1);
  sigma(0, 0) = 3.0F;
  sigma(0, 1) = kNan;
  sigma(0, 2) = 0.0F;
  sigma(0, 3) = 2.0F;
  CHECK(median_noise(sigma.view()) == 2.5);
  CHECK(std::isnan(median_noise(Image<float>(2, 2, kNan).view())));
}

TEST_CASE("closing fills holes smaller than the square and grows nothing") {
  const Rng rng(5, "closing", "mask");
  Image<std::uint8_t> mask(70, 50);
  for (std::size_t i = 0; i < mask.pixels().size(); ++i) {
    mask.pixels()[i] = rng.uniform(i) < 0.03 ? 1 : 0;
  }
  for (const int side : {1, 4, 5}) {
    const Image<std::uint8_t> got = closed(mask.view(), side);
    // A pixel stays empty if and only if some square that holds it is empty.
    for (int y = 0; y < 50; ++y) {
      for (int x = 0; x < 70; ++x) {
        bool empty_square = false;
        for (int y0 = y - side + 1; y0 <= y; ++y0) {
          for (int x0 = x - side + 1; x0 <= x; ++x0) {
            bool empty = true;
            for (int j = std::max(0, y0); j < std::min(50, y0 + side); ++j) {
              for (int i = std::max(0, x0); i < std::min(70, x0 + side); ++i) {
                empty = empty && mask(j, i) == 0;
              }
            }
            empty_square = empty_square || empty;
          }
        }
        CHECK((got(y, x) == 0) == empty_square);
      }
    }
  }
}

TEST_CASE("bright pixels take the nearest segment") {
  const Rng rng(6, "domains", "segments");
  SourceMap sources{Image<std::uint8_t>(60, 45), Image<std::int32_t>(60, 45), 25};
  for (int k = 1; k <= sources.count; ++k) {
    const auto draw = static_cast<std::uint64_t>(k);
    sources.segments(static_cast<int>(rng.uniform(draw, 1) * 45),
                     static_cast<int>(rng.uniform(draw, 2) * 60)) = k;
  }
  for (int y = 0; y < 45; ++y) {
    for (int x = 0; x < 60; ++x) {
      sources.bright(y, x) = sources.segments(y, x) == 0 && (x + 2 * y) % 3 != 0 ? 1 : 0;
    }
  }
  const Image<std::int32_t> domains = segment_domains(sources);
  for (int y = 0; y < 45; ++y) {
    for (int x = 0; x < 60; ++x) {
      int expected = sources.segments(y, x);
      if (sources.bright(y, x) != 0) {
        int best = std::numeric_limits<int>::max();
        for (int i = 0; i < 60; ++i) {
          for (int j = 0; j < 45; ++j) {
            const int d = (i - x) * (i - x) + (j - y) * (j - y);
            if (sources.segments(j, i) != 0 && d < best) {
              best = d;
              expected = sources.segments(j, i);
            }
          }
        }
      }
      CHECK(domains(y, x) == expected);
    }
  }
  sources.segments = Image<std::int32_t>(60, 45);
  CHECK(segment_domains(sources)(0, 1) == 0);
}

TEST_CASE("stars are removed with their segments") {
  CatalogueStar star;
  star.g_mag = 13.2;
  star.bp_mag = 13.6;
  star.rp_mag = 12.6;
  CHECK(tess_magnitude(star) == Approx(13.2 - 0.00522555 + 0.0891337 - 0.633923 + 0.0324473));
  star.bp_mag = std::numeric_limits<double>::quiet_NaN();
  CHECK(tess_magnitude(star) == Approx(12.77));

  // Four blocks: a bright star and another, nothing, a saturated core, one with a star as well.
  Image<float> image(40, 10, 2.0F);
  image(4, 3) = 6.0F;
  image(5, 3) = kNan;
  Image<std::int32_t> domains(40, 10);
  Image<std::uint16_t> mask(40, 10);
  for (int k = 0; k < 4; ++k) {
    for (int y = 2; y < 8; ++y) {
      for (int x = 10 * k + 1; x < 10 * k + 7; ++x) {
        domains(y, x) = k + 1;
      }
    }
  }
  mask(4, 14) = kSaturatedBit;
  mask(5, 14) = kStarCoreBit;
  mask(4, 24) = kSaturatedBit | kStarCoreBit;
  mask(4, 34) = kSaturatedBit | kStarCoreBit;
  std::vector<CatalogueStar> stars(4);
  for (CatalogueStar& s : stars) {
    s.g_mag = 16.0;
    s.y = 4.4;
  }
  stars[0].x = 5.0;
  stars[1].x = 1.5;
  stars[1].g_mag = 9.0;
  stars[2].x = 33.0;
  stars[3].x = 8.0;
  for (std::size_t i = 0; i < stars.size(); ++i) {
    stars[i].source_id = static_cast<std::int64_t>(i) + 1;
  }
  const std::vector<RemovedStar> removed =
      remove_stars(domains, 4, mask.view(), stars, 13.0, image.view());
  REQUIRE(removed.size() == 4);
  CHECK(removed[0].star.source_id == 1);
  CHECK(removed[0].reason == RemovalReason::catalog_neighbor);
  CHECK(removed[1].star.source_id == 2);
  CHECK(removed[1].reason == RemovalReason::catalog_bright_star);
  CHECK(removed[2].reason == RemovalReason::quality_flag_no_star);
  CHECK(removed[2].segment == 3);
  CHECK(std::isnan(removed[2].star.ra_deg));
  CHECK(removed[3].star.source_id == 3);
  CHECK(removed[3].reason == RemovalReason::quality_flag_star);
  // 36 pixels of 2, of which one is 6 and one has no value.
  CHECK(removed[0].flux == Approx(74.0));
  CHECK(removed[0].centroid_x == Approx((36 * 2 * 3.5 + 4 * 3.0 - 2 * 3.0) / 74.0));
  CHECK(removed[0].centroid_y == Approx((36 * 2 * 4.5 + 4 * 4.0 - 2 * 5.0) / 74.0));
  CHECK(image(4, 3) == 0.0F);
  CHECK(std::isnan(image(5, 3)));
  CHECK(image(4, 14) == 2.0F);
  CHECK(image(4, 24) == 0.0F);
  CHECK(image(4, 34) == 0.0F);
  CHECK(image(4, 8) == 2.0F);
}

TEST_CASE("removal sets the sky to 0 too, and takes a bright core with the wings around it") {
  Image<float> image = field(200, 150);
  Image<std::uint16_t> mask(200, 150);
  const Image<float> sigma(200, 150, 1.0F);
  std::vector<CatalogueStar> stars(1);
  stars[0].x = 60.2;
  stars[0].y = 49.7;
  stars[0].g_mag = 10.0;
  SourceOptions options;
  options.saturation = SaturationMode::remove;
  const TreatedSources treated =
      treat_sources(options, stars, sigma.view(), image.view(), mask.view());
  REQUIRE(treated.removed.size() == 1);
  CHECK(treated.segments >= 2);
  // All of its light (7540) but the noise, and nothing is left of it.
  CHECK(treated.removed[0].flux == Approx(7540.0).epsilon(0.02));
  CHECK(treated.removed[0].centroid_x == Approx(60.0).margin(0.1));
  CHECK(pixels_above(image, 0.0F, 60, 50, 8) == 0);
  CHECK(image(80, 120) > 10.0F);
  CHECK(image(140, 5) == 0.0F);
}
