// From catalogue columns to what a fit starts with (photometry.md 1.1, 9.4).

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/photometry/fit/stage.hpp"

using namespace skyloom;
using photometry::fit::SourceType;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Sources at (10, 20), with columns added by the tests.
Table sources_with(std::size_t n) {
  Table table(TableSchema{"sources", {}});
  table.add_rows(n);
  table.add_column({"x_pix_white", Type::float64, "pix", ""}, std::vector<double>(n, 10.0));
  table.add_column({"y_pix_white", Type::float64, "pix", ""}, std::vector<double>(n, 20.0));
  return table;
}

std::vector<photometry::fit::SourceStart> starts_of(const Table& table,
                                                    const photometry::Config& config = {}) {
  return photometry::starting_values(config, table, {"g", "r"});
}

}  // namespace

TEST_CASE("TYPE names a model, everything else is gal_model") {
  const std::vector<std::string> types{"STAR", "EXP", "DEV", "SERSIC", "GAL", "", "QSO"};
  Table table = sources_with(types.size());
  struct Row {
    const char* gal_model;
    SourceType others;
  };
  for (const Row& row : {Row{"exp", SourceType::exp}, Row{"dev", SourceType::dev},
                         Row{"sersic", SourceType::sersic}, Row{"star", SourceType::star}}) {
    photometry::Config config;
    config.patch_run.gal_model = row.gal_model;
    for (const auto& start : starts_of(table, config)) {
      CHECK(start.type == row.others);  // no column TYPE
    }
    Table typed = table;
    typed.add_column({"TYPE", Type::text, "", ""}, types);
    const auto starts = starts_of(typed, config);
    const SourceType expected[] = {SourceType::star,   SourceType::exp, SourceType::dev,
                                   SourceType::sersic, row.others,      row.others,
                                   row.others};
    for (std::size_t i = 0; i < types.size(); ++i) {
      INFO("TYPE " << types[i] << " with " << row.gal_model);
      CHECK(starts[i].type == expected[i]);
      CHECK(photometry::is_model_type(types[i]) == (i < 4));
    }
  }
}

TEST_CASE("shapes start from the catalogue, from its gaps, or without its columns") {
  struct Row {
    double ell, theta, re, axis_ratio, phi_deg, re_pix;
  };
  const std::vector<Row> rows{{0.3, 10.0, 5.0, 0.7, -80.0, 5.0},
                              {0.0, -10.0, 0.1, 1.0, 80.0, 0.3},
                              {0.95, 90.0, 500.0, 0.1, 0.0, 100.0},
                              {-0.5, 180.0, -1.0, 1.0, 90.0, 0.3},
                              // A gap in a column that is there: round, THETA 0, the fallback size.
                              {kNaN, kNaN, kNaN, 1.0, -90.0, 4.5}};
  Table table = sources_with(rows.size());
  photometry::Config config;
  config.patch_run.re_fallback_pix = 4.5;
  config.patch_run.sersic_n_init = 2.2;
  for (const auto& start : starts_of(table, config)) {
    CHECK(start.axis_ratio == 0.8);
    CHECK(start.phi_deg == 0.0);
    CHECK(start.re_pix == 4.5);
    CHECK(start.sersic_n == 2.2);
    CHECK(start.x == 10.0);
    CHECK(start.y == 20.0);
  }
  std::vector<double> ell;
  std::vector<double> theta;
  std::vector<double> re;
  for (const Row& row : rows) {
    ell.push_back(row.ell);
    theta.push_back(row.theta);
    re.push_back(row.re);
  }
  table.add_column({"ELL", Type::float64, "", ""}, ell);
  table.add_column({"THETA", Type::float64, "deg", ""}, theta);
  table.add_column({"Re", Type::float64, "pix", ""}, re);
  const auto starts = starts_of(table, config);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    INFO("row " << i);
    CHECK(starts[i].axis_ratio == Approx(rows[i].axis_ratio).epsilon(1e-12));
    CHECK(starts[i].phi_deg == rows[i].phi_deg);
    CHECK(starts[i].re_pix == rows[i].re_pix);
  }
}

TEST_CASE("a flux is a start only if it is finite and positive") {
  const std::vector<double> flux{5.0, 0.0, -1.0, kNaN, std::numeric_limits<double>::infinity()};
  Table table = sources_with(flux.size());
  table.add_column({"FLUX_g", Type::float64, "", ""}, flux);
  const auto starts = starts_of(table);
  REQUIRE(starts.size() == flux.size());
  CHECK(starts[0].flux[0] == 5.0);
  for (std::size_t i = 0; i < flux.size(); ++i) {
    REQUIRE(starts[i].flux.size() == 2);
    CHECK(std::isnan(starts[i].flux[1]));  // no column FLUX_r
    CHECK(std::isnan(starts[i].flux[0]) == (i > 0));
  }
}
