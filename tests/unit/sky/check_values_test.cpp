// Closed formulas and profile tables against published check values (photometry.md 17.1, 17.3,
// 17.4). Relative tolerance 1e-6, or half a unit of the last digit given where that is more.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "skyloom/sky/profile.hpp"
#include "skyloom/sky/psf.hpp"

#include "sky/sersic_tables.hpp"
#include "support/lanczos.hpp"
#include "unit/sky/sersic_check_tables.hpp"

namespace sky = skyloom::sky;

namespace {

/// |value - given| within 1e-6 of it or half a unit of its last decimal.
void check_digits(double value, double given, double last_digit) {
  CHECK(value == Approx(given).epsilon(1e-6).margin(0.5 * last_digit));
}

}  // namespace

TEST_CASE("the matrix from the unit circle to pixels is that of the ellipse parameters") {
  struct Row {
    sky::Ellipse ellipse;
    sky::ShapeParameters parameters;
    double g[4];
  };
  const Row rows[] = {{{3, 0.5, 30},
                       {1.0986122887, 0.2027325541, -0.3511430840},
                       {1.2990381057, -1.5, 0.75, 2.5980762114}},
                      {{3, 0.5, -60},
                       {1.0986122887, -0.2027325541, 0.3511430840},
                       {0.75, 2.5980762114, -1.2990381057, 1.5}},
                      {{2.5, 0.25, 110},
                       {0.9162907319, -0.7019194234, 0.5889803293},
                       {0.2137625896, 2.3492315520, -0.5873078880, 0.8550503583}}};
  for (const Row& row : rows) {
    INFO("phi " << row.ellipse.phi_deg);
    const auto p = sky::to_parameters(row.ellipse);
    check_digits(p.log_re, row.parameters.log_re, 1e-10);
    check_digits(p.ee1, row.parameters.ee1, 1e-10);
    check_digits(p.ee2, row.parameters.ee2, 1e-10);
    // Rendering needs G G^T alone.
    const auto [g0, g1, g2, g3] = row.g;
    const auto c = sky::shape_matrix(p).c;
    check_digits(c.xx, g0 * g0 + g1 * g1, 1e-9);
    check_digits(c.xy, g0 * g2 + g1 * g3, 1e-9);
    check_digits(c.yy, g2 * g2 + g3 * g3, 1e-9);
    // And back, both from the parameters and from the angle of the second column, the major axis.
    const auto back = sky::to_ellipse(p);
    check_digits(back.re_pix, row.ellipse.re_pix, 0.0);
    check_digits(back.axis_ratio, row.ellipse.axis_ratio, 0.0);
    CHECK(std::remainder(back.phi_deg - row.ellipse.phi_deg, 180.0) == Approx(0.0).margin(1e-9));
    const double from_y_axis = -std::atan2(g1, g3) * 180.0 / std::acos(-1.0);
    CHECK(std::remainder(from_y_axis - row.ellipse.phi_deg, 180.0) == Approx(0.0).margin(1e-7));
  }
}

TEST_CASE("position angles turn from +x to +y and back modulo 180 degrees") {
  struct Row {
    double theta, phi, theta_back;
  };
  for (const Row& row : {Row{0, -90, 0}, Row{10, -80, 10}, Row{90, 0, -90}, Row{135, 45, -45},
                         Row{-10, 80, -10}, Row{-90, 0, -90}, Row{179, 89, -1}}) {
    INFO("THETA " << row.theta);
    CHECK(sky::phi_from_theta_deg(row.theta) == row.phi);
    CHECK(sky::theta_from_phi_deg(row.phi) == row.theta_back);
  }
}

TEST_CASE("a Lanczos-3 shift of a unit pixel has the tabulated values") {
  std::vector<double> image(49, 0.0);
  image[3 * 7 + 3] = 1.0;
  const auto shifted = skyloom::test::lanczos3_shifted(image, 7, 7, 0.3, -0.2);
  const double row[] = {0.0,        0.02906135,  -0.13297752, 0.78886086,
                        0.31374395, -0.07776195, 0.00973902};
  const double column[] = {0.0040248,   -0.0445495, 0.17622803, 0.78886086,
                           -0.10023637, 0.02330288, 0.0};
  for (std::size_t i = 0; i < 7; ++i) {
    INFO("pixel " << i);
    check_digits(shifted[3 * 7 + i], row[i], 1e-8);
    check_digits(shifted[i * 7 + 3], column[i], 1e-8);
  }
}

TEST_CASE("exp and dev mixtures have the tabulated amplitudes") {
  const double exp[] = {1.99485977e-04, 2.61612679e-03, 1.89726655e-02,
                        1.00186544e-01, 3.68534484e-01, 5.09490694e-01};
  const auto exponential = sky::exponential_mixture();
  REQUIRE(exponential.amplitude.size() == 6);
  for (std::size_t k = 0; k < 6; ++k) {
    check_digits(exponential.amplitude[k], exp[k], 0.0);
  }
  const double dev[] = {0.010233,   0.00199772, 0.01125156, 0.03213934, 0.07119277,
                        0.13289826, 0.20919977, 0.26822667, 0.26286089};
  const auto de_vaucouleurs = sky::de_vaucouleurs_mixture();
  REQUIRE(de_vaucouleurs.amplitude.size() == 9);
  CHECK(de_vaucouleurs.variance[0] == 0.0);
  for (std::size_t k = 0; k < 9; ++k) {
    check_digits(de_vaucouleurs.amplitude[k], dev[k], 1e-8);
  }
}

