// Rendering against the tables of check values, brute force and finite differences.

#include "skyloom/sky/render.hpp"

#include <cmath>
#include <numbers>
#include <vector>

#include <catch2/catch.hpp>

#include "skyloom/sky/profile.hpp"

namespace sky = skyloom::sky;
using skyloom::Box;
using skyloom::Image;

namespace {

constexpr std::array<double, 4> kIdentity{1.0, 0.0, 0.0, 1.0};

sky::PsfStamp moffat(double fwhm, int radius, int oversampling = 1) {
  const double beta = 3.5;
  const double alpha = fwhm / (2.0 * std::sqrt(std::pow(2.0, 1.0 / beta) - 1.0));
  const int half = radius * oversampling;
  Image<float> image(2 * half + 1, 2 * half + 1);
  double sum = 0.0;
  for (int pass = 0; pass < 2; ++pass) {
    for (int y = -half; y <= half; ++y) {
      for (int x = -half; x <= half; ++x) {
        const double r2 = static_cast<double>(x * x + y * y) / (oversampling * oversampling);
        const double value = std::pow(1.0 + r2 / (alpha * alpha), -beta);
        if (pass == 0) {
          sum += value;
        } else {
          image(y + half, x + half) = static_cast<float>(value / sum * oversampling * oversampling);
        }
      }
    }
  }
  return {std::move(image), oversampling};
}

struct Galaxy {
  sky::RadialTable table;
  sky::RadialTable n_table;
  bool has_n = false;
};

Galaxy galaxy_of(const std::string& type, double n = 0.0) {
  if (type == "star") {
    return {sky::RadialTable(sky::Mixture{{1.0}, {0.0}}), {}, false};
  }
  if (type == "exp") {
    return {sky::RadialTable(sky::exponential_mixture()), {}, false};
  }
  if (type == "dev") {
    return {sky::RadialTable(sky::de_vaucouleurs_mixture()), {}, false};
  }
  auto tables = sky::sersic_tables(n);
  return {tables.profile, tables.n_derivative, true};
}

struct Images {
  std::vector<float> data;
  int width;
  int height;
  [[nodiscard]] float at(int image, int y, int x) const {
    return data[static_cast<std::size_t>((image * height + y) * width + x)];
  }
};

Images render(const Galaxy& galaxy, const sky::PsfStamp& psf, const sky::GridShape& shape,
              sky::ShapeParameters p, double x, double y, Box clip, int cx, int cy,
              bool derivatives = true, const char* instruction_set = nullptr,
              std::array<double, 4> matrix = kIdentity) {
  const sky::DftGrid grid(shape);
  sky::GalaxyFactors factors;
  factors.compute(grid, galaxy.table, galaxy.has_n ? &galaxy.n_table : nullptr,
                  sky::transformed(sky::shape_matrix(p), matrix), matrix, derivatives);
  Images images{
      std::vector<float>(static_cast<std::size_t>(factors.images() * clip.width() * clip.height())),
      clip.width(), clip.height()};
  sky::RenderScratch scratch;
  sky::render_galaxy(grid, sky::psf_transform(psf, grid), factors, x, y, cx, cy, false,
                     {images.data.data(), clip.width(),
                      static_cast<std::ptrdiff_t>(clip.width()) * clip.height(), clip},
                     scratch, instruction_set);
  return images;
}

const sky::GridShape kLarge{63, 128, 63};
const Box kScene{0, 64, 0, 64};

}  // namespace

TEST_CASE("the radial table is the sum of exponentials") {
  const auto mixture = sky::de_vaucouleurs_mixture();
  const sky::RadialTable table(mixture);
  for (double t = 2e-6; t < 1e4; t *= 1.37) {
    double f = 0.0;
    double tf = 0.0;
    for (std::size_t k = 0; k < mixture.variance.size(); ++k) {
      const double s = 2.0 * std::numbers::pi * std::numbers::pi * mixture.variance[k] * t;
      f += mixture.amplitude[k] * std::exp(-s);
      tf -= s * mixture.amplitude[k] * std::exp(-s);
    }
    float value = 0.0F;
    float slope = 0.0F;
    table.evaluate(static_cast<float>(t), value, slope);
    CHECK(std::abs(static_cast<double>(value) - f) < 1e-7);
    CHECK(std::abs(static_cast<double>(slope) * t - tf) < 5e-6);
  }
}

