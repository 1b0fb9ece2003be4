#pragma once
// Galaxy profiles as sums of concentric Gaussians (Hogg & Lang 2013), their radial Fourier
// transform as a look-up table, and the unbounded parametrisation of ellipses that the fit uses.
// Lengths in pixels, angles in degrees; variances of a profile in units of its squared half-light
// radius Re.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace skyloom::sky {

/// Profile of half-light radius 1: sum of amplitude * N(0, variance). Amplitudes sum to 1; a
/// variance of 0 is an unresolved core. Terms by increasing variance for exp and dev.
struct Mixture {
  std::vector<double> amplitude;
  std::vector<double> variance;
};

inline constexpr double kSersicMin = 0.29;
inline constexpr double kSersicMax = 6.3;

Mixture exponential_mixture();     ///< SDSS exponential, cut between 3 and 4 Re
Mixture de_vaucouleurs_mixture();  ///< SDSS de Vaucouleurs, cut between 7 and 8 Re
/// Sersic index n, clamped to [kSersicMin, kSersicMax]. Amplitudes below n = 0.5 may be negative.
Mixture sersic_mixture(double n);

/// ln Re and two components whose length is ee = -ln(1 - e), e = (1 - q) / (1 + q), q = b/a. Every
/// triple of finite numbers is an ellipse; ee1 = ee cos(-2 phi), ee2 = ee sin(-2 phi).
struct ShapeParameters {
  double log_re = 0.0;
  double ee1 = 0.0;
  double ee2 = 0.0;
};
/// phi: direction of the major axis, counter-clockwise from +y.
struct Ellipse {
  double re_pix = 1.0;
  double axis_ratio = 1.0;
  double phi_deg = 0.0;
};
ShapeParameters to_parameters(const Ellipse& ellipse);
Ellipse to_ellipse(const ShapeParameters& shape);  ///< phi in [0, 180)

/// THETA of catalogues (counter-clockwise from +x, degrees) to phi and back to [-90, 90).
double phi_from_theta_deg(double theta_deg);
double theta_from_phi_deg(double phi_deg);

/// Symmetric 2x2 matrix.
struct Symmetric2 {
  double xx = 0.0;
  double xy = 0.0;
  double yy = 0.0;
};
/// Covariance of a term of variance 1 in pixels, and its derivatives with respect to ee1, ee2 (that
/// with respect to log_re is twice the matrix itself). At ee = 0, where the area has a cone, the
/// derivatives are the symmetric ones.
struct ShapeMatrix {
  Symmetric2 c;
  Symmetric2 d_ee1;
  Symmetric2 d_ee2;
};
ShapeMatrix shape_matrix(const ShapeParameters& shape);
/// The same shape seen through x' = A x (row-major).
ShapeMatrix transformed(const ShapeMatrix& shape, const std::array<double, 4>& matrix);

/// The terms of a mixture with sigma in [low, high), units of Re.
Mixture part_of(const Mixture& mixture, double low, double high);

/// F(t) = sum of A_k exp(-2 pi^2 V_k t), t = k^T C k with k in cycles per pixel: a table over 34
/// octaves of t with 16 intervals each, cubic in each. Errors below 1e-7 in F, 5e-6 in t F'.
class RadialTable {
 public:
  static constexpr int kIntervalsPerOctave = 16;
  static constexpr int kOctaveLow = -20;
  static constexpr int kOctaveHigh = 14;
  static constexpr int kIntervals = (kOctaveHigh - kOctaveLow) * kIntervalsPerOctave;

  RadialTable() = default;
  explicit RadialTable(const Mixture& mixture);
  /// Values and t F' at the kIntervals + 1 nodes.
  RadialTable(const std::vector<float>& value, const std::vector<float>& t_slope);

  /// F and F' = dF/dt; t below 2^-20 counts as 2^-20, above 2^14 as 2^14.
  void evaluate(float t, float& value, float& slope) const;
  [[nodiscard]] float value(float t) const;
  static double node(int k);
  [[nodiscard]] bool empty() const { return cubic_.empty(); }
  /// Becomes the weighted sum of four tables; uses the memory it has.
  void combine(const RadialTable* first, const std::array<double, 4>& weight);

 private:
  std::vector<std::array<float, 4>> cubic_;
};

/// F and dF/dn of a Sersic profile of any index, by 4-point Lagrange interpolation between rows of
/// tables every 0.05 in n.
struct SersicTables {
  RadialTable profile;
  RadialTable n_derivative;
};
SersicTables sersic_tables(double n);
/// The same into tables whose memory is used again.
/// @param low,high only the terms with sigma in [low, high), units of Re; parts that together have
/// all terms add up to the whole
void sersic_tables(double n, bool derivative, SersicTables& tables, double low = 0.0,
                   double high = 1e30);

}  // namespace skyloom::sky
