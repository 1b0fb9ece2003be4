#pragma once
// The PSF of one star with its derivatives, pixel by pixel: what the fits of the ePSF stage need
// and the finished model does not.

#include <array>
#include <cstddef>
#include <vector>

#include "pipelines/photometry/epsf/star_lanes.hpp"
#include "skyloom/core/image.hpp"
#include "skyloom/sky/field_psf.hpp"

namespace skyloom::photometry::epsf {

/// P of a pixel and its derivatives with respect to the pixel's offset (u, v) and to the shape.
struct PixelValues {
  double p = 0.0;
  double pu = 0.0;
  double pv = 0.0;
  double lambda = 0.0;
  double g1 = 0.0;
  double g2 = 0.0;
  double kappa = 0.0;  ///< kappa = ln(beta - 1)
};

/// Wing part of a pixel without the norm, <m e^q>, and its slopes with respect to the offset.
struct WingValues {
  double u0 = 0.0;
  double du = 0.0;
  double dv = 0.0;
};

/// The values of all pixels of a stamp, row by row; arrays may be longer than the stamp.
struct StampValues {
  std::vector<float> p, pu, pv;
  std::vector<float> lambda, g1, g2, kappa;  ///< unless asked for: as they were

  // Arrays that StarModel::fill() works in: centres of the pixels where the PSF is round, sums over
  // the points of every pixel, and the same of the pixels of one rule.
  std::vector<float> a, b, part_a, part_b;
  std::array<std::vector<float>, 7> sums, part_sums;
  std::vector<std::size_t> part;
};

class StarModel {
 public:
  /// @param norm_slope norm_kappa_slope(psf); needed for the derivative with respect to kappa only
  StarModel(const sky::FieldPsf& psf, const sky::PsfShape& shape, double norm_slope = 0.0);

  /// P with its position derivatives; with `Shape` also the others.
  template <bool Shape>
  [[nodiscard]] PixelValues at(double u, double v) const;
  [[nodiscard]] double p(double u, double v) const;
  /// The same of all pixels of a box for a star at (x, y), to some 1e-6 of the peak.
  template <bool Shape>
  void fill(const Box& box, double x, double y, StampValues& out) const;
  /// Radius beyond which a star of this flux stays well below the noise.
  [[nodiscard]] double useful_radius(double flux, double sigma) const;
  /// <m e^q> without norm and residual; adds <m e^q hat_k> to hats[k], which the caller zeroes.
  [[nodiscard]] WingValues wing(double u, double v, double* hats) const;
  /// P and its position derivatives from what wing() returned for the pixel.
  [[nodiscard]] PixelValues from_wing(const WingValues& wing, double u, double v) const;

 private:
  /// Points of one quadrature rule in the frame where the PSF is round.
  struct Rule {
    int n = 0;
    std::array<double, 16> first{};
    std::array<double, 16> second{};
    std::array<double, 16> weight{};

    [[nodiscard]] LaneRule lanes() const;
  };
  template <std::size_t N>
  [[nodiscard]] Rule make_rule(const std::array<double, N>& point,
                               const std::array<double, N>& weight) const;
  /// The rule for a pixel: fine where the profile bends.
  [[nodiscard]] const Rule& rule_at(double u, double v) const {
    const double r2 = u * u + v * v;
    return r2 < fine2_ ? fine_ : r2 < middle2_ ? middle_ : r2 < coarse2_ ? coarse_ : centre_;
  }
  /// Mean over a pixel in units of the value at its centre, where the profile is smooth.
  /// @param a, b the centre where the PSF is round   @param t of the centre
  [[nodiscard]] double mean_over_centre(const sky::RadialProfile::Value& value, double a, double b,
                                        double t) const;
  [[nodiscard]] double first(double u, double v) const {
    return (1.0 - shape_.g1) * u - shape_.g2 * v;
  }
  [[nodiscard]] double second(double u, double v) const {
    return -shape_.g2 * u + (1.0 + shape_.g1) * v;
  }
  template <bool Slopes>
  void add_residual(double u, double v, PixelValues& values) const;
  void sum_stamp(const Box& box, double x, double y, StampValues& out) const;
  void add_residual(const Box& box, double x, double y, StampValues& out) const;
  [[nodiscard]] LaneProfile lane_profile() const;

  const sky::FieldPsf& psf_;
  sky::PsfShape shape_;
  double k2_ = 1.0;
  double inverse_alpha2_ = 1.0;
  double peak_ = 0.0;
  double fine2_ = 0.0;  // squared radii where the rules change
  double middle2_ = 0.0;
  double coarse2_ = 0.0;
  Rule fine_;
  Rule middle_;
  Rule coarse_;
  Rule centre_;              // one point; its error of second order is corrected
  double norm_slope_ = 0.0;  // d ln norm / d kappa
  double knot_step_ = 0.0;
};

/// d ln norm / d kappa.
[[nodiscard]] double norm_kappa_slope(const sky::FieldPsf& psf);

/// d norm / d q_k of a profile by central differences.
[[nodiscard]] std::vector<double> norm_gradient(const sky::RadialProfile& profile);

/// Weights of the four cubic B-splines that touch t, the first of them at floor(t) - 1; their
/// slopes.
[[nodiscard]] std::array<double, 4> bspline_weights(double t);
[[nodiscard]] std::array<double, 4> bspline_slopes(double t);

}  // namespace skyloom::photometry::epsf
