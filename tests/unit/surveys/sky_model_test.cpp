#include "skyloom/surveys/sky_model.hpp"

#include <cmath>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/fits.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;

namespace {

const std::string kData = SKYLOOM_TEST_DATA;

/// A sky model on a grid of 6 x 5 nodes that begins one pixel before the CCD.
Table model(int order, double (*sky)(double, double)) {
  const std::vector<double> x{-1, 19, 39, 59, 79, 99};
  const std::vector<double> y{-1, 29, 59, 89, 119};
  std::vector<double> values;
  for (const double at_y : y) {
    for (const double at_x : x) {
      values.push_back(sky(at_x, at_y));
    }
  }
  Table table(TableSchema{"sky", {}});
  table.add_rows(1);
  table.add_column({"gridvals", Type::float64, "", "", {5, 6}}, values);
  table.add_column({"xgrid", Type::float64, "", "", {6}}, x);
  table.add_column({"ygrid", Type::float64, "", "", {5}}, y);
  table.add_column({"order", Type::int32, "", ""}, std::vector<std::int32_t>{order});
  table.add_column({"x0", Type::int32, "", ""}, std::vector<std::int32_t>{10});
  table.add_column({"y0", Type::int32, "", ""}, std::vector<std::int32_t>{20});
  return table;
}

double bicubic(double x, double y) {
  const double u = x / 50.0;
  const double v = y / 50.0;
  return 300.0 + u - 2.0 * v + u * u * v - 0.5 * u * u * u * v * v * v;
}

}  // namespace

TEST_CASE("A spline sky of order 3 reproduces a bicubic in CCD coordinates") {
  const Scratch scratch;
  io::write_fits_table(scratch / "sky.fits", model(3, bicubic), {});
  const surveys::SplineSky sky((scratch / "sky.fits").string());
  const Image<float> all = sky.at({0, 90, 0, 100});
  for (const auto& [x, y] : {std::pair(0, 0), std::pair(37, 61), std::pair(89, 99)}) {
    CHECK(all(y, x) == Approx(bicubic(x + 10.0, y + 20.0)).epsilon(1e-6));
  }
  const Image<float> part = sky.at({30, 40, 60, 63});
  CHECK(part(1, 7) == all(61, 37));
  // Beyond the last grid line, which is pixel 89 of the image.
  CHECK(sky.at({85, 95, 50, 51})(0, 9) == all(50, 89));
}

TEST_CASE("A spline sky of order 1 is straight between the nodes") {
  const Scratch scratch;
  io::write_fits_table(scratch / "sky.fits", model(1, bicubic), {});
  const Image<float> sky = surveys::SplineSky((scratch / "sky.fits").string()).at({0, 90, 0, 100});
  CHECK(sky(9, 19) == Approx(0.5 * (bicubic(19.0, 29.0) + bicubic(39.0, 29.0))).epsilon(1e-6));
}

TEST_CASE("A file that holds no spline sky is named") {
  const Scratch scratch;
  const auto message = [&](const Table& table) {
    io::write_fits_table(scratch / "sky.fits", table, {});
    return error_of<ConfigError>([&] { surveys::SplineSky((scratch / "sky.fits").string()); });
  };
  CHECK_THAT(message(model(2, bicubic)), Contains("sky.fits") && Contains("order 2"));
  Table other(TableSchema{"t", {}});
  other.add_rows(1);
  other.add_column({"gridvals", Type::int32, "", ""}, std::vector<std::int32_t>{1});
  CHECK_THAT(message(other), Contains("sky.fits") && Contains("xgrid"));
  Table two = model(3, bicubic);
  two.append(model(3, bicubic));
  CHECK_THAT(message(two), Contains("2 rows"));
  Table wrong = model(3, bicubic);
  wrong.get<double>("xgrid")[3] = 20.0;
  CHECK_THAT(message(wrong), Contains("does not increase"));
}

TEST_CASE("The Legacy Surveys' sky models are evaluated where the cut-out lies on the CCD") {
  if (!std::filesystem::exists(kData + "/decam_multi")) {
    WARN("skipped: no folder " << kData);
    return;
  }
  const auto at = [](const char* name, int x, int y) {
    return surveys::SplineSky(kData + "/decam_multi/" + name).at({x, x + 1, y, y + 1})(0, 0);
  };
  // From a dense solve for the coefficients of all pieces, in numpy.
  const char* g = "c4d_181214_050844_ooi_g_ls9-S9-splinesky.fits";
  CHECK(at(g, 0, 0) == Approx(301.5167409643202).epsilon(1e-6));
  CHECK(at(g, 99, 99) == Approx(301.6095234970426).epsilon(1e-6));
  const char* z = "c4d_150110_053718_ooi_z_ls9-S4-splinesky.fits";
  CHECK(at(z, 50, 50) == Approx(2762.243951219108).epsilon(1e-6));
  CHECK(at(z, 10, 80) == Approx(2762.4254636477135).epsilon(1e-6));
}