TEST_CASE("unit images have the check values") {
  const auto psf = moffat(4.0, 25);
  const auto shape = sky::to_parameters({3.0, 0.5, 30.0});
  struct Row {
    const char* type;
    double n;
    double values[6];
  };
  const Row rows[] = {
      {"star",
       0,
       {3.79934721e-2, 4.24969383e-2, 3.53224948e-2, 5.26927225e-3, 1.2631e-5, 7.6495e-6}},
      {"exp",
       0,
       {1.86978988e-2, 1.98110603e-2, 1.85502488e-2, 8.35384335e-3, 5.87626e-5, 4.72312e-5}},
      {"dev",
       0,
       {1.93654317e-2, 2.09270362e-2, 1.87958740e-2, 6.36792975e-3, 2.85770e-4, 2.94674e-4}},
      {"sersic",
       2.5,
       {1.90281551e-2, 2.04239488e-2, 1.86102241e-2, 7.01429090e-3, 2.14746e-4, 2.19812e-4}},
      {"sersic",
       0.7,
       {1.86374541e-2, 1.96639542e-2, 1.85774658e-2, 8.79470445e-3, 4.07597e-5, 2.98131e-5}}};
  const int at[6][2] = {{28, 30}, {29, 30}, {28, 31}, {26, 33}, {20, 40}, {40, 22}};
  for (const Row& row : rows) {
    const auto images =
        render(galaxy_of(row.type, row.n), psf, kLarge, shape, 30.3, 28.8, kScene, 30, 29);
    for (int k = 0; k < 6; ++k) {
      INFO(row.type << ' ' << row.n << " pixel " << k);
      CHECK(static_cast<double>(images.at(0, at[k][0], at[k][1])) ==
            Approx(row.values[k]).epsilon(0.0).margin(1e-5 * row.values[1]));
    }
    if (row.n == 2.5) {
      const double d[6] = {2.585570e-3, -2.541129e-3, -1.119173e-2,
                           2.858611e-3, -5.665280e-3, 1.9266e-4};
      for (int m = 0; m < 6; ++m) {
        CHECK(static_cast<double>(images.at(m + 1, 28, 31)) ==
              Approx(d[m]).epsilon(m == 5 ? 1e-2 : 1e-4));
      }
    }
    if (row.n == 0 && row.type[0] == 'e') {
      const double d[5] = {1.963495e-3, -1.726489e-3, -1.456939e-2, 3.666913e-3, -7.244571e-3};
      for (int m = 0; m < 5; ++m) {
        CHECK(static_cast<double>(images.at(m + 1, 28, 31)) == Approx(d[m]).epsilon(1e-4));
      }
    }
  }
}

TEST_CASE("a point source is the shifted stamp") {
  const double exact[6] = {3.79894752e-2, 4.25064616e-2, 3.53170524e-2,
                           5.27194609e-3, 1.20451063e-5, 8.09786523e-6};
  const int at[6][2] = {{28, 30}, {29, 30}, {28, 31}, {26, 33}, {20, 40}, {40, 22}};
  for (const int oversampling : {1, 2, 4}) {
    const sky::PointSource star(moffat(4.0, 25, oversampling));
    std::vector<float> data(3 * 64 * 64, -1.0F);
    sky::RenderScratch scratch;
    star.render(30.3, 28.8, true, {data.data(), 64, 64 * 64, kScene}, scratch);
    for (int k = 0; k < 6; ++k) {
      // Quintic interpolation of a native stamp of FWHM 4: 4e-4 of the peak at worst.
      const double tolerance = (oversampling == 1 ? 4e-4 : 2e-5) * 0.0425;
      INFO("oversampling " << oversampling << " pixel " << k);
      CHECK(static_cast<double>(data[static_cast<std::size_t>(at[k][0] * 64 + at[k][1])]) ==
            Approx(exact[k]).epsilon(0.0).margin(tolerance));
    }
    std::vector<float> moved(3 * 64 * 64);
    std::vector<float> back(3 * 64 * 64);
    for (int axis = 0; axis < 2; ++axis) {
      const double h = 1e-2;
      star.render(30.3 + (axis == 0 ? h : 0.0), 28.8 + (axis == 1 ? h : 0.0), false,
                  {moved.data(), 64, 64 * 64, kScene}, scratch);
      star.render(30.3 - (axis == 0 ? h : 0.0), 28.8 - (axis == 1 ? h : 0.0), false,
                  {back.data(), 64, 64 * 64, kScene}, scratch);
      double worst = 0.0;
      double peak = 0.0;
      for (std::size_t i = 0; i < 64 * 64; ++i) {
        const double d = (static_cast<double>(moved[i]) - static_cast<double>(back[i])) / (2 * h);
        const double analytic =
            static_cast<double>(data[(static_cast<std::size_t>(axis) + 1) * 64 * 64 + i]);
        worst = std::max(worst, std::abs(d - analytic));
        peak = std::max(peak, std::abs(analytic));
      }
      CHECK(worst < 1e-4 * peak);
    }
  }
}

