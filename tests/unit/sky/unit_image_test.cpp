// Images of sources of flux 1 against the values of the Tractor (photometry.md 17.2). Its pixelized
// images are made at whole pixels on a periodic grid of 128 pixels and then shifted by Lanczos-3;
// ours need neither, so the test renders ours at whole pixels with that period and shifts them the
// same way. Mixture PSFs have no such detour: our images as they are.

#include <algorithm>
#include <cmath>
#include <complex>
#include <vector>

#include <catch2/catch.hpp>

#include "skyloom/sky/profile.hpp"
#include "skyloom/sky/psf.hpp"
#include "skyloom/sky/psf_mixture.hpp"
#include "skyloom/sky/render.hpp"

#include "support/lanczos.hpp"

namespace sky = skyloom::sky;
using skyloom::Box;

namespace {

constexpr int kSide = 64;
constexpr double kX = 30.3;
constexpr double kY = 28.8;
constexpr int kCentreX = 30;
constexpr int kCentreY = 29;
/// [y][x] of the tabulated pixels.
constexpr int kPixels[6][2] = {{28, 30}, {29, 30}, {28, 31}, {26, 33}, {20, 40}, {40, 22}};

const sky::Ellipse kSmall{3.0, 0.5, 30.0};
const sky::Ellipse kLarge{12.0, 0.7, -40.0};

enum class Kind { star, exp, dev, sersic25, sersic07 };

sky::Mixture profile_of(Kind kind) {
  switch (kind) {
    case Kind::exp:
      return sky::exponential_mixture();
    case Kind::dev:
      return sky::de_vaucouleurs_mixture();
    case Kind::sersic25:
      return sky::sersic_mixture(2.5);
    case Kind::sersic07:
      return sky::sersic_mixture(0.7);
    case Kind::star:
      break;
  }
  return {{1.0}, {0.0}};
}

struct Row {
  const char* name;
  Kind kind;
  sky::Ellipse ellipse;
  double sum;
  double pixels[6];
  int last_row = kSide - 1;  ///< where the image of the Tractor ends, of the sum
};

sky::PsfStamp moffat() {
  return sky::make_moffat_psf(4.0, 3.5, 25.0)->at(0.0, 0.0);
}

sky::PsfMixture gaussians() {
  const auto term = [](double weight, double sigma) {
    return sky::GaussianTerm{weight, 0.0, 0.0, {sigma * sigma, 0.0, sigma * sigma}};
  };
  return {{term(0.80, 1.6), term(0.15, 3.2), term(0.05, 6.4)}};
}

/// A profile on a grid with any transform of the PSF; `rim` pixels more on every side.
std::vector<double> rendered(const sky::Mixture& profile, const sky::Ellipse& ellipse,
                             const sky::DftGrid& grid, const skyloom::AlignedVector<float>& psf,
                             double x, double y, int rim = 0) {
  sky::GalaxyFactors factors;
  factors.compute(grid, sky::RadialTable(profile), nullptr,
                  sky::shape_matrix(sky::to_parameters(ellipse)), {1.0, 0.0, 0.0, 1.0}, false);
  const Box clip{-rim, kSide + rim, -rim, kSide + rim};
  std::vector<float> image(static_cast<std::size_t>(clip.width() * clip.height()), 0.0F);
  sky::RenderScratch scratch;
  sky::render_galaxy(grid, psf, factors, x, y, kCentreX, kCentreY, false,
                     {image.data(), clip.width(), 0, clip}, scratch);
  return {image.begin(), image.end()};
}

/// What the frequencies of a period of 128 pixels beyond the disc of our grids, the corners of the
/// square, add to an image at whole pixels (up to 2e-6 of the peak for a PSF this sharp).
void add_corners(std::vector<double>& image, int side, int rim, const sky::Mixture& profile,
                 const sky::Ellipse& ellipse) {
  constexpr int kPeriod = 128;
  constexpr int kDisc = 63;
  const sky::PsfStamp psf = moffat();
  const auto c = sky::shape_matrix(sky::to_parameters(ellipse)).c;
  const double two_pi = 2.0 * std::acos(-1.0);
  std::vector<std::complex<double>> rows(static_cast<std::size_t>(kPeriod * side));
  for (int p = -kPeriod / 2; p < kPeriod / 2; ++p) {
    std::vector<std::complex<double>> along_x(51);
    for (int y = 0; y < 51; ++y) {
      for (int x = 0; x < 51; ++x) {
        along_x[static_cast<std::size_t>(y)] += static_cast<double>(psf.values(y, x)) *
                                                std::polar(1.0, -two_pi * p * (x - 25) / kPeriod);
      }
    }
    for (int q = -kPeriod / 2; q < kPeriod / 2; ++q) {
      if (p * p + q * q <= kDisc * kDisc) {
        continue;
      }
      std::complex<double> value = 0.0;
      for (int y = 0; y < 51; ++y) {
        value += along_x[static_cast<std::size_t>(y)] *
                 std::polar(1.0, -two_pi * q * (y - 25) / kPeriod);
      }
      const double u = static_cast<double>(p) / kPeriod;
      const double v = static_cast<double>(q) / kPeriod;
      double factor = 0.0;
      for (std::size_t k = 0; k < profile.variance.size(); ++k) {
        factor +=
            profile.amplitude[k] * std::exp(-0.5 * two_pi * two_pi * profile.variance[k] *
                                            (c.xx * u * u + 2.0 * c.xy * u * v + c.yy * v * v));
      }
      for (int y = 0; y < side; ++y) {
        rows[static_cast<std::size_t>((p + kPeriod / 2) * side + y)] +=
            value * factor *
            std::polar(1.0 / (kPeriod * kPeriod), two_pi * v * (y - rim - kCentreY));
      }
    }
  }
  for (int p = -kPeriod / 2; p < kPeriod / 2; ++p) {
    for (int x = 0; x < side; ++x) {
      const auto phase = std::polar(1.0, two_pi * p * (x - rim - kCentreX) / kPeriod);
      for (int y = 0; y < side; ++y) {
        image[static_cast<std::size_t>(y * side + x)] +=
            (rows[static_cast<std::size_t>((p + kPeriod / 2) * side + y)] * phase).real();
      }
    }
  }
}

/// With the periodic grid and the filter of the Tractor's pixelized PSF.
std::vector<double> rendered_periodic(const sky::Mixture& profile, const sky::Ellipse& ellipse) {
  constexpr int kRim = 4;
  constexpr int kWide = kSide + 2 * kRim;
  const sky::DftGrid grid({63, 128, 63});
  auto image = rendered(profile, ellipse, grid, sky::psf_transform(moffat(), grid), kCentreX,
                        kCentreY, kRim);
  add_corners(image, kWide, kRim, profile, ellipse);
  image = skyloom::test::lanczos3_shifted(image, kWide, kWide, kX - kCentreX, kY - kCentreY);
  std::vector<double> inner;
  for (int y = kRim; y < kWide - kRim; ++y) {
    const auto row = image.begin() + y * kWide + kRim;
    inner.insert(inner.end(), row, row + kSide);
  }
  return inner;
}

/// With a mixture PSF, on a grid so large that nothing comes round.
std::vector<double> rendered_mixture(const sky::Mixture& profile, const sky::Ellipse& ellipse,
                                     const sky::PsfMixture& psf) {
  const sky::DftGrid grid({63, 600, 290});
  return rendered(profile, ellipse, grid, sky::mixture_transform(psf, grid), kX, kY);
}

/// The pair sums of a mixture profile and a mixture PSF at pixel centres, in double.
std::vector<double> pair_sums(const sky::Mixture& profile, const sky::Ellipse& ellipse,
                              const sky::PsfMixture& psf) {
  const auto c = sky::shape_matrix(sky::to_parameters(ellipse)).c;
  sky::PsfMixture convolved;
  for (std::size_t k = 0; k < profile.variance.size(); ++k) {
    for (const sky::GaussianTerm& term : psf.terms) {
      const double v = profile.variance[k];
      convolved.terms.push_back({profile.amplitude[k] * term.weight,
                                 term.mean_x,
                                 term.mean_y,
                                 {v * c.xx + term.covariance.xx, v * c.xy + term.covariance.xy,
                                  v * c.yy + term.covariance.yy}});
    }
  }
  std::vector<double> image;
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      image.push_back(convolved.at(x - kX, y - kY));
    }
  }
  return image;
}

