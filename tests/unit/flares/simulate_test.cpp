#include "pipelines/flares/simulate.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "pipelines/flares/inject/kernel_template.hpp"
#include "pipelines/flares/simulate_sector.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/surveys/light_curve.hpp"
#include "skyloom/surveys/light_curve_list.hpp"
#include "skyloom/surveys/spoc_archive.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;

namespace {

constexpr double kSlope = 1.8;

flares::SimulationOptions options(const Scratch& scratch, const std::string& name) {
  flares::SimulationOptions out;
  out.folder = scratch / name;
  out.size = "tiny";
  out.seed = 5;
  return out;
}

}  // namespace

TEST_CASE("a simulated survey is read as a real one") {
  const Scratch scratch;
  flares::simulate(options(scratch, "s"));
  surveys::LightCurveSelection selection;
  selection.light_curves = {(scratch / "s/light_curves").string()};
  selection.targets = (scratch / "s/targets.csv").string();
  const surveys::FoundSectors found = surveys::find_sectors(selection);
  REQUIRE(found.files.size() == 4);
  CHECK(found.targets == 2);
  CHECK(found.without == 0);
  const Table stars = io::read_csv(scratch / "s/stars.csv");
  for (const surveys::SectorFile& file : found.files) {
    const auto name = surveys::spoc_name(std::filesystem::path(file.path).filename().string());
    REQUIRE(name);
    const surveys::LightCurve curve = surveys::read_light_curve(file.path);
    CHECK(curve.header.tic == name->tic);
    CHECK(curve.header.sector == name->sector);
    CHECK((curve.header.camera >= 1 && curve.header.ccd <= 4));
    CHECK(curve.file_rows == 6000);
    // The downlink, momentum dumps and other losses are dropped.
    CHECK(curve.time.size() < 5850);
    CHECK(curve.time.size() > 5500);
    const std::size_t star = file.tic == stars.get<std::int64_t>("tic")[0] ? 0 : 1;
    CHECK(curve.header.tess_mag == stars.get<double>("tess_mag")[star]);
    // Noise of the flux as the errors have it.
    std::vector<double> steps;
    for (std::size_t i = 1; i < curve.flux.size(); ++i) {
      steps.push_back(std::abs(curve.flux[i] - curve.flux[i - 1]) / curve.flux_err[i]);
    }
    std::nth_element(steps.begin(), steps.begin() + 2700, steps.end());
    CHECK(steps[2700] * 1.4826 / std::sqrt(2.0) == Approx(1.0).margin(0.08));
  }
}

TEST_CASE("equal options give equal bytes, and a sector does not know the survey it is in") {
  const Scratch scratch;
  flares::simulate(options(scratch, "a"));
  flares::SimulationOptions more = options(scratch, "b");
  more.stars = 3;
  more.sectors_per_star = 1;
  flares::simulate(more);
  flares::simulate(options(scratch, "c"));
  for (const char* file : {"truth.csv", "stars.csv", "targets.csv", "flares.toml"}) {
    CHECK(io::read_text(scratch / "a" / file) == io::read_text(scratch / "c" / file));
  }
  int same = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(scratch / "b/light_curves")) {
    const auto twin = scratch / "a/light_curves/s0001" / entry.path().filename();
    if (entry.is_regular_file() && std::filesystem::exists(twin)) {
      same += io::read_text(entry.path()) == io::read_text(twin) ? 1 : 0;
    }
  }
  CHECK(same == 2);
  flares::SimulationOptions other = options(scratch, "d");
  other.seed = 6;
  flares::simulate(other);
  CHECK(io::read_text(scratch / "a/truth.csv") != io::read_text(scratch / "d/truth.csv"));
  other.size = "huge";
  CHECK_THAT(error_of<ConfigError>([&] { flares::simulate(other); }), Contains("huge"));
}

TEST_CASE("energies follow the power law of the star") {
  // Maximum-likelihood slope of the untruncated part: its error is (alpha - 1) / sqrt(n).
  double sum = 0.0;
  double expected = 0.0;
  int count = 0;
  for (int index = 0; index < 6; ++index) {
    const flares::SimulatedStar star = flares::simulated_star(11, index, kSlope);
    for (int sector = 1; sector <= 20; ++sector) {
      const auto one = flares::simulated_sector(11, star, sector, 20076);
      expected += star.flares_per_day * 20076 * flares::kSimulatedCadence_d;
      for (const flares::SimulatedFlare& flare : one.flares) {
        CHECK(flare.ed_s >= star.least_ed_s);
        CHECK(flare.ed_s == Approx(86400.0 * flare.amplitude * flare.fwhm_d *
                                   flares::flare_area(flares::FlareTemplate::mendoza2022)));
        sum += std::log(flare.ed_s / star.least_ed_s);
        ++count;
      }
    }
  }
  REQUIRE(count > 1000);
  CHECK(std::abs(count - expected) < 4.0 * std::sqrt(expected));
  const double slope = 1.0 + count / sum;
  CHECK(std::abs(slope - kSlope) < 4.0 * (kSlope - 1.0) / std::sqrt(count));
}

TEST_CASE("the light curve holds the flares of the truth") {
  // A bright star: take away what the quiet star is, by a running median, and integrate.
  flares::SimulatedStar star = flares::simulated_star(3, 0, kSlope);
  star.noise = 1e-6;
  star.rotation = 0.0;
  star.least_ed_s = 20.0;
  star.flares_per_day = 0.15;
  const auto sector = flares::simulated_sector(3, star, 2, 20076);
  int compared = 0;
  for (std::size_t k = 0; k < sector.flares.size(); ++k) {
    const flares::SimulatedFlare& flare = sector.flares[k];
    const double end = flare.t_peak + 60.0 * flare.fwhm_d;
    const auto alone = [&](const flares::SimulatedFlare& other) {
      return &other == &flare || other.t_peak > end + 0.1 || other.t_peak < flare.t_peak - 2.0;
    };
    if (!flare.observed || !std::all_of(sector.flares.begin(), sector.flares.end(), alone)) {
      continue;
    }
    double area = 0.0;
    double peak = 0.0;
    bool whole = end < flares::sector_begin(2) + 20000 * flares::kSimulatedCadence_d;
    for (std::size_t i = 0; i < sector.flux.size(); ++i) {
      const double time =
          flares::sector_begin(2) + static_cast<double>(i) * flares::kSimulatedCadence_d;
      if (time > flare.t_peak - 0.1 && time < end) {
        whole = whole && std::isfinite(sector.flux[i]) && (sector.quality[i] & 687) == 0;
        area += (sector.flux[i] - 1.0) * 120.0;
        peak = std::max(peak, sector.flux[i] - 1.0);
      }
    }
    if (whole) {
      CHECK(area == Approx(flare.ed_s).epsilon(0.01));
      CHECK(peak == Approx(flare.peak).epsilon(0.01));
      ++compared;
    }
  }
  CHECK(compared >= 1);
}