TEST_CASE("zero shift reproduces the stamp") {
  const auto stamp = moffat(3.0, 25);
  const sky::PointSource star(stamp);
  std::vector<float> data(51 * 51);
  sky::RenderScratch scratch;
  star.render(25.0, 25.0, false, {data.data(), 51, 0, {0, 51, 0, 51}}, scratch);
  for (int y = 0; y < 51; ++y) {
    for (int x = 0; x < 51; ++x) {
      CHECK(std::abs(data[static_cast<std::size_t>(y * 51 + x)] - stamp.values(y, x)) <
            1e-6F * stamp.values(25, 25));
    }
  }
}

TEST_CASE("instruction sets agree") {
  const auto psf = moffat(4.0, 25);
  const auto shape = sky::to_parameters({3.0, 0.5, 30.0});
  const auto galaxy = galaxy_of("sersic", 2.5);
  for (const sky::GridShape grid : {sky::GridShape{23, 64, 19}, sky::GridShape{31, 80, 25}}) {
    const Box clip{10, 47, 7, 52};
    const auto reference =
        render(galaxy, psf, grid, shape, 30.3, 28.8, clip, 30, 29, true, "portable");
    for (const char* name : {"avx2", "avx512"}) {
      if (!__builtin_cpu_supports("avx2") ||
          (std::string(name) == "avx512" && !__builtin_cpu_supports("avx512f"))) {
        continue;
      }
      const auto other = render(galaxy, psf, grid, shape, 30.3, 28.8, clip, 30, 29, true, name);
      for (std::size_t i = 0; i < reference.data.size(); ++i) {
        REQUIRE(std::abs(reference.data[i] - other.data[i]) < 1e-6F * 0.03F);
      }
    }
  }
}

TEST_CASE("the pruned transform equals the direct sum, clipped anywhere") {
  const auto psf = moffat(3.0, 10);
  const auto galaxy = galaxy_of("exp");
  const auto p = sky::to_parameters({2.0, 0.6, 70.0});
  const sky::GridShape shape{15, 48, 14};
  const double x = 20.4;
  const double y = 16.7;
  const auto c = sky::shape_matrix(p).c;
  for (const Box clip : {Box{5, 36, 2, 33}, Box{25, 30, 22, 28}, Box{6, 12, 3, 9}}) {
    const auto images = render(galaxy, psf, shape, p, x, y, clip, 20, 17, false);
    double worst = 0.0;
    for (int j = clip.y0; j < clip.y1; ++j) {
      for (int i = clip.x0; i < clip.x1; ++i) {
        double sum = 0.0;
        for (int kp = -14; kp <= 14; ++kp) {
          for (int kq = -14; kq <= 14; ++kq) {
            if (kp * kp + kq * kq > 14 * 14) {
              continue;
            }
            double re = 0.0;
            double im = 0.0;
            for (int v = -10; v <= 10; ++v) {
              for (int u = -10; u <= 10; ++u) {
                const double angle = 2.0 * std::numbers::pi * (kp * u + kq * v) / 48.0;
                const double s = static_cast<double>(psf.values(v + 10, u + 10));
                re += s * std::cos(angle);
                im -= s * std::sin(angle);
              }
            }
            const double fx = kp / 48.0;
            const double fy = kq / 48.0;
            const float t =
                static_cast<float>(c.xx * fx * fx + 2 * c.xy * fx * fy + c.yy * fy * fy);
            const double f = static_cast<double>(galaxy.table.value(t));
            const double angle = 2.0 * std::numbers::pi * (fx * (i - x) + fy * (j - y));
            sum += f * (re * std::cos(angle) - im * std::sin(angle)) / (48.0 * 48.0);
          }
        }
        worst = std::max(
            worst, std::abs(sum - static_cast<double>(images.at(0, j - clip.y0, i - clip.x0))));
        if (clip.width() > 10) {
          i += 6;
        }
      }
      if (clip.width() > 10) {
        j += 6;
      }
    }
    CHECK(worst < 1e-6 * 0.06);
  }
}