/// Relative tolerance, or `margin` where that is more.
void check_row(const Row& row, const std::vector<double>& image, double relative, double margin) {
  double sum = 0.0;
  for (std::size_t i = 0; i < static_cast<std::size_t>((row.last_row + 1) * kSide); ++i) {
    sum += image[i];
  }
  INFO(row.name);
  CHECK(sum == Approx(row.sum).epsilon(relative));
  for (std::size_t k = 0; k < 6; ++k) {
    INFO("pixel [" << kPixels[k][0] << "][" << kPixels[k][1] << "]");
    CHECK(image[static_cast<std::size_t>(kPixels[k][0] * kSide + kPixels[k][1])] ==
          Approx(row.pixels[k]).epsilon(relative).margin(margin));
  }
}

const Row kPixelized[] = {{"exp, M",
                           Kind::exp,
                           kSmall,
                           0.99999933,
                           {1.87150463e-02, 1.98508184e-02, 1.85550079e-02, 8.30686092e-03,
                            5.76454695e-05, 4.80180606e-05}},
                          {"dev, M",
                           Kind::dev,
                           kSmall,
                           0.99993605,
                           {1.93947349e-02, 2.09838655e-02, 1.88086629e-02, 6.32067211e-03,
                            2.84006528e-04, 2.96263432e-04}},
                          {"sersic 2.5, M",
                           Kind::sersic25,
                           kSmall,
                           0.99999562,
                           {1.90533902e-02, 2.04745922e-02, 1.86205525e-02, 6.96760323e-03,
                            2.12723709e-04, 2.21597467e-04}},
                          {"sersic 0.7, M",
                           Kind::sersic07,
                           kSmall,
                           0.99999958,
                           {1.86516494e-02, 1.97002869e-02, 1.85800269e-02, 8.74735508e-03,
                            3.99550263e-05, 3.03620491e-05}},
                          {"dev Re 12, M pixelized",
                           Kind::dev,
                           kLarge,
                           0.86876693,
                           {6.83440734e-03, 7.17655802e-03, 6.50144974e-03, 2.51229503e-03,
                            2.09852966e-04, 1.88697144e-04}}};

