#pragma once
// Shared by the tests of the ePSF stage.

#include <cmath>
#include <vector>

#include "pipelines/photometry/epsf/joint_fit.hpp"
#include "pipelines/photometry/epsf/kernel.hpp"

#include "support/psf_fields.hpp"

namespace skyloom::test {

template <class T>
Image<T> part_of(const Image<T>& image, const Box& box) {
  Image<T> part(box.width(), box.height());
  for (int y = box.y0; y < box.y1; ++y) {
    for (int x = box.x0; x < box.x1; ++x) {
      part(y - box.y0, x - box.x0) = image(y, x);
    }
  }
  return part;
}

/// The kernel's input; refers to the field.
inline photometry::epsf::Input make_input(const TrueField& field) {
  photometry::epsf::Input input;
  input.width = field.data.width();
  input.height = field.data.height();
  input.read = [&field](const Box& box) {
    return photometry::epsf::Pixels{part_of(field.data, box), part_of(field.sigma, box),
                                    part_of(field.bad, box)};
  };
  input.gain_e_per_flux = field.options.gain;
  input.saturation_scaled = field.options.saturation;
  const int half = field.options.size / 2;
  input.cells = {{"r00_c00", {0, half, 0, half}},
                 {"r00_c01", {half, field.options.size, 0, half}},
                 {"r01_c00", {0, half, half, field.options.size}},
                 {"r01_c01", {half, field.options.size, half, field.options.size}}};
  return input;
}

/// A noise-free star of the set, 55 pixels square.
inline photometry::epsf::Star noise_free_star(const TruePsf& psf, int size, double x, double y,
                                              double flux, double sigma) {
  photometry::epsf::Star star;
  const int cx = static_cast<int>(std::lround(x));
  const int cy = static_cast<int>(std::lround(y));
  star.box = {cx - 27, cx + 28, cy - 27, cy + 28};
  star.row.x = x;
  star.row.y = y;
  star.row.flux = flux;
  star.row.snr = 300.0;
  star.row.used = true;
  star.sigma_sky = sigma;
  for (int j = star.box.y0; j < star.box.y1; ++j) {
    for (int i = star.box.x0; i < star.box.x1; ++i) {
      const double light = flux * psf.pixel(scaled(x, size), scaled(y, size), i - x, j - y);
      star.data.push_back(static_cast<float>(light));
      star.variance.push_back(static_cast<float>(sigma * sigma));
    }
  }
  star.neighbours.assign(star.data.size(), 0.0F);
  star.masked.assign(star.data.size(), 0);
  star.clipped.assign(star.data.size(), 0);
  return star;
}

struct FluxError {
  double bias = 0.0;     ///< median
  double scatter = 0.0;  ///< 1.48 MAD
};

/// Error of true stars' fluxes that comes from the PSF alone, at 16 places.
inline FluxError psf_only_error(const sky::FieldPsf& psf, const TruePsf& truth, int size,
                                double sigma, double gain) {
  std::vector<photometry::epsf::Star> stars;
  std::vector<double> errors;
  const double flux = 1e5;
  for (int k = 0; k < 16; ++k) {
    stars.push_back(noise_free_star(truth, size, size * (0.125 + 0.25 * (k % 4)) + 0.31 * (k % 3),
                                    size * (0.125 + 0.25 * (k / 4)) + 0.17 * (k % 5), flux, sigma));
  }
  photometry::epsf::fit_stars(psf, stars, {gain, 0.0}, 10);
  for (const photometry::epsf::Star& star : stars) {
    errors.push_back(star.row.flux / flux - 1.0);
  }
  FluxError result;
  result.bias = photometry::epsf::median_of(errors);
  result.scatter = photometry::epsf::robust_sigma(errors, result.bias);
  return result;
}

/// Share of the used core stars that really are stars.
inline double purity(const photometry::epsf::Result& result, const TrueField& field) {
  int stars = 0;
  int all = 0;
  for (const photometry::epsf::StarRow& row : result.stars) {
    if (!row.used || row.wing) {
      continue;
    }
    ++all;
    for (const TrueObject& object : field.objects) {
      if (object.star && std::hypot(object.x - row.x, object.y - row.y) < 1.5) {
        ++stars;
        break;
      }
    }
  }
  return all > 0 ? static_cast<double>(stars) / all : 0.0;
}

}  // namespace skyloom::test
