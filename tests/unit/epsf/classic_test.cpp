// The classical choice of PSF stars, and the builder on a simulated field.

#include "pipelines/photometry/epsf/classic.hpp"

#include <cmath>
#include <limits>
#include <memory>

#include <catch2/catch.hpp>

#include "pipelines/photometry/epsf/classic_cell.hpp"
#include "pipelines/photometry/epsf/classic_stars.hpp"
#include "pipelines/photometry/epsf/stars.hpp"

#include "helpers.hpp"

using namespace skyloom;
using namespace skyloom::photometry::epsf;

namespace {

struct Spot {
  double x;
  double y;
  double flux;
  double sigma = 1.8;
};

constexpr int kOriginX = 40;  // of the cell in the frame
constexpr int kOriginY = 10;
constexpr int kWidth = 220;
constexpr int kHeight = 160;

/// A frame that is flat but for Gaussian spots, given in pixels of the cell; noise is said to be 1.
struct Scene {
  Pixels pixels;
  Input input;
};

std::unique_ptr<Scene> scene_of(const std::vector<Spot>& spots) {
  auto scene = std::make_unique<Scene>();
  Input& input = scene->input;
  Pixels& frame = scene->pixels;
  const int width = kWidth + kOriginX;
  const int height = kHeight + kOriginY;
  frame.data = Image<float>(width, height);
  frame.sigma_sky = Image<float>(width, height, 1.0F);
  frame.bad = Image<std::uint8_t>(width, height);
  input.width = width;
  input.height = height;
  input.read = [&frame](const Box& box) {
    return Pixels{test::part_of(frame.data, box), test::part_of(frame.sigma_sky, box),
                  test::part_of(frame.bad, box)};
  };
  for (const Spot& spot : spots) {
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const double r2 = std::pow(x - kOriginX - spot.x, 2) + std::pow(y - kOriginY - spot.y, 2);
        frame.data(y, x) +=
            static_cast<float>(spot.flux / (2 * 3.14159265358979 * spot.sigma * spot.sigma) *
                               std::exp(-0.5 * r2 / (spot.sigma * spot.sigma)));
      }
    }
  }
  input.fwhm_guess_pix = 4.0;
  input.cells = {{"r00_c00", {kOriginX, width, kOriginY, height}}};
  return scene;
}

Options settings() {
  Options options;
  options.method = "anderson-king";
  options.oversamp = 1;
  options.background_subtract_patch = false;
  options.cutout_size = 31;
  options.edge_pad = 5;
  options.thresh_sigma = 5.0;
  options.minarea = 5;
  return options;
}

KnownStar gaia(double x, double y, double mag) {
  return {kOriginX + x, kOriginY + y, mag};
}

ClassicSelection choose(const Input& input, const Options& options) {
  return select_classic_stars(input, options, read_cell(input, options, input.cells[0].box));
}

}  // namespace

TEST_CASE("the aperture of seeds follows the FWHM within its limits", "[classic]") {
  Options options;  // k 1.5, 3 to 15 pixels, cut-outs of 61
  CHECK(seed_aperture_radius(4.0, options) == Approx(6.0));
  CHECK(seed_aperture_radius(1.0, options) == Approx(3.0));
  CHECK(seed_aperture_radius(20.0, options) == Approx(15.0));
  CHECK(seed_aperture_radius(std::numeric_limits<double>::quiet_NaN(), options) == Approx(3.0));
  options.cutout_size = 21;
  CHECK(seed_aperture_radius(20.0, options) == Approx(8.0));
}

TEST_CASE("candidates: edge, saturation, shape, order", "[classic]") {
  const Options options;  // need = 61 / 2 + 10 = 40
  const Box cell{0, 200, 0, 150};
  const auto object = [](double x, double y, double flux) {
    return sky::Detection{x, y, 2.0, 1.9, flux, 100.0};
  };
  const auto kept = [&](const sky::Detection& d, double saturation) {
    return star_candidates({d}, cell, saturation, options).size() == 1;
  };
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  CHECK_FALSE(kept(object(40.0, 75.0, 1.0), kNone));
  CHECK(kept(object(40.1, 75.0, 1.0), kNone));
  CHECK(kept(object(158.9, 75.0, 1.0), kNone));
  CHECK_FALSE(kept(object(159.0, 75.0, 1.0), kNone));
  CHECK_FALSE(kept(object(100.0, 109.0, 1.0), kNone));
  CHECK_FALSE(kept(object(100.0, 75.0, 1.0), 130.0));  // the peak reaches 130 / 1.3
  CHECK(kept(object(100.0, 75.0, 1.0), 130.2));
  sky::Detection long_one = object(100.0, 75.0, 1.0);
  long_one.a = 2.5;
  CHECK_FALSE(kept(long_one, kNone));
  long_one.b = 0.0;
  CHECK_FALSE(kept(long_one, kNone));
  const auto order =
      star_candidates({object(60.0, 60.0, 1.0), object(70.0, 60.0, 3.0), object(80.0, 60.0, 2.0)},
                      cell, kNone, options);
  REQUIRE(order.size() == 3);
  CHECK(order[0].flux == 3.0);
  CHECK(order[2].flux == 1.0);
}