/// The box of a galaxy of Re 3 with N has a half size of 32 pixels there: row 63 is missing.
const Row kMixture[] = {{"star, N",
                         Kind::star,
                         kSmall,
                         0.99999985,
                         {4.55693081e-02, 5.09995855e-02, 4.22837995e-02, 3.86519427e-03,
                          2.44744442e-05, 1.82982258e-05}},
                        {"exp, N",
                         Kind::exp,
                         kSmall,
                         0.99999912,
                         {2.12146398e-02, 2.26125903e-02, 2.10418403e-02, 8.63737520e-03,
                          5.90532472e-05, 4.93850603e-05}},
                        {"dev, N",
                         Kind::dev,
                         kSmall,
                         0.99992558,
                         {2.24423502e-02, 2.43785121e-02, 2.17260867e-02, 6.22216985e-03,
                          2.89247022e-04, 3.00998567e-04},
                         62},
                        {"sersic 2.5, N",
                         Kind::sersic25,
                         kSmall,
                         0.99999378,
                         {2.18917876e-02, 2.36314218e-02, 2.13664882e-02, 7.00010173e-03,
                          2.14118976e-04, 2.23483235e-04}},
                        {"sersic 0.7, N",
                         Kind::sersic07,
                         kSmall,
                         0.99999936,
                         {2.10548062e-02, 2.23463997e-02, 2.10026484e-02, 9.19352006e-03,
                          4.47275015e-05, 3.48152716e-05}},
                        {"dev Re 12, N",
                         Kind::dev,
                         kLarge,
                         0.86845888,
                         {7.67673366e-03, 8.08885228e-03, 7.27173360e-03, 2.41517089e-03,
                          2.11117542e-04, 1.88468242e-04}}};

}  // namespace

