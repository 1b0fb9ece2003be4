#pragma once
// The point-spread function as the fit sees it: a (possibly oversampled, already pixel-integrated)
// stamp at a position. Implementations: one stamp, analytic Moffat and Gaussians, PSFEx models, and
// the field-wise ePSF (sky/field_psf.hpp).

#include <memory>
#include <span>
#include <vector>

#include "skyloom/core/image.hpp"

namespace skyloom::sky {

struct PsfMixture;

/// Odd-sided array whose central sample is the PSF centre. `oversampling` samples per image pixel;
/// each sample is the light in one *image* pixel centred there for a source of flux 1, so an array
/// at native sampling sums to 1 minus the light outside, an array oversampled by s to about s*s.
struct PsfStamp {
  Image<float> values;
  int oversampling = 1;
  /// Sum of Gaussians (sky/psf_mixture.hpp) that the terms of a galaxy of width mixture_from_pix
  /// (sigma, pixels, along the major axis) or more are convolved with instead; null = none.
  std::shared_ptr<const PsfMixture> mixture = nullptr;
  double mixture_from_pix = 0.0;

  [[nodiscard]] int half_size_pix() const { return (values.width() / oversampling - 1) / 2; }
};

class Psf {
 public:
  virtual ~Psf() = default;
  /// PSF of a source at (x, y) in pixels of the image this PSF belongs to.
  [[nodiscard]] virtual PsfStamp at(double x, double y) const = 0;
  /// True when at() gives the same stamp everywhere.
  [[nodiscard]] virtual bool is_constant() const = 0;
  [[nodiscard]] virtual double fwhm_pix() const = 0;
  /// Fixed stamps whose sum with the weights of plane_weights() is at(), to 2e-5 of the peak or
  /// better; empty for a PSF that cannot be written so. Made at the first call.
  [[nodiscard]] virtual std::span<const PsfStamp> planes() const { return {}; }
  /// @param weight one per plane
  virtual void plane_weights(double /*x*/, double /*y*/, std::span<double> /*weight*/) const {}
};

/// The same stamp everywhere. NaN and infinities become 0; with `normalise` it is divided by its
/// sum (times oversampling squared). @throws ConfigError for even sides or a sum that is not
/// positive
std::shared_ptr<const Psf> make_stamp_psf(Image<float> values, int oversampling, bool normalise);

/// Circular Moffat profile sampled at pixel centres, radius ceil(radius_pix), sum 1 at native
/// sampling. @throws ConfigError for fwhm_pix <= 0 or beta <= 1
std::shared_ptr<const Psf> make_moffat_psf(double fwhm_pix, double beta, double radius_pix,
                                           int oversampling = 1);

/// Sum of concentric circular Gaussians sampled at pixel centres.
std::shared_ptr<const Psf> make_gaussian_psf(std::vector<double> sigma_pix,
                                             std::vector<double> weight, double radius_pix);

/// PSFEx model (Bertin 2011): planes * polynomial in scaled position, sampled at `step_pix`
/// image pixels per sample (Lanczos-3 resampling to whole pixels when it is not 1, sum kept).
struct PsfexModel {
  std::vector<Image<float>> planes;  ///< order 1, u, u^2, ..., v, uv, ...
  int degree = 0;
  double x_zero = 0.0;  ///< 1-based as in the file
  double y_zero = 0.0;
  double x_scale = 1.0;
  double y_scale = 1.0;
  double step_pix = 1.0;
  double fwhm_pix = 0.0;
};
/// @param x_origin_pix,y_origin_pix added to the position of a source before the polynomial, for an
///   image that is a cut-out of the frame the model was made on (0-based offset of its first pixel)
std::shared_ptr<const Psf> make_psfex_psf(PsfexModel model, double x_origin_pix,
                                          double y_origin_pix);

/// FWHM of a stamp from the radius at which the azimuthal mean falls to half of the centre.
double measured_fwhm_pix(const PsfStamp& stamp);

}  // namespace skyloom::sky