TEST_CASE("detections alone: brightest first, apart, within the quota", "[classic]") {
  const auto frame =
      scene_of({{50, 50, 2000}, {70, 50, 9000}, {120, 60, 5000}, {170, 100, 3000}, {10, 80, 9e4}});
  Input& input = frame->input;
  Options options = settings();
  options.psfstar_mode = "sep";
  const ClassicSelection all = choose(input, options);
  CHECK(all.n_detections == 5);
  CHECK(all.n_candidates == 4);    // one is at the edge
  REQUIRE(all.stars.size() == 3);  // one is 20 pixels from a brighter one
  CHECK(all.stars[0].x == Approx(70.0).margin(0.05));
  CHECK(all.stars[1].x == Approx(120.0).margin(0.05));
  CHECK(all.stars[2].x == Approx(170.0).margin(0.05));
  CHECK(all.stars[0].origin == "sep");
  CHECK(all.n_seeds == 0);
  options.max_stars = 2;
  CHECK(choose(input, options).stars.size() == 2);
  options.max_stars = 30;
  options.min_sep = 15.0;
  CHECK(choose(input, options).stars.size() == 4);
}

TEST_CASE("seeds go by magnitude, not by their order in the file", "[classic]") {
  const auto frame = scene_of({{50, 50, 2000}, {65, 50, 9000}, {120, 60, 5000}});
  Input& input = frame->input;
  Options options = settings();
  options.psfstar_mode = "gaia";
  options.min_sep = 30.0;
  input.known_stars = {gaia(50, 50, 18.0), gaia(120, 60, 17.0), gaia(65, 50, 16.0),
                       gaia(170, 100, 15.0)};  // the last has no light
  const ClassicSelection out = choose(input, options);
  REQUIRE(out.stars.size() == 2);
  CHECK(out.stars[0].x == Approx(65.0).margin(0.05));
  CHECK(out.stars[1].x == Approx(120.0).margin(0.05));
  CHECK(out.n_seeds == 2);
  CHECK(out.stars[0].origin == "both");
  options.gaia_mag_min = 16.5;
  CHECK(choose(input, options).stars[0].x == Approx(120.0).margin(0.05));
}

TEST_CASE("seeds move to detections when told to", "[classic]") {
  const auto frame = scene_of({{100, 80, 5000}});
  Input& input = frame->input;
  Options options = settings();
  options.psfstar_mode = "gaia";
  input.known_stars = {gaia(103, 80, 15.0)};
  const ClassicSelection moved = choose(input, options);
  REQUIRE(moved.stars.size() == 1);
  CHECK(moved.stars[0].x == Approx(100.0).margin(0.05));
  CHECK(moved.stars[0].origin == "both");
  options.gaia_snap_to_sep = false;
  const ClassicSelection stays = choose(input, options);
  REQUIRE(stays.stars.size() == 1);
  CHECK(stays.stars[0].x == 103.0);
  CHECK(stays.stars[0].origin == "both");
  options.gaia_match_r_pix = 2.0;
  CHECK(choose(input, options).stars[0].origin == "gaia");
  // A candidate is used up by the first seed, even if a second one would be nearer.
  options.gaia_snap_to_sep = true;
  options.gaia_match_r_pix = 5.0;
  options.min_sep = 0.0;
  input.known_stars = {gaia(100, 80, 16.0), gaia(103, 80, 15.0)};
  const ClassicSelection both = choose(input, options);
  REQUIRE(both.stars.size() == 2);
  CHECK(both.stars[0].x == Approx(100.0).margin(0.05));
  CHECK(both.stars[0].origin == "both");
  CHECK(both.stars[1].x == 100.0);
  CHECK(both.stars[1].origin == "gaia");
}

