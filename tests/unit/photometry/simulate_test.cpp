#include "pipelines/photometry/simulate.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "pipelines/photometry/simulate_render.hpp"
#include "pipelines/photometry/simulate_scene.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/fits.hpp"

namespace {

using namespace skyloom;
using namespace skyloom::photometry;

/// A folder that goes away with the test.
class Scratch {
 public:
  explicit Scratch(const std::string& name)
      : path_(std::filesystem::temp_directory_path() /
              ("skyloom_simulate_" + name + "_" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path_);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

SimulationOptions tiny(const std::filesystem::path& folder, std::uint64_t seed = 7) {
  SimulationOptions options;
  options.folder = folder;
  options.size = "tiny";
  options.seed = seed;
  return options;
}

double sum_of(const Image<double>& image) {
  return std::accumulate(image.pixels().begin(), image.pixels().end(), 0.0);
}

TEST_CASE("a simulated star holds its light, pixel by pixel") {
  const SimulatedBand band{"r", 3.6, 3.0};
  SceneRenderer renderer(band);
  TrueSource star;
  star.x_pix = 100.3;
  star.y_pix = 99.1;
  Image<double> image(201, 201);
  renderer.add(star, 1.0, 1e-9, image.view());
  CHECK(sum_of(image) == Approx(1.0).margin(2e-4));
  // Midpoint sums over 60 x 60 points per pixel.
  for (const auto& [x, y] : {std::pair{100, 99}, std::pair{102, 98}, std::pair{110, 105}}) {
    double light = 0.0;
    for (int j = 0; j < 60; ++j) {
      for (int i = 0; i < 60; ++i) {
        const double dx = x - 0.5 + (i + 0.5) / 60.0 - star.x_pix;
        const double dy = y - 0.5 + (j + 0.5) / 60.0 - star.y_pix;
        light += renderer.psf().density(std::hypot(dx, dy)) / 3600.0;
      }
    }
    CHECK(image(y, x) == Approx(light).epsilon(1e-4));
  }
}

/// Light of a galaxy in chosen pixels by spreading point sources over its ellipse.
std::vector<double> spread(const TrueSource& galaxy, const Moffat& psf, double extent,
                           double (*law)(double), const std::vector<std::pair<int, int>>& pixels) {
  constexpr int kRings = 500;
  constexpr int kAngles = 72;
  const double angle = galaxy.theta_deg * M_PI / 180.0;
  std::vector<double> light(pixels.size(), 0.0);
  double total = 0.0;
  for (int ring = 0; ring < kRings; ++ring) {
    const double t = (ring + 0.5) / kRings;
    const double r = extent * t * t * t;
    const double weight = r * 3.0 * t * t * law(r);
    total += weight * kAngles;
    for (int k = 0; k < kAngles; ++k) {
      const double phi = 2.0 * M_PI * (k + 0.5) / kAngles;
      const double along = galaxy.re_pix * r * std::cos(phi);
      const double across = galaxy.re_pix * (1.0 - galaxy.ellipticity) * r * std::sin(phi);
      const double x = galaxy.x_pix + along * std::cos(angle) - across * std::sin(angle);
      const double y = galaxy.y_pix + along * std::sin(angle) + across * std::cos(angle);
      for (std::size_t p = 0; p < pixels.size(); ++p) {
        light[p] += weight * psf.in_pixel(pixels[p].first - x, pixels[p].second - y);
      }
    }
  }
  for (double& value : light) {
    value /= total;
  }
  return light;
}

double cut(double r, double from) {
  const double beyond = std::max(0.0, r - from);
  return (1.0 - beyond * beyond) * (1.0 - beyond * beyond);
}
double exponential(double r) {
  return std::exp(-1.67835 * r) * cut(r, 3.0);
}
double de_vaucouleurs(double r) {
  return std::exp(-7.66925 * std::pow(r * r + 0.0004, 0.125)) * cut(r, 7.0);
}

TEST_CASE("simulated galaxies are their law, seen through PSF and pixel") {
  const SimulatedBand band{"r", 3.6, 3.2};
  TrueSource galaxy;
  galaxy.x_pix = 80.37;
  galaxy.y_pix = 79.61;
  galaxy.re_pix = 4.5;
  galaxy.ellipticity = 0.55;
  galaxy.theta_deg = 33.0;
  const std::vector<std::pair<int, int>> pixels{{80, 80}, {82, 80}, {86, 84}, {77, 82}, {90, 86}};
  for (const bool round : {false, true}) {
    galaxy.type = round ? SourceType::de_vaucouleurs : SourceType::exponential;
    galaxy.sersic_n = round ? 4.0 : 1.0;
    SceneRenderer renderer(band);
    Image<double> image(161, 161);
    renderer.add(galaxy, 1.0, 0.0, image.view());
    CHECK(sum_of(image) == Approx(1.0).margin(1e-3));
    const std::vector<double> expected =
        round ? spread(galaxy, renderer.psf(), 8.0, de_vaucouleurs, pixels)
              : spread(galaxy, renderer.psf(), 4.0, exponential, pixels);
    for (std::size_t p = 0; p < pixels.size(); ++p) {
      CHECK(image(pixels[p].second, pixels[p].first) ==
            Approx(expected[p]).epsilon(1e-3).margin(2e-6));
    }
  }
}

TEST_CASE("a galaxy's position angle runs counter-clockwise from +x") {
  TrueSource galaxy;
  galaxy.type = SourceType::exponential;
  galaxy.sersic_n = 1.0;
  galaxy.x_pix = galaxy.y_pix = 50.0;
  galaxy.re_pix = 6.0;
  galaxy.ellipticity = 0.6;
  galaxy.theta_deg = 45.0;
  SceneRenderer renderer({"r", 3.0, 3.5});
  Image<double> image(101, 101);
  renderer.add(galaxy, 1.0, 0.0, image.view());
  CHECK(image(56, 56) > 5.0 * image(44, 56));
}

TEST_CASE("the true PSF stamp holds the light of a pixel at every sample") {
  const Image<float> stamp = psf_stamp(Moffat(4.0, 3.5), 81, 4);
  CHECK(stamp.width() == 325);
  const double total = std::accumulate(stamp.pixels().begin(), stamp.pixels().end(), 0.0);
  CHECK(total / 16.0 == Approx(1.0).margin(1e-4));
  CHECK(stamp(162, 162) == *std::max_element(stamp.pixels().begin(), stamp.pixels().end()));
}

TEST_CASE("equal options give equal bytes, another seed another sky") {
  const Scratch first("a");
  const Scratch second("b");
  const Scratch third("c");
  simulate(tiny(first.path()));
  simulate(tiny(second.path()));
  SimulationOptions other_errors = tiny(third.path());
  other_errors.catalogue_seed = 99;
  simulate(other_errors);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(first.path())) {
    const auto name = entry.path().filename();
    INFO(name.string());
    const std::string bytes = io::read_text(entry.path());
    CHECK(bytes == io::read_text(second.path() / name));
    CHECK((bytes == io::read_text(third.path() / name)) == (name != "catalog.csv"));
    ++files;
  }
  CHECK(files == 12);
  CHECK(make_sources({{}, "tiny", 1, {}, {{"r"}}, 256, 5, 0.6, 19.0})[3].x_pix !=
        make_sources({{}, "tiny", 2, {}, {{"r"}}, 256, 5, 0.6, 19.0})[3].x_pix);
}

TEST_CASE("a simulated field has the noise, holes and saturation it says") {
  const Scratch scratch("noise");
  SimulationOptions options = tiny(scratch.path());
  options.bands = {{"r", 4.0, 3.5, 25.0, 0.05, 9.0, 1.5, 30000.0}};
  simulate(options);
  const io::FitsFile file(scratch.path() / "sci_r.fits");
  CHECK(file.number("ZP_AUTO").value() == Approx(25.05));
  CHECK(file.text("FILTER").value() == "r");
  std::vector<float> values;
  int blank = 0;
  const Image<float> image = file.read();
  for (const float value : image.pixels()) {
    if (std::isnan(value)) {
      ++blank;
    } else {
      values.push_back(value);
    }
  }
  CHECK(blank > 20);
  CHECK(blank <= 25);
  CHECK(*std::max_element(values.begin(), values.end()) == 30000.0F);
  // The lower half of the distribution is sky noise.
  std::sort(values.begin(), values.end());
  const double median = static_cast<double>(values[values.size() / 2]);
  const double low = static_cast<double>(values[values.size() / 10]);
  CHECK((median - low) / 1.2816 == Approx(9.0).epsilon(0.06));
}

TEST_CASE("catalogue, Gaia table and truth tell of the same sources") {
  const Scratch scratch("tables");
  simulate(tiny(scratch.path()));
  const std::vector<std::string> text{"ID", "source_id"};
  const Table truth = io::read_csv(scratch.path() / "truth.csv", text);
  const Table catalogue = io::read_csv(scratch.path() / "catalog.csv", text);
  const Table gaia = io::read_csv(scratch.path() / "gaia.csv", text);
  CHECK(truth.rows() == 40);
  CHECK(catalogue.rows() <= truth.rows());
  CHECK(gaia.rows() >= 15);
  const auto ids = truth.texts("ID");
  for (const std::string& id : catalogue.texts("ID")) {
    CHECK(std::find(ids.begin(), ids.end(), id) != ids.end());
  }
  for (const std::string& id : gaia.texts("source_id")) {
    CHECK(id.size() == 19);
  }
}

TEST_CASE("what cannot be simulated is refused") {
  SimulationOptions options = tiny("unused");
  options.size = "huge";
  CHECK_THROWS_AS(simulate(options), ConfigError);
  const Scratch scratch("crowded");
  options = tiny(scratch.path());
  options.n_sources = 100000;
  CHECK_THROWS_AS(simulate(options), ConfigError);
  options = tiny(scratch.path());
  options.bands = {{"r", 0.5}};
  CHECK_THROWS_AS(simulate(options), ConfigError);
}

}  // namespace
