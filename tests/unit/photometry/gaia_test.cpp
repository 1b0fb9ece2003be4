#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/photometry/frames/kernel_gaia.hpp"

namespace {

using namespace skyloom;
using namespace skyloom::photometry::frames;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kArcsec = 1.0 / 3600.0;

/// Sources with the columns that matter; all active at the given pixels.
Table sources_at(const std::vector<double>& x, const std::vector<double>& y) {
  Table table(TableSchema{"sources",
                          {{"ID", Type::text, "", ""},
                           {"RA", Type::float64, "deg", ""},
                           {"DEC", Type::float64, "deg", ""},
                           {"TYPE", Type::text, "", ""},
                           {"FLUX_g", Type::float64, "", ""},
                           {"FLUX_r", Type::float64, "", ""},
                           {"excluded_any", Type::boolean, "", ""},
                           {"gaia_source_id", Type::text, "", ""},
                           {"x_pix_white", Type::float64, "pix", ""},
                           {"y_pix_white", Type::float64, "pix", ""}}});
  for (std::size_t i = 0; i < x.size(); ++i) {
    table.add_row();
    table.set(i, "ID", std::to_string(i));
    table.set(i, "RA", 150.0 + x[i] * 0.5 * kArcsec);
    table.set(i, "DEC", y[i] * 0.5 * kArcsec);
    table.set(i, "TYPE", "EXP");
    table.set(i, "x_pix_white", x[i]);
    table.set(i, "y_pix_white", y[i]);
  }
  return table;
}

void add_star(GaiaStars& stars, const std::string& id, double x, double y, double mag_g,
              double mag_r) {
  stars.id.push_back(id);
  stars.ra_deg.push_back(150.0 + x * 0.5 * kArcsec);
  stars.dec_deg.push_back(y * 0.5 * kArcsec);
  stars.x_pix.push_back(x);
  stars.y_pix.push_back(y);
  stars.saturated.push_back(0);
  stars.mags.resize(2);
  stars.mags[0].push_back(mag_g);
  stars.mags[1].push_back(mag_r);
}

GaiaOptions options_for(int width, int height) {
  GaiaOptions options;
  options.bands = {"g", "r"};
  options.image = {0, width, 0, height};
  options.min_box_size_pix = 100;
  return options;
}

TEST_CASE("angles on the sky are right at the equator, at a pole and across RA 0") {
  CHECK(separation_deg(10.0, 0.0, 10.0 + kArcsec, 0.0) == Approx(kArcsec).epsilon(1e-9));
  CHECK(separation_deg(10.0, 60.0, 10.0 + kArcsec, 60.0) == Approx(0.5 * kArcsec).epsilon(1e-6));
  CHECK(separation_deg(0.0, 89.9999, 180.0, 89.9999) == Approx(0.0002).epsilon(1e-6));
  CHECK(separation_deg(359.9999, 0.0, 0.0001, 0.0) == Approx(0.0002).epsilon(1e-6));
  CHECK(separation_deg(0.0, -90.0, 123.0, 90.0) == Approx(180.0));
}

TEST_CASE("the nearest star within the radius is found, as by comparing all pairs") {
  std::vector<double> ra;
  std::vector<double> dec;
  std::vector<double> star_ra;
  std::vector<double> star_dec;
  // Low-discrepancy points in a field of an arcminute that straddles RA 0 at declination 70.
  const auto spread = [](int i, double step) { return std::fmod(i * step, 1.0) - 0.5; };
  for (int i = 0; i < 300; ++i) {
    ra.push_back(std::fmod(360.0 + spread(i, 0.7548776662) / 20.0, 360.0));
    dec.push_back(70.0 + spread(i, 0.5698402910) / 60.0);
    star_ra.push_back(std::fmod(360.0 + spread(i, 0.8191725134) / 20.0, 360.0));
    star_dec.push_back(70.0 + spread(i, 0.6710436067) / 60.0);
  }
  ra.push_back(kNaN);
  dec.push_back(70.0);
  star_ra.push_back(0.0);
  star_dec.push_back(kNaN);
  const auto found = nearest_on_sky(ra, dec, star_ra, star_dec, 3.0);
  std::size_t matched = 0;
  for (std::size_t i = 0; i < ra.size(); ++i) {
    std::size_t best = Table::npos;
    double best_deg = 3.0 * kArcsec;
    for (std::size_t j = 0; j < star_ra.size(); ++j) {
      const double d = separation_deg(ra[i], dec[i], star_ra[j], star_dec[j]);
      if (d <= best_deg) {
        best_deg = d;
        best = j;
      }
    }
    CHECK(found[i] == best);
    matched += best != Table::npos ? 1 : 0;
  }
  CHECK(matched > 100);
  CHECK(matched < 300);
  CHECK(found.back() == Table::npos);
  CHECK(nearest_on_sky(ra, dec, {}, {}, 3.0).front() == Table::npos);
}

TEST_CASE("the box is a square around the active sources, moved into the image") {
  const std::vector<double> x{10.0, 50.0, 900.0};
  const std::vector<double> y{20.0, 30.0, 900.0};
  const std::vector<std::uint8_t> active{1, 1, 0};
  const Box image{0, 1000, 0, 800};
  // Centre (30, 25), side 100: shifted right and up.
  CHECK(gaia_box(x, y, active, image, 100) == Box{0, 100, 0, 100});
  // Side 31: [14.5, 45.5) and [9.5, 40.5), outward; the larger side of the rectangle is 40.
  CHECK(gaia_box(x, y, active, image, 31) == Box{10, 50, 5, 45});
  CHECK(gaia_box(x, y, active, image, 41) == Box{9, 51, 4, 46});
  // Larger than the image: all of it.
  CHECK(gaia_box(x, y, active, image, 3000) == image);
  const std::vector<std::uint8_t> none{0, 0, 0};
  CHECK(gaia_box(x, y, none, image, 100) == Box{450, 550, 350, 450});
  // At the far edge it is moved back.
  const std::vector<std::uint8_t> last{0, 0, 1};
  CHECK(gaia_box(x, y, last, Box{0, 910, 0, 910}, 100) == Box{810, 910, 810, 910});
}

TEST_CASE("matched rows take the star's name and lacking fluxes") {
  Table sources = sources_at({100, 200, 104}, {100, 100, 100});
  sources.set(0, "FLUX_g", 5.0);
  sources.set(0, "FLUX_r", kNaN);
  sources.set(1, "FLUX_g", 7.0);
  sources.set(2, "FLUX_g", 0.0);
  sources.set(2, "FLUX_r", 3.0);
  sources.set(2, "excluded_any", true);
  GaiaStars stars;
  add_star(stars, "3800000000000000001", 101, 100, 20.0, 22.5);
  const Table out = with_gaia(sources, stars, options_for(300, 300));
  REQUIRE(out.rows() == 3);
  const auto& id = out.get<std::string>("gaia_source_id");
  CHECK(id == std::vector<std::string>{"3800000000000000001", "", "3800000000000000001"});
  const auto& g = out.get<double>("FLUX_g");
  const auto& r = out.get<double>("FLUX_r");
  CHECK(g[0] == 5.0);
  CHECK(r[0] == Approx(10.0));  // (25 - 22.5) / 2.5
  CHECK(g[1] == 7.0);
  CHECK(std::isnan(r[1]));
  CHECK(g[2] == Approx(100.0));
  CHECK(r[2] == 3.0);
  CHECK(out.get<std::string>("TYPE")[0] == "EXP");
}

TEST_CASE("unmatched stars in the box become sources unless they are saturated") {
  const Table sources = sources_at({100, 200}, {100, 100});
  GaiaStars stars;
  add_star(stars, "1", 100, 101, 20.0, 20.0);
  add_star(stars, "2", 150, 120, 20.0, kNaN);
  add_star(stars, "3", 160, 120, 20.0, 20.0);
  stars.saturated[2] = 1;
  add_star(stars, "4", 150, 290, 20.0, 20.0);    // outside the box
  add_star(stars, "5", kNaN, kNaN, 20.0, 20.0);  // not on the image
  add_star(stars, "2", 150.1, 120, 20.0, 20.0);  // listed twice
  GaiaOptions options = options_for(300, 300);
  const Table out = with_gaia(sources, stars, options);
  REQUIRE(out.rows() == 3);
  CHECK(out.get<std::string>("ID")[2] == "gaia_2");
  CHECK(out.get<std::string>("TYPE")[2] == "STAR");
  CHECK(out.get<std::string>("gaia_source_id")[2] == "2");
  CHECK(out.get<double>("RA")[2] == stars.ra_deg[1]);
  CHECK(out.get<double>("DEC")[2] == stars.dec_deg[1]);
  CHECK(out.get<double>("x_pix_white")[2] == 150.0);
  CHECK(out.get<double>("FLUX_g")[2] == Approx(100.0));
  CHECK(out.get<double>("FLUX_r")[2] == 0.0);
  CHECK(out.get<std::uint8_t>("excluded_any")[2] == 0);
  options.inject = false;
  CHECK(with_gaia(sources, stars, options).rows() == 2);
}

TEST_CASE("an empty catalogue and a box without stars are left alone") {
  GaiaStars stars;
  add_star(stars, "1", 100, 100, 20.0, 20.0);
  CHECK(with_gaia(sources_at({}, {}), stars, options_for(300, 300)).rows() == 0);
  const Table sources = sources_at({100}, {100});
  const Table out = with_gaia(sources, GaiaStars{}, options_for(300, 300));
  CHECK(out.rows() == 1);
  CHECK(out.get<std::string>("gaia_source_id")[0].empty());
}

}  // namespace