TEST_CASE("interpolated Sersic mixtures have the tabulated terms") {
  struct Term {
    double variance, amplitude;
  };
  struct Row {
    double n;
    std::vector<Term> terms;
    double last_digit;  ///< of the amplitudes
  };
  const std::vector<Row> rows{
      {0.35, {{0.248227, 0.55494342}, {0.325884, -2.15740213}, {0.467504, 2.60245871}}, 1e-8},
      {0.5, {{0.316586, 0.0}, {0.721342, 1.0}}, 1e-8},
      {1.25,
       {{0, 7.0e-05},
        {1.02861279e-03, 5.12718936e-04},
        {8.15448080e-03, 5.81578446e-03},
        {3.91082280e-02, 3.52670424e-02},
        {0.149565579, 0.141791866},
        {0.522557651, 0.374791838},
        {1.92341635, 0.441750750}},
       1e-9},
      {2.5,
       {{0, 0.001928},
        {3.03158e-04, 0.00130401},
        {1.93660e-03, 0.00884002},
        {9.80639e-03, 0.03402812},
        {0.0438849, 0.09657439},
        {0.186254, 0.20804736},
        {0.808878, 0.32654924},
        {4.31446, 0.32272887}},
       1e-8},
      {3.05,
       {{0, 4.09090293e-03},
        {2.18139341e-06, 7.08909161e-05},
        {2.97638439e-04, 2.22255619e-03},
        {1.74627925e-03, 1.26278125e-02},
        {8.73109579e-03, 4.18396475e-02},
        {4.02516224e-02, 0.105597142},
        {0.181810360, 0.209314819},
        {0.867733317, 0.312932097},
        {5.29371608, 0.311304131}},
       1e-9},
      {5.3,
       {{0, 0.01907841},
        {1.82649164e-04, 0.00280181},
        {7.65781641e-04, 0.01477235},
        {3.11586058e-03, 0.03770436},
        {1.26820399e-02, 0.07499261},
        {5.30238903e-02, 0.12908294},
        {0.236279864, 0.19448241},
        {1.20049658, 0.25121249},
        {8.69669877, 0.27587261}},
       1e-8}};
  for (const Row& row : rows) {
    const auto mixture = sky::sersic_mixture(row.n);
    std::vector<Term> terms;
    for (std::size_t k = 0; k < mixture.variance.size(); ++k) {
      terms.push_back({mixture.variance[k], mixture.amplitude[k]});
    }
    std::sort(terms.begin(), terms.end(),
              [](const Term& a, const Term& b) { return a.variance < b.variance; });
    REQUIRE(terms.size() == row.terms.size());
    for (std::size_t k = 0; k < terms.size(); ++k) {
      INFO("n " << row.n << " term " << k);
      check_digits(terms[k].variance, row.terms[k].variance, 0.0);
      check_digits(terms[k].amplitude, row.terms[k].amplitude, row.last_digit);
    }
  }
}

TEST_CASE("the Sersic tables are the published ones") {
  const auto& published = skyloom::test::sersic_check_ranges();
  const auto ours = sky::sersic_ranges();
  REQUIRE(ours.size() == published.size());
  for (std::size_t r = 0; r < ours.size(); ++r) {
    INFO("range " << r);
    CHECK(ours[r].low == published[r].low);
    CHECK(ours[r].high == published[r].high);
    REQUIRE(static_cast<std::size_t>(ours[r].rows) == published[r].rows.size());
    const auto width = static_cast<std::size_t>(1 + 2 * ours[r].terms);
    for (std::size_t row = 0; row < published[r].rows.size(); ++row) {
      const double* first = ours[r].values + row * width;
      CHECK(std::vector<double>(first, first + width) == published[r].rows[row]);
    }
  }
  std::vector<double> cores;
  for (const auto& [n, core] : skyloom::test::sersic_check_cores()) {
    cores.insert(cores.end(), {n, core});
  }
  const auto our_cores = sky::sersic_core_table();
  CHECK(std::vector<double>(our_cores.begin(), our_cores.end()) == cores);
}

TEST_CASE("interpolation returns the rows of the Sersic tables and their cores") {
  int rows = 0;
  for (const auto& range : skyloom::test::sersic_check_ranges()) {
    for (const auto& row : range.rows) {
      // Rows outside the range only steady the spline.
      if (row[0] < range.low || row[0] >= range.high) {
        continue;
      }
      ++rows;
      const std::size_t terms = (row.size() - 1) / 2;
      const auto mixture = sky::sersic_mixture(row[0]);
      INFO("n " << row[0]);
      REQUIRE(mixture.amplitude.size() == terms + (row[0] > 1.0 ? 1 : 0));
      double sum = 0.0;
      for (std::size_t k = 0; k < terms; ++k) {
        sum += row[1 + k];
      }
      const double core = row[0] > 1.0 ? mixture.amplitude.back() : 0.0;
      for (std::size_t k = 0; k < terms; ++k) {
        check_digits(mixture.amplitude[k], row[1 + k] / sum * (1.0 - core), 1e-12);
        check_digits(mixture.variance[k], row[1 + terms + k], 0.0);
      }
    }
  }
  CHECK(rows == 75);
  for (const auto& [n, core] : skyloom::test::sersic_check_cores()) {
    if (n > 1.0 && n <= sky::kSersicMax) {
      const auto mixture = sky::sersic_mixture(n);
      INFO("core at n " << n);
      CHECK(mixture.variance.back() == 0.0);
      check_digits(mixture.amplitude.back(), core, 0.0);
    }
  }
  // Beyond the tables the nearest index holds.
  CHECK(sky::sersic_mixture(0.1).amplitude == sky::sersic_mixture(sky::kSersicMin).amplitude);
  CHECK(sky::sersic_mixture(9.0).variance == sky::sersic_mixture(sky::kSersicMax).variance);
}