TEST_CASE("seeds need signal, a clean core and a peak below saturation", "[classic]") {
  const auto frame = scene_of({{100, 80, 5000}});
  Input& input = frame->input;
  input.known_stars = {gaia(100, 80, 15.0)};
  Options options = settings();
  options.psfstar_mode = "gaia";
  const ClassicSelection found = choose(input, options);
  REQUIRE(found.stars.size() == 1);
  // Aperture of 6 pixels: the light of a Gaussian inside, over the noise of its area.
  const double inside = 1.0 - std::exp(-0.5 * 36.0 / (1.8 * 1.8));
  const double expected = 5000.0 * inside / std::sqrt(3.14159265358979 * 36.0);
  CHECK(found.stars[0].snr == Approx(expected).epsilon(0.01));
  options.gaia_snr_min = 1.02 * expected;
  CHECK(choose(input, options).stars.empty());
  options.gaia_snr_min = 20.0;
  const double peak = 5000.0 / (2 * 3.14159265358979 * 1.8 * 1.8);
  input.saturation_scaled = 1.29 * peak;
  CHECK(choose(input, options).stars.empty());
  input.saturation_scaled = 1.35 * peak;
  CHECK(choose(input, options).stars.size() == 1);
  frame->pixels.bad(kOriginY + 80, kOriginX + 100) = kBadMasked;
  CHECK(choose(input, options).stars.empty());
  frame->pixels.bad(kOriginY + 80, kOriginX + 100) = 0;
  frame->pixels.bad(kOriginY + 85, kOriginX + 100) = kBadMasked;  // within the aperture
  CHECK(choose(input, options).stars.empty());
}

TEST_CASE("the supplement fills the quota and leaves galaxies out", "[classic]") {
  const auto frame = scene_of({{50, 50, 2000}, {100, 80, 5000}, {160, 60, 9000}});
  Input& input = frame->input;
  Options options = settings();
  input.known_stars = {gaia(50, 50, 18.0)};
  input.catalogue = {{kOriginX + 160.0, kOriginY + 61.0, false},
                     {kOriginX + 100.0, kOriginY + 81.0, true},
                     {kOriginX + 100.0, kOriginY + 83.0, false}};  // the nearest row counts
  const ClassicSelection out = choose(input, options);
  REQUIRE(out.stars.size() == 2);
  CHECK(out.stars[0].origin == "both");
  CHECK(out.stars[1].origin == "sep");
  CHECK(out.stars[1].x == Approx(100.0).margin(0.05));
  options.reject_galaxies = false;
  CHECK(choose(input, options).stars.size() == 3);
  options.max_stars = 1;
  CHECK(choose(input, options).stars.size() == 1);
  options.psfstar_mode = "gaia";
  options.max_stars = 30;
  CHECK(choose(input, options).stars.size() == 1);
}

TEST_CASE("the cell's background is subtracted and described", "[classic]") {
  const auto frame = scene_of({{100, 80, 5000}});
  Input& input = frame->input;
  const Rng rng(2, "cell", "noise");
  for (std::size_t k = 0; k < frame->pixels.data.pixels().size(); ++k) {
    frame->pixels.data.pixels()[k] += 7.0F + static_cast<float>(rng.normal(k, 0));
  }
  frame->pixels.data(100, 100) = std::numeric_limits<float>::quiet_NaN();
  Options options = settings();
  options.background_subtract_patch = true;
  options.background_boxsize = 32;
  options.background_filtersize = 3;
  const ClassicCell cell = read_cell(input, options, input.cells[0].box);
  CHECK(cell.stats.status == "ok");
  CHECK(cell.stats.map_median == Approx(7.0).margin(0.1));
  CHECK(cell.stats.rms_median == Approx(1.0).margin(0.1));
  CHECK(cell.stats.masked_fraction > 0.0);
  CHECK(cell.stats.masked_fraction < 0.1);
  CHECK(cell.mask(100 - kOriginY, 100 - kOriginX) == 1);
  CHECK(cell.data(5, 5) == Approx(cell.raw(5, 5) - cell.background(5, 5)));
  CHECK(cell.raw(5, 5) == frame->pixels.data(kOriginY + 5, kOriginX + 5));
}