TEST_CASE("unit images with a pixelized PSF, shifted by Lanczos-3") {
  const Row star{"star, M",
                 Kind::star,
                 kSmall,
                 0.99999928,
                 {3.80814858e-02, 4.26612832e-02, 3.53637710e-02, 5.17903082e-03, 1.18693060e-05,
                  8.21401500e-06}};
  const sky::PsfStamp stamp = moffat();
  const sky::PointSource point(stamp);
  std::vector<float> image(kSide * kSide);
  sky::RenderScratch scratch;
  point.render(kCentreX, kCentreY, false, {image.data(), kSide, 0, {0, kSide, 0, kSide}}, scratch);
  check_row(star,
            skyloom::test::lanczos3_shifted({image.begin(), image.end()}, kSide, kSide,
                                            kX - kCentreX, kY - kCentreY),
            1e-4, 0.0);
  for (const Row& row : kPixelized) {
    check_row(row, rendered_periodic(profile_of(row.kind), row.ellipse), 1e-4, 0.0);
  }
}

TEST_CASE("unit images with a pixelized PSF without the Lanczos-3 filter of the values") {
  // What the filter does to them: up to 1 per cent, or 2e-3 of the peak.
  const sky::DftGrid grid({63, 128, 63});
  const auto psf = sky::psf_transform(moffat(), grid);
  for (const Row& row : kPixelized) {
    const auto image = rendered(profile_of(row.kind), row.ellipse, grid, psf, kX, kY);
    check_row(row, image, 1e-2, 2e-3 * row.pixels[1]);
  }
}

TEST_CASE("unit images with a mixture PSF") {
  for (const Row& row : kMixture) {
    const auto exact = pair_sums(profile_of(row.kind), row.ellipse, gaussians());
    check_row(row, exact, 1e-6, 0.0);
    const auto ours = rendered_mixture(profile_of(row.kind), row.ellipse, gaussians());
    check_row(row, ours, 1e-6, 1e-5 * row.pixels[1]);
    for (std::size_t i = 0; i < ours.size(); ++i) {
      REQUIRE(std::abs(ours[i] - exact[i]) < 1e-5 * row.pixels[1]);
    }
  }
}

TEST_CASE("a star of a mixture PSF is the mixture at pixel centres") {
  const auto stamp = sky::make_mixture_psf(gaussians(), 35.0)->at(0.0, 0.0);
  const sky::PointSource point(stamp);
  std::vector<float> image(kSide * kSide);
  sky::RenderScratch scratch;
  point.render(kX, kY, false, {image.data(), kSide, 0, {0, kSide, 0, kSide}}, scratch);
  check_row(kMixture[0], {image.begin(), image.end()}, 1e-6, 1e-5 * kMixture[0].pixels[1]);
}

TEST_CASE("the hybrid PSF: very wide terms with nine Gaussians, the others with the stamp") {
  const Row row{"dev Re 12, M hybrid (9 terms)",
                Kind::dev,
                kLarge,
                0.86838910,
                {6.83440501e-03, 7.17654265e-03, 6.50146045e-03, 2.51235301e-03, 2.09946651e-04,
                 1.88550272e-04}};
  // The Tractor splits a term whose periodic box of 128 pixels is 3 to 4 times its width.
  const auto c = sky::shape_matrix(sky::to_parameters(kLarge)).c;
  const sky::Mixture profile = sky::de_vaucouleurs_mixture();
  sky::Mixture narrow = profile;
  sky::Mixture wide = profile;
  for (std::size_t k = 0; k < profile.variance.size(); ++k) {
    const double widths = 64.0 / std::sqrt(profile.variance[k] * (c.xx + c.yy));
    const double direct = std::fmin(1.0, std::fmax(0.0, 4.0 - widths));
    wide.amplitude[k] *= direct;
    narrow.amplitude[k] *= 1.0 - direct;
  }
  const sky::PsfMixture psf = sky::fit_psf_mixture(moffat(), 9);
  auto image = rendered_periodic(narrow, kLarge);
  const auto direct = rendered_mixture(wide, kLarge, psf);
  for (std::size_t i = 0; i < image.size(); ++i) {
    image[i] += direct[i];
  }
  check_row(row, image, 1e-4, 0.0);
}
