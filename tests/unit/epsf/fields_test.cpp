// Whole bands: simulated fields with known PSF, the ladder of fallbacks, determinism.

#include <ctime>
#include <limits>

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"

#include "unit/epsf/helpers.hpp"

using namespace skyloom;
using namespace skyloom::test;
using namespace skyloom::photometry::epsf;

namespace {

MoffatPart part(double fwhm, double beta) {
  MoffatPart result;
  result.fwhm_pix = fwhm;
  result.beta = beta;
  return result;
}

struct Built {
  TrueField field;
  Result result;
  FluxError error;
};

Built build_field(const TruePsf& truth, const FieldOptions& options,
                  const Options& build_options = {}) {
  Built built;
  built.field = make_field(truth, options);
  built.result = build(make_input(built.field), build_options);
  if (built.result.psf) {
    built.error =
        psf_only_error(*built.result.psf, truth, options.size, options.sky_sigma, options.gain);
  }
  return built;
}

}  // namespace

TEST_CASE("Moffat fields give fluxes good to a tenth of a percent", "[epsf]") {
  MoffatPart varying = part(3.6, 3.0);
  varying.size_x = 0.05;
  varying.g1_x = 0.05;
  varying.g2_y = 0.05;
  const std::vector<std::pair<const char*, MoffatPart>> cases = {
      {"constant", part(3.6, 3.0)}, {"varying", varying}, {"sharp", part(2.0, 3.0)}};
  for (const auto& [name, truth] : cases) {
    INFO(name);
    const Built built = build_field({{truth}}, {});
    REQUIRE(built.result.psf);
    const Diagnostics& d = built.result.diagnostics;
    CAPTURE(built.error.bias, built.error.scatter, d.n_stars, d.sigma_r, d.chi2_core_median);
    CHECK(std::abs(built.error.bias) < 1e-3);
    CHECK(built.error.scatter < 1.5e-3);
    CHECK(purity(built.result, built.field) > 0.97);
    CHECK(d.n_stars > 30);
    CHECK(d.sigma_r < 3e-3);
    CHECK(d.chi2_core_median == Approx(1.0).margin(0.2));
    CHECK(d.neg_fraction > -2e-3);
    CHECK(std::abs(d.apcor) < 5e-3);
    CHECK(d.order == (truth.size_x != 0.0 ? 1 : 0));
  }
}

TEST_CASE("a PSF that is no Moffat is completed by wing and residual", "[epsf]") {
  MoffatPart second = part(4.0, 2.5);
  second.share = 0.2;
  second.dx = 0.5;
  second.dy = 0.2;
  MoffatPart third = part(8.0, 2.2);
  third.share = 0.1;
  MoffatPart first = part(3.0, 3.5);
  first.share = 0.7;
  const TruePsf truth{{first, second, third}};
  const Built full = build_field(truth, {});
  REQUIRE(full.result.psf);
  CHECK(std::abs(full.error.bias) < 5e-3);
  CHECK(full.error.scatter < 5e-3);
  CHECK(full.result.diagnostics.sigma_r > 0.01);
  CHECK(full.result.diagnostics.sigma_r < 0.1);
  Options options;
  options.method = "moffat";
  const Built plain = build_field(truth, {}, options);
  REQUIRE(plain.result.psf);
  CHECK(std::abs(plain.error.bias) > 2.0 * std::abs(full.error.bias));
}

TEST_CASE("one megapixel with galaxies", "[epsf]") {
  FieldOptions options;
  options.size = 1024;
  options.n_stars = 100;
  options.n_galaxies = 70;
  options.n_saturated = 2;
  const TruePsf truth{{part(3.6, 3.0)}};
  const TrueField field = make_field(truth, options);
  const Input input = make_input(field);
  const std::clock_t start = std::clock();
  const Result result = build(input, {});
  const double cpu = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  REQUIRE(result.psf);
  const FluxError error = psf_only_error(*result.psf, truth, options.size, 9.0, 1.5);
  WARN("ePSF of 1024 x 1024 with "
       << result.diagnostics.n_stars << " stars: " << cpu << " CPU s; bias " << 100 * error.bias
       << " %, scatter " << 100 * error.scatter << " %, purity " << purity(result, field));
  CHECK(std::abs(error.bias) < 1e-3);
  CHECK(error.scatter < 1.5e-3);
  CHECK(purity(result, field) > 0.97);
  CHECK(result.diagnostics.n_wing >= 1);
  REQUIRE(result.cells.size() == 4);
  for (const CellResult& cell : result.cells) {
    CHECK(cell.epsf.width() == 55);
    CHECK(cell.n_stars > 0);
    CHECK(cell.background.status == "ok");
    CHECK(cell.r50_pix < cell.r90_pix);
    CHECK(cell.median_residual.width() == 61);
  }
}