TEST_CASE("the background of a star's stamp is all that lies below the star", "[classic]") {
  test::FieldOptions field;
  field.n_saturated = 0;
  field.n_galaxies = 0;
  field.n_stars = 40;
  field.min_separation_pix = 42.0;
  field.flux_min = 2e4;
  test::MoffatPart part;
  part.beta = 4.5;
  test::TrueField sky = test::make_field(test::TruePsf{{part}}, field);
  for (int y = 0; y < field.size; ++y) {
    for (int x = 0; x < field.size; ++x) {
      sky.data(y, x) += static_cast<float>(120.0 + 0.2 * x);
    }
  }
  Options options = settings();
  options.method = GENERATE(std::string("anderson-king"), std::string("epsf"));
  options.psfstar_mode = "sep";
  options.background_subtract_patch = true;
  options.cutout_size = 61;
  options.min_sep = 10.0;
  INFO(options.method);
  const Result result = build(test::make_input(sky), options);
  REQUIRE(result.cutouts.size() > 5);
  for (const StarCutout& cutout : result.cutouts) {
    std::vector<double> rim;
    for (int y = 0; y < 61; ++y) {
      for (int x = 0; x < 61; ++x) {
        const double r = std::hypot(x - 30, y - 30);
        if (r > 22.0 && r < 29.0 && std::isfinite(cutout.raw(y, x))) {
          rim.push_back(static_cast<double>(cutout.raw(y, x)) - cutout.background);
        }
      }
    }
    REQUIRE(rim.size() > 500);
    // Noise is 9 per pixel; neighbours' wings and the slope leave a little.
    CHECK(median_of(rim) == Approx(0.0).margin(3.0));
  }
}

TEST_CASE("a field by cells: arrays, counts, stamps; an empty cell says why", "[classic]") {
  test::MoffatPart part;
  part.fwhm_pix = 3.6;
  part.beta = 3.0;
  test::FieldOptions field;
  // A method of medians over few stars wants them bright and apart.
  field.n_saturated = 0;
  field.n_galaxies = 0;
  field.n_stars = 40;
  field.min_separation_pix = 42.0;
  field.flux_min = 2e4;
  const test::TruePsf truth{{part}};
  test::TrueField sky = test::make_field(truth, field);
  for (int y = 256; y < 512; ++y) {
    for (int x = 256; x < 512; ++x) {
      sky.bad(y, x) = kBadMasked;
    }
  }
  const Input input = test::make_input(sky);
  Options options = settings();
  options.psfstar_mode = "sep";
  options.cutout_size = 61;
  options.min_sep = 10.0;
  options.max_stars = 12;
  options.save_star_montage_max = 2;
  options.wing_model = GENERATE(std::string("none"), std::string("radial"));
  options.oversamp = GENERATE(1, 2);
  INFO(options.wing_model << " " << options.oversamp);
  const Result result = build(input, options);
  CHECK(result.level == PsfLevel::cells);
  CHECK(result.psf == nullptr);
  REQUIRE(result.cells.size() == 4);
  CHECK(result.cells[3].error == "all pixels masked");
  CHECK(result.cells[3].epsf.empty());
  int used = 0;
  double true_sum = 0.0;
  for (int y = -27; y <= 27; ++y) {
    for (int x = -27; x <= 27; ++x) {
      true_sum += truth.pixel(0, 0, x, y);
    }
  }
  for (std::size_t i = 0; i < 3; ++i) {
    const CellResult& cell = result.cells[i];
    CHECK(cell.error.empty());
    CHECK(cell.n_selected <= options.max_stars);
    CHECK(cell.n_extract == cell.n_selected);
    CHECK(cell.n_stars + cell.n_fitfail == cell.n_extract);
    CHECK(cell.n_stars >= 3);
    CHECK(cell.local_background.n_stars == cell.n_extract);
    used += cell.n_stars;
    const int side = (55 * options.oversamp) | 1;
    REQUIRE(cell.samples.width() == side);
    REQUIRE(cell.epsf.width() == 55);
    double sum = 0.0;
    for (const float value : cell.samples.pixels()) {
      sum += value;
    }
    CHECK(sum / (options.oversamp * options.oversamp) == Approx(1.0).epsilon(1e-5));
    CHECK(cell.epsf(27, 27) == Approx(truth.pixel(0, 0, 0, 0) / true_sum).epsilon(0.1));
    CHECK(cell.fwhm_pix == Approx(3.85).margin(0.25));  // of the pixel-integrated profile
    CHECK(cell.r50_pix >= 2.0);
    CHECK(cell.r50_pix <= 3.0);
    CHECK(cell.growth.back() == Approx(1.0).epsilon(1e-6));
    CHECK(std::isfinite(cell.resid_norm_rms));
    CHECK(cell.n_resid == cell.n_stars);
    CHECK(cell.picture.raw.width() == 86);  // 256 in blocks of 3
  }
  CHECK(result.diagnostics.n_stars == used);
  CHECK(result.cutouts.size() == 6);
  for (const StarCutout& cutout : result.cutouts) {
    CHECK(cutout.raw(30, 30) == sky.data(cutout.y0 + 30, cutout.x0 + 30));
    CHECK(std::lround(cutout.x) == cutout.x0 + 30);
    CHECK(cutout.annulus(30, 30) == 0);
    CHECK(cutout.annulus(30, 5) + cutout.annulus(5, 30) + cutout.annulus(55, 30) > 0);
  }
}