namespace {

/// A Sersic galaxy seen through a turned frame, from x, y, ln Re, ee1, ee2, n.
Images turned_sersic(const std::array<double, 6>& v, bool derivatives) {
  static const auto kPsf = moffat(3.5, 20);
  const std::array<double, 4> matrix{1.05, 0.2, -0.1, 0.95};
  return render(galaxy_of("sersic", v[5]), kPsf, {31, 80, 32}, {v[2], v[3], v[4]},
                matrix[0] * v[0] + matrix[1] * v[1] - 6.0,
                matrix[2] * v[0] + matrix[3] * v[1] + 4.0, {0, 60, 0, 60}, 31, 28, derivatives,
                nullptr, matrix);
}

const std::array<double, 6> kTurned{30.3, 28.8, std::log(2.5), 0.35, -0.45, 2.2};

/// Largest difference of derivative image m and the central difference of step h, in units of the
/// largest derivative.
double difference_error(const Images& analytic, std::size_t m, double h) {
  auto up = kTurned;
  auto down = kTurned;
  up[m] += h;
  down[m] -= h;
  const auto a = turned_sersic(up, false);
  const auto b = turned_sersic(down, false);
  double worst = 0.0;
  double peak = 0.0;
  for (int y = 0; y < 60; ++y) {
    for (int x = 0; x < 60; ++x) {
      const double d = static_cast<double>(a.at(0, y, x) - b.at(0, y, x)) / (2 * h);
      const double v = static_cast<double>(analytic.at(static_cast<int>(m) + 1, y, x));
      worst = std::max(worst, std::abs(d - v));
      peak = std::max(peak, std::abs(v));
    }
  }
  return worst / peak;
}

}  // namespace

TEST_CASE("derivative images equal central differences, with errors as the square of the step") {
  const auto analytic = turned_sersic(kTurned, true);
  const double tolerance[6] = {1e-4, 1e-4, 1e-4, 3e-4, 3e-4, 3e-3};
  for (std::size_t m = 0; m < 6; ++m) {
    INFO("parameter " << m);
    CHECK(difference_error(analytic, m, 1e-2) < tolerance[m]);
    // The index is interpolated between tables: its derivative has an error of its own.
    if (m < 5) {
      const double ratio =
          difference_error(analytic, m, 0.08) / difference_error(analytic, m, 0.04);
      CHECK(ratio == Approx(4.0).margin(0.25));
    }
  }
}

TEST_CASE("a galaxy of Re 0.1 pixels is a star, but for what its width adds") {
  const auto psf = moffat(4.0, 25);
  const auto profile = sky::exponential_mixture();
  double variance = 0.0;
  for (std::size_t k = 0; k < profile.variance.size(); ++k) {
    variance += 0.01 * profile.amplitude[k] * profile.variance[k];
  }
  const auto tiny = render(galaxy_of("exp"), psf, kLarge, sky::to_parameters({0.1, 1.0, 0.0}), 30.3,
                           28.8, kScene, 30, 29, false);
  const sky::PointSource star(psf);
  sky::RenderScratch scratch;
  const auto star_at = [&](double x, double y) {
    std::vector<float> data(64 * 64);
    star.render(x, y, false, {data.data(), 64, 0, kScene}, scratch);
    return data;
  };
  const double h = 0.3;
  const auto centre = star_at(30.3, 28.8);
  const auto right = star_at(30.3 + h, 28.8);
  const auto left = star_at(30.3 - h, 28.8);
  const auto up = star_at(30.3, 28.8 + h);
  const auto down = star_at(30.3, 28.8 - h);
  double worst = 0.0;
  double widest = 0.0;
  for (std::size_t i = 0; i < centre.size(); ++i) {
    // Convolution with something narrow: half its variance times the second derivatives.
    const double laplacian =
        static_cast<double>(right[i] + left[i] + up[i] + down[i] - 4.0F * centre[i]) / (h * h);
    const double widened = static_cast<double>(centre[i]) + 0.5 * variance * laplacian;
    worst = std::max(worst, std::abs(static_cast<double>(tiny.data[i]) - widened));
    widest = std::max(widest, std::abs(0.5 * variance * laplacian));
  }
  CHECK(worst < 1e-3 * 0.0425);
  CHECK(widest > 3e-3 * 0.0425);
}

TEST_CASE("a shift by one pixel shifts the image") {
  const auto psf = moffat(4.0, 25);
  const auto p = sky::to_parameters({3.0, 0.5, 30.0});
  const auto a = render(galaxy_of("dev"), psf, kLarge, p, 30.3, 28.8, kScene, 30, 29);
  // The same grid with a source one pixel on, and the grid moved with it.
  for (const int centre : {30, 31}) {
    const auto b = render(galaxy_of("dev"), psf, kLarge, p, 31.3, 28.8, kScene, centre, 29);
    for (int m = 0; m < sky::kGalaxyImages; ++m) {
      for (int y = 0; y < 64; ++y) {
        for (int x = 0; x < 63; ++x) {
          REQUIRE(std::abs(a.at(m, y, x) - b.at(m, y, x + 1)) < 1e-6F * 0.0425F);
        }
      }
    }
  }
}
