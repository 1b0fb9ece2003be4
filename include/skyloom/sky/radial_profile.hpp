#pragma once
// The radial profile behind the field-wise PSF: F(t) = (1 + t)^-beta * exp(q(s)), t =
// rho^2/alpha^2, s = ln(1 + t)/2, with q piecewise linear in s and continued as a power law.
// Tabulated in sqrt(t), since one table serves all positions, sizes and ellipticities of a band.

#include <cmath>
#include <cstddef>
#include <vector>

namespace skyloom::sky {

class RadialProfile {
 public:
  /// @param knots increasing, the first 0; may be empty (a pure Moffat)   @param q one per knot
  RadialProfile(double beta, std::vector<double> knots, std::vector<double> q);

  struct Value {
    double f = 0.0;
    double df_dt = 0.0;
  };

  /// F(t), relative accuracy about 1e-6.
  [[nodiscard]] double f(double t) const {
    const double scaled = std::sqrt(t) * kPerUnit;
    if (!(scaled < kNodes - 1)) {
      return exact(t);
    }
    const auto i = static_cast<std::size_t>(scaled);
    return hermite(nodes_[i], nodes_[i + 1], scaled - static_cast<double>(i));
  }
  /// F(t) and its derivative, the latter to about 1e-4.
  [[nodiscard]] Value value(double t) const {
    const double scaled = std::sqrt(t) * kPerUnit;
    if (!(scaled < kNodes - 1)) {
      const double value = exact(t);
      return {value, value * (0.5 * end_slope_ - beta_) / (1.0 + t)};
    }
    const auto i = static_cast<std::size_t>(scaled);
    const double part = scaled - static_cast<double>(i);
    const Bend& bend = bends_[i];
    return {hermite(nodes_[i], nodes_[i + 1], part),
            bend.start + part * (bend.rise + (part - 1.0) * bend.curve)};
  }

  /// The same, and s = ln(1 + t)/2 to about 1e-8.
  [[nodiscard]] Value value(double t, double& s) const {
    const double scaled = std::sqrt(t) * kPerUnit;
    if (!(scaled < kNodes - 1)) {
      s = 0.5 * std::log1p(t);
      const double value = exact(t);
      return {value, value * (0.5 * end_slope_ - beta_) / (1.0 + t)};
    }
    const auto i = static_cast<std::size_t>(scaled);
    const double part = scaled - static_cast<double>(i);
    s = hermite(half_logs_[i], half_logs_[i + 1], part);
    const Bend& bend = bends_[i];
    return {hermite(nodes_[i], nodes_[i + 1], part),
            bend.start + part * (bend.rise + (part - 1.0) * bend.curve)};
  }

  /// F(t) without the table.
  [[nodiscard]] double exact(double t) const;
  [[nodiscard]] double q(double s) const;
  /// Integral over the plane of (beta - 1)/(pi alpha^2) F(rho^2/alpha^2): 1 for a pure Moffat.
  [[nodiscard]] double integral() const { return integral(beta_, knots_, q_); }
  /// The same without building a profile and its table.
  [[nodiscard]] static double integral(double beta, const std::vector<double>& knots,
                                       const std::vector<double>& q);
  /// Slope of q beyond the last knot, limited so that the integral exists.
  [[nodiscard]] double end_slope() const { return end_slope_; }
  /// True when that limit does not act.
  [[nodiscard]] bool end_slope_free() const { return end_slope_free_; }
  [[nodiscard]] double beta() const { return beta_; }
  [[nodiscard]] const std::vector<double>& knots() const { return knots_; }
  [[nodiscard]] const std::vector<double>& q_values() const { return q_; }

 private:
  static constexpr double kPerUnit = 32.0;
  static constexpr int kNodes = 2049;

  struct Node {
    double f;
    double slope;  // per table step
  };
  static double hermite(const Node& a, const Node& b, double u) {
    const double rise = b.f - a.f;
    return a.f + u * (a.slope + u * ((3.0 * rise - 2.0 * a.slope - b.slope) +
                                     u * (a.slope + b.slope - 2.0 * rise)));
  }
  [[nodiscard]] double slope(double s) const;
  /// Slope of the last segment, and within its limits.
  static double raw_end_slope(const std::vector<double>& knots, const std::vector<double>& q);
  static double limited_end_slope(double raw, double beta);
  static const std::vector<Node>& half_log_table();

  const Node* half_logs_ = half_log_table().data();  ///< the same for all profiles

  double beta_;
  std::vector<double> knots_;
  std::vector<double> q_;
  double end_slope_ = 0.0;
  bool end_slope_free_ = true;
  std::vector<Node> nodes_;
  struct Bend {
    double start;  // dF/dt at the beginning of an interval
    double rise;   // to its end
    double curve;  // of the parabola through its middle
  };
  std::vector<Bend> bends_;
};

}  // namespace skyloom::sky
