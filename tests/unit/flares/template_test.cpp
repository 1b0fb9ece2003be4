#include <cmath>

#include <catch2/catch.hpp>

#include "pipelines/flares/inject/kernel_template.hpp"

using namespace skyloom::flares;

namespace {

/// Trapezoid over a fine grid.
double integral(FlareTemplate shape, double from, double to, double step) {
  double sum = 0.0;
  for (double x = from; x < to; x += step) {
    sum += step * 0.5 * (flare_shape(shape, x) + flare_shape(shape, x + step));
  }
  return sum;
}

}  // namespace

TEST_CASE("The template of Tovar Mendoza et al.") {
  CHECK(mendoza2022(-0.0025) == Approx(0.95015).epsilon(1e-5));
  CHECK(mendoza2022(0.0) == Approx(0.95012).epsilon(1e-5));
  CHECK(mendoza2022(-0.291) == Approx(0.95015 / 2).epsilon(3e-3));
  CHECK(mendoza2022(0.795) == Approx(0.95015 / 2).epsilon(3e-3));
  CHECK(mendoza2022(47.5) == Approx(1e-4).epsilon(0.02));
  CHECK(mendoza2022(106.8) == Approx(1e-8).epsilon(0.02));
  CHECK(mendoza2022(-1.16) < 1.1e-8);
  CHECK(mendoza2022(-7.0) == 0.0);
  CHECK(std::isfinite(mendoza2022(-1e6)));
  CHECK(mendoza2022(1e6) == 0.0);
  CHECK(flare_area(FlareTemplate::mendoza2022) == Approx(2.04087).epsilon(1e-5));
  CHECK(integral(FlareTemplate::mendoza2022, -6.0, 200.0, 1e-3) ==
        Approx(flare_area(FlareTemplate::mendoza2022)).epsilon(1e-6));
}

TEST_CASE("The template of Davenport et al.") {
  CHECK(davenport2014(0.0) == Approx(1.0));
  CHECK(davenport2014(1e-12) == Approx(0.992));
  CHECK(davenport2014(-1.001) == 0.0);
  CHECK(davenport2014(-0.271) == Approx(0.5).epsilon(5e-3));
  CHECK(davenport2014(0.642) == Approx(0.5).epsilon(5e-3));
  CHECK(flare_area(FlareTemplate::davenport2014) == Approx(1.827).epsilon(5e-4));
  CHECK(integral(FlareTemplate::davenport2014, -1.0, 100.0, 1e-3) ==
        Approx(flare_area(FlareTemplate::davenport2014)).epsilon(1e-4));
}
