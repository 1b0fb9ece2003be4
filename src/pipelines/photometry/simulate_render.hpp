#pragma once
// Pixels of simulated sources from the definitions of their profiles: stars by integrating the
// Moffat law over each pixel, galaxies by multiplying analytic and tabulated transforms of profile,
// Moffat and pixel and one inverse Fourier transform. Shares nothing with the code that fits.

#include <complex>
#include <map>
#include <vector>

#include "pipelines/photometry/simulate_scene.hpp"
#include "skyloom/core/image.hpp"

namespace skyloom::photometry {

/// Circular Moffat law of total light 1 (Moffat 1969).
class Moffat {
 public:
  /// @param fwhm_pix > 0   @param beta > 1
  Moffat(double fwhm_pix, double beta);

  /// Light in the unit pixel whose centre is (dx, dy) from the source.
  [[nodiscard]] double in_pixel(double dx_pix, double dy_pix) const;
  /// Light per square pixel at a distance.
  [[nodiscard]] double density(double r_pix) const;
  /// Radius outside which lies this fraction of the light.
  [[nodiscard]] double radius_of_fraction_outside(double fraction) const;
  /// Fourier transform at a spatial frequency in cycles per pixel; 1 at 0.
  [[nodiscard]] double transform(double frequency) const;
  [[nodiscard]] double fwhm_pix() const { return fwhm_; }

 private:
  double fwhm_;
  double beta_;
  double alpha_;
  std::vector<double> table_;  // of the transform
};

/// Radial galaxy law of half-light radius 1 and total light 1, truncated as the survey models of
/// SDSS are: exponential between 3 and 4 radii, all others between 7 and 8.
class GalaxyLaw {
 public:
  explicit GalaxyLaw(double sersic_n);

  /// Fourier transform at a frequency in cycles per half-light radius; 1 at 0.
  [[nodiscard]] double transform(double frequency) const;
  /// Radius beyond which there is no light.
  [[nodiscard]] double extent() const { return extent_; }

 private:
  double extent_;
  std::vector<double> table_;
};

/// Draws sources of one band. Keeps the radial laws it has computed.
class SceneRenderer {
 public:
  explicit SceneRenderer(const SimulatedBand& band);

  /// Adds a source of the given light (in the units of the image).
  /// @param faintest surface brightness that need not be drawn, same units per pixel
  void add(const TrueSource& source, double light, double faintest, ImageView<double> image);
  [[nodiscard]] const Moffat& psf() const { return psf_; }

 private:
  void add_star(const TrueSource& source, double light, double faintest, ImageView<double> image);
  void add_galaxy(const TrueSource& source, double light, ImageView<double> image);
  void fill_spectrum(const TrueSource& source, const GalaxyLaw& law, double dx, double dy, int n);

  Moffat psf_;
  std::map<double, GalaxyLaw> laws_;
  std::vector<std::complex<double>> grid_;
};

/// The true PSF as a stamp: light in one image pixel, sampled `oversampling` times per pixel, odd
/// side covering `side_pix` image pixels.
Image<float> psf_stamp(const Moffat& psf, int side_pix, int oversampling);

}  // namespace skyloom::photometry
