#pragma once
// The field-wise effective PSF of one band: an elliptical Moffat whose size and ellipticity vary
// smoothly over the frame, times a smooth positive factor that bends the wing, plus a B-spline
// residual in the core (docs/pipelines/photometry.md, "ePSF"; the effective PSF of Anderson & King
// 2000). Its integral to infinity is known in closed form, so fluxes never hang on noisy wings.
// Building one from an image is the work of pipelines/photometry/epsf.

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "skyloom/sky/psf.hpp"
#include "skyloom/sky/radial_profile.hpp"

namespace skyloom::sky {

/// Size and ellipticity at one place: alpha = exp(lambda) pixels, reduced shear (g1, g2).
struct PsfShape {
  double lambda = 0.0;
  double g1 = 0.0;
  double g2 = 0.0;
};

/// Everything the field-wise PSF is made of. Field position is scaled to X = 2x/width - 1 and
/// Y = 2y/height - 1; polynomials have the terms 1, X, Y, X^2, XY, Y^2 up to their order.
struct FieldPsfModel {
  int width = 0;  ///< of the frame, pixels
  int height = 0;
  int order = 0;               ///< of the shape polynomials: 0, 1 or 2
  std::vector<double> lambda;  ///< coefficients of ln alpha (alpha in pixels)
  std::vector<double> g1;
  std::vector<double> g2;
  double beta = 3.5;              ///< of the Moffat, one per band
  std::vector<double> knots;      ///< s = ln(1 + rho^2/alpha^2)/2 of the wing's knots; may be empty
  std::vector<double> q;          ///< ln of the wing factor at the knots
  double node_spacing_pix = 1.0;  ///< of the residual's B-splines
  std::vector<double> node_i;     ///< column of each node, whole numbers, 0 = centre
  std::vector<double> node_j;
  std::vector<double> c;     ///< residual coefficients, light per pixel
  std::vector<double> gp_x;  ///< scaled positions of the stars behind the local variation
  std::vector<double> gp_y;
  std::array<std::vector<double>, 3> gp_weight;  ///< lambda, g1, g2; empty = no local variation
  double gp_length = 0.0;                        ///< in scaled field units
  std::array<double, 3> gp_tau{};
};

/// Number of polynomial terms of an order.
[[nodiscard]] constexpr int shape_terms(int order) {
  return (order + 1) * (order + 2) / 2;
}

/// The terms 1, X, Y, X^2, XY, Y^2 (those of the order; the others are 0).
[[nodiscard]] std::array<double, 6> shape_basis(int order, double scaled_x, double scaled_y);

/// Cubic B-spline of unit knot spacing, support (-2, 2).
[[nodiscard]] double cubic_bspline(double t);

class FieldPsf : public Psf {
 public:
  /// @param stamp_size_pix odd side of the stamps that at() returns
  /// @param oversampling samples per image pixel of those stamps
  /// @throws ConfigError for an even size, an inconsistent model, beta <= 1 or a norm <= 0
  FieldPsf(FieldPsfModel model, int stamp_size_pix, int oversampling);

  /// Stamp for a source at (x, y): light per image pixel around each sample for flux 1, evaluated
  /// exactly there. Its sum is 1 minus the light outside (times oversampling^2): never renormalise.
  [[nodiscard]] PsfStamp at(double x, double y) const override;
  [[nodiscard]] bool is_constant() const override { return constant_; }
  /// At the centre of the frame, of the pixel-integrated profile.
  [[nodiscard]] double fwhm_pix() const override;
  [[nodiscard]] double fwhm_pix(double x, double y) const;
  /// Chebyshev polynomials of total degree 2 or 3 in the shape, over the shapes of the frame.
  [[nodiscard]] std::span<const PsfStamp> planes() const override;
  void plane_weights(double x, double y, std::span<double> weight) const override;

  /// Native stamp of a source at (x, y) that lies (dx, dy) pixels off the stamp's central pixel.
  /// @param size_pix odd side
  [[nodiscard]] Image<double> stamp(double x, double y, double dx, double dy, int size_pix) const;
  /// Light of a pixel whose centre is (u, v) pixels from a source at (x, y), flux 1.
  [[nodiscard]] double value(double x, double y, double u, double v) const;

  /// Shape at a place, the local variation included; |g| <= 0.6.
  [[nodiscard]] PsfShape shape(double x, double y) const;
  /// Integral of the un-normalised model over the plane.
  [[nodiscard]] double norm() const { return norm_; }
  /// Light outside the stamp of at().
  [[nodiscard]] double light_outside(double x, double y) const;
  /// Exponent of the far wing: light per area falls as r to this power.
  [[nodiscard]] double wing_slope() const;
  /// Sum of the negative pixels of the native stamp (<= 0).
  [[nodiscard]] double negative_sum(double x, double y) const;

  [[nodiscard]] const FieldPsfModel& model() const { return model_; }
  [[nodiscard]] const RadialProfile& profile() const { return profile_; }
  /// Residual coefficients on the full square of nodes -reach..reach, row by row.
  [[nodiscard]] const std::vector<double>& node_grid() const { return node_grid_; }
  [[nodiscard]] int node_reach() const { return node_reach_; }
  [[nodiscard]] int stamp_size_pix() const { return stamp_size_; }
  [[nodiscard]] int oversampling() const { return oversampling_; }

  /// Named numbers that hold everything, for storage; exact both ways.
  using Parameters = std::vector<std::pair<std::string, std::vector<double>>>;
  [[nodiscard]] Parameters parameters() const;
  /// @throws ConfigError when a name is missing or sizes disagree
  [[nodiscard]] static std::shared_ptr<const FieldPsf> from_parameters(
      const Parameters& parameters);

 private:
  void fill(const PsfShape& shape, double u0, double v0, double step, int side, double* out) const;
  void add_residual(double u0, double v0, double step, int side, double* out) const;
  [[nodiscard]] PsfStamp make_stamp(double x, double y) const;

  /// Range of the shape over the frame and the degree of the planes.
  struct Expansion {
    bool tried = false;
    int degree = 0;
    std::array<double, 3> centre{};
    std::array<double, 3> half_range{};
    std::vector<PsfStamp> planes;
  };
  void find_shape_range() const;
  void make_planes(int degree) const;
  [[nodiscard]] bool planes_agree() const;

  FieldPsfModel model_;
  int stamp_size_;
  int oversampling_;
  RadialProfile profile_;
  double norm_ = 1.0;
  int node_reach_ = 0;             ///< nodes lie within -reach..reach
  std::vector<double> node_grid_;  ///< c on the full square of nodes
  bool constant_ = true;
  PsfStamp constant_stamp_;
  mutable Expansion expansion_;  ///< made when first asked for
};

/// Growth curve of a stamp at native sampling: fraction of the total light of the *source* within
/// r pixels of the centre, r = 0, 1, 2, ..., half size.
[[nodiscard]] std::vector<double> growth_curve(const Image<double>& stamp);

}  // namespace skyloom::sky