TEST_CASE("the same image gives the same bits", "[epsf]") {
  FieldOptions options;
  options.size = 256;
  options.n_stars = 25;
  options.n_galaxies = 5;
  const TrueField field = make_field({{part(3.0, 3.0)}}, options);
  const Result a = build(make_input(field), {});
  const Result b = build(make_input(field), {});
  REQUIRE(a.psf);
  REQUIRE(b.psf);
  CHECK(a.psf->parameters() == b.psf->parameters());
}

TEST_CASE("fewer stars give simpler models", "[epsf]") {
  const TruePsf truth{{part(3.6, 3.5)}};
  const auto level_of = [&](int stars) {
    FieldOptions options;
    options.size = 300;
    options.n_stars = stars;
    options.n_galaxies = 0;
    options.n_saturated = 0;
    options.flux_min = 3e4;
    options.min_separation_pix = 40.0;
    TrueField field = make_field(truth, options);
    Options build_options;
    build_options.background_subtract_patch = false;
    const Result result = build(make_input(field), build_options);
    const int used = result.diagnostics.n_stars;
    CAPTURE(stars, used, to_string(result.level), result.level_text);
    if (used == 0) {
      CHECK(result.level == PsfLevel::none);
      CHECK_FALSE(result.psf);
    } else if (used == 1) {
      CHECK(result.level == PsfLevel::moffat_fixed_beta);
      CHECK(result.diagnostics.beta == 3.5);
    } else if (used < 4) {
      CHECK(result.level == PsfLevel::moffat);
    } else {
      CHECK(result.level >= PsfLevel::constant);
    }
    if (result.psf) {
      const sky::PsfStamp stamp = result.psf->at(150.0, 150.0);
      CHECK(std::all_of(stamp.values.pixels().begin(), stamp.values.pixels().end(),
                        [](float v) { return std::isfinite(v); }));
    }
    return used;
  };
  CHECK(level_of(0) == 0);
  CHECK(level_of(1) <= 1);
  CHECK(level_of(3) <= 3);
  level_of(6);
  CHECK(level_of(14) >= 4);
}

TEST_CASE("known stars and catalogue types steer the choice", "[epsf]") {
  FieldOptions options;
  options.n_galaxies = 40;
  const TrueField field = make_field({{part(3.6, 3.0)}}, options);
  Input input = make_input(field);
  for (std::size_t k = 0; k < field.objects.size(); ++k) {
    const TrueObject& object = field.objects[k];
    input.catalogue.push_back({object.x, object.y, object.star});
    if (object.star && k % 2 == 0) {
      input.known_stars.push_back({object.x + 0.3, object.y - 0.2, 18.0});
    }
  }
  Options build_options;
  build_options.psfstar_mode = "gaia";
  const Result gaia = build(input, build_options);
  CHECK(gaia.diagnostics.n_stars > 10);
  for (const StarRow& row : gaia.stars) {
    if (row.used && !row.wing) {
      CHECK(row.origin == "both");
    }
  }
  build_options.psfstar_mode = "sep";
  const Result sep = build(input, build_options);
  CHECK(sep.diagnostics.n_candidates > gaia.diagnostics.n_candidates);
  CHECK(purity(sep, field) == 1.0);
  build_options.max_stars = 3;
  const Result few = build(input, build_options);
  CHECK(few.diagnostics.n_stars <= 12);
  CHECK(std::any_of(few.stars.begin(), few.stars.end(),
                    [](const StarRow& row) { return row.reason == Rejected::quota; }));
}

TEST_CASE("images without anything to use say so", "[epsf]") {
  Input input;
  input.width = 100;
  input.height = 100;
  float value = std::numeric_limits<float>::quiet_NaN();
  input.read = [&value](const Box& box) {
    return Pixels{Image<float>(box.width(), box.height(), value),
                  Image<float>(box.width(), box.height(), 1.0F),
                  Image<std::uint8_t>(box.width(), box.height())};
  };
  CHECK_THROWS_AS(build(input, {}), UnitError);
  value = 0.0F;
  const Result empty = build(input, {});
  CHECK(empty.level == PsfLevel::none);
  CHECK_FALSE(empty.level_text.empty());
  input.read = [](const Box& box) {
    return Pixels{Image<float>(box.width(), box.height()), Image<float>(box.width(), box.height()),
                  Image<std::uint8_t>(50, 100)};
  };
  CHECK_THROWS_AS(build(input, {}), UnitError);
}
