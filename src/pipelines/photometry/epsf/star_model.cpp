#include "pipelines/photometry/epsf/star_model.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

namespace skyloom::photometry::epsf {
namespace {

constexpr std::array<double, 2> kPoint2 = {-0.28867513459481287, 0.28867513459481287};
constexpr std::array<double, 2> kWeight2 = {0.5, 0.5};
constexpr std::array<double, 3> kPoint3 = {-0.3872983346207417, 0.0, 0.3872983346207417};
constexpr std::array<double, 3> kWeight3 = {5.0 / 18.0, 8.0 / 18.0, 5.0 / 18.0};
constexpr std::array<double, 4> kPoint4 = {-0.43056815579702629, -0.16999052179242813,
                                           0.16999052179242813, 0.43056815579702629};
constexpr std::array<double, 4> kWeight4 = {0.17392742256872693, 0.32607257743127307,
                                            0.32607257743127307, 0.17392742256872693};

// Where 3 x 3 points, 2 x 2 points and the centre with its second derivatives miss the mean of a
// Moffat over a pixel by 5e-5: r^2 + alpha^2 over the root of (2 beta) ... (2 beta + 3), pixels^2.
constexpr double kNine = 0.25;
constexpr double kFour = 2.15;
constexpr double kOne = 3.5;

/// The steepest local power of the radius that the profile falls with.
double steepest_power(const sky::RadialProfile& profile) {
  const std::vector<double>& knots = profile.knots();
  const std::vector<double>& q = profile.q_values();
  double slope = knots.empty() ? 0.0 : profile.end_slope();
  for (std::size_t k = 0; k + 1 < knots.size(); ++k) {
    slope = std::min(slope, (q[k + 1] - q[k]) / (knots[k + 1] - knots[k]));
  }
  return 2.0 * profile.beta() - std::min(slope, 0.0);
}

}  // namespace

std::array<double, 4> bspline_weights(double t) {
  const double f = t - std::floor(t);
  const double g = 1.0 - f;
  return {g * g * g / 6.0, 2.0 / 3.0 - 0.5 * f * f * (2.0 - f), 2.0 / 3.0 - 0.5 * g * g * (2.0 - g),
          f * f * f / 6.0};
}

std::array<double, 4> bspline_slopes(double t) {
  const double f = t - std::floor(t);
  const double g = 1.0 - f;
  return {-0.5 * g * g, 0.5 * f * (3.0 * f - 4.0), -0.5 * g * (3.0 * g - 4.0), 0.5 * f * f};
}

double norm_kappa_slope(const sky::FieldPsf& psf) {
  const sky::RadialProfile& profile = psf.profile();
  if (profile.knots().empty()) {
    return 0.0;
  }
  constexpr double kStep = 1e-4;
  const double excess = profile.beta() - 1.0;
  const auto at = [&](double change) {
    return sky::RadialProfile::integral(1.0 + excess * std::exp(change), profile.knots(),
                                        profile.q_values());
  };
  return (at(kStep) - at(-kStep)) / (2.0 * kStep * psf.norm());
}

std::vector<double> norm_gradient(const sky::RadialProfile& profile) {
  constexpr double kStep = 1e-5;
  std::vector<double> gradient(profile.knots().size());
  for (std::size_t k = 0; k < gradient.size(); ++k) {
    std::vector<double> q = profile.q_values();
    q[k] += kStep;
    const double up = sky::RadialProfile::integral(profile.beta(), profile.knots(), q);
    q[k] -= 2.0 * kStep;
    const double down = sky::RadialProfile::integral(profile.beta(), profile.knots(), q);
    gradient[k] = (up - down) / (2.0 * kStep);
  }
  return gradient;
}

StarModel::StarModel(const sky::FieldPsf& psf, const sky::PsfShape& shape, double norm_slope)
    : psf_(psf), shape_(shape) {
  const double alpha = std::exp(shape.lambda);
  k2_ = 1.0 / (1.0 - shape.g1 * shape.g1 - shape.g2 * shape.g2);
  inverse_alpha2_ = 1.0 / (alpha * alpha);
  peak_ = (psf.profile().beta() - 1.0) / (std::numbers::pi * alpha * alpha);
  const double power = steepest_power(psf.profile());
  const double bend = std::sqrt(power * (power + 1.0) * (power + 2.0) * (power + 3.0));
  fine2_ = kNine * bend - alpha * alpha;
  middle2_ = kFour * bend - alpha * alpha;
  coarse2_ = kOne * bend - alpha * alpha;
  const std::vector<double>& knots = psf.profile().knots();
  knot_step_ = knots.size() >= 2 ? knots[1] - knots[0] : 0.0;
  norm_slope_ = norm_slope;
  fine_ = make_rule(kPoint4, kWeight4);
  middle_ = make_rule(kPoint3, kWeight3);
  coarse_ = make_rule(kPoint2, kWeight2);
  centre_ = make_rule(std::array<double, 1>{0.0}, std::array<double, 1>{1.0});
}

template <std::size_t N>
StarModel::Rule StarModel::make_rule(const std::array<double, N>& point,
                                     const std::array<double, N>& weight) const {
  Rule rule;
  for (std::size_t j = 0; j < N; ++j) {
    for (std::size_t i = 0; i < N; ++i) {
      const auto k = static_cast<std::size_t>(rule.n++);
      rule.first[k] = first(point[i], point[j]);
      rule.second[k] = second(point[i], point[j]);
      rule.weight[k] = weight[i] * weight[j];
    }
  }
  return rule;
}

double StarModel::mean_over_centre(const sky::RadialProfile::Value& value, double a, double b,
                                   double t) const {
  const double scale = k2_ * inverse_alpha2_;
  const double g1 = shape_.g1;
  const double g2 = shape_.g2;
  const double tu = 2.0 * scale * (a * (1.0 - g1) - b * g2);
  const double tv = 2.0 * scale * (b * (1.0 + g1) - a * g2);
  // Locally a power of 1 + t.
  const double slope = value.df_dt;
  const double bend = slope * (slope / value.f - 1.0 / (1.0 + t));
  return 1.0 + (slope * 4.0 * scale * (1.0 + g1 * g1 + g2 * g2) + bend * (tu * tu + tv * tv)) /
                   (24.0 * value.f);
}

template <bool Slopes>
void StarModel::add_residual(double u, double v, PixelValues& values) const {
  const sky::FieldPsfModel& model = psf_.model();
  const int reach = psf_.node_reach();
  const double h = model.node_spacing_pix;
  if (model.c.empty() || std::abs(u) >= h * (reach + 2) || std::abs(v) >= h * (reach + 2)) {
    return;
  }
  const std::array<double, 4> wu = bspline_weights(u / h);
  const std::array<double, 4> wv = bspline_weights(v / h);
  const std::array<double, 4> du = Slopes ? bspline_slopes(u / h) : std::array<double, 4>{};
  const std::array<double, 4> dv = Slopes ? bspline_slopes(v / h) : std::array<double, 4>{};
  const int i0 = static_cast<int>(std::floor(u / h)) - 1 + reach;
  const int j0 = static_cast<int>(std::floor(v / h)) - 1 + reach;
  const int side = 2 * reach + 1;
  const auto first = static_cast<std::size_t>(std::max(0, -i0));
  const auto last = static_cast<std::size_t>(std::clamp(side - i0, 0, 4));
  PixelValues sum;
  for (std::size_t b = 0; b < 4; ++b) {
    const int j = j0 + static_cast<int>(b);
    if (j < 0 || j >= side) {
      continue;
    }
    double row = 0.0;
    double row_slope = 0.0;
    for (std::size_t a = first; a < last; ++a) {
      const double c =
          psf_.node_grid()[static_cast<std::size_t>(j * side + i0 + static_cast<int>(a))];
      row += c * wu[a];
      if constexpr (Slopes) {
        row_slope += c * du[a];
      }
    }
    sum.p += row * wv[b];
    if constexpr (Slopes) {
      sum.pu += row_slope * wv[b];
      sum.pv += row * dv[b];
    }
  }
  const double scale = 1.0 / psf_.norm();
  values.p += scale * sum.p;
  values.pu += scale / h * sum.pu;
  values.pv += scale / h * sum.pv;
}

template <bool Shape>
PixelValues StarModel::at(double u, double v) const {
  const sky::RadialProfile& profile = psf_.profile();
  const Rule& rule = rule_at(u, v);
  const double scale = k2_ * inverse_alpha2_;
  const double u1 = first(u, v);
  const double v1 = second(u, v);
  double light = 0.0;
  double light_s = 0.0;  // times ln(1 + t)/2
  double bend[5] = {};   // df/dt times first, second, first^2, first second, second^2
  for (std::size_t k = 0; k < static_cast<std::size_t>(rule.n); ++k) {
    const double a = u1 + rule.first[k];
    const double b = v1 + rule.second[k];
    const double t = scale * (a * a + b * b);
    [[maybe_unused]] double s = 0.0;
    const sky::RadialProfile::Value value = Shape ? profile.value(t, s) : profile.value(t);
    const double weight = rule.n == 1 ? mean_over_centre(value, a, b, t) : rule.weight[k];
    const double f = weight * value.f;
    const double slope = weight * value.df_dt;
    light += f;
    bend[0] += slope * a;
    bend[1] += slope * b;
    if constexpr (Shape) {
      bend[2] += slope * a * a;
      bend[3] += slope * a * b;
      bend[4] += slope * b * b;
      light_s += f * s;
    }
  }
  const double g1 = shape_.g1;
  const double g2 = shape_.g2;
  const double norm = peak_ / psf_.norm();
  PixelValues out;
  out.p = norm * light;
  out.pu = norm * 2.0 * scale * (bend[0] * (1.0 - g1) - bend[1] * g2);
  out.pv = norm * 2.0 * scale * (bend[1] * (1.0 + g1) - bend[0] * g2);
  if constexpr (Shape) {
    // Of the sums over t, and over first and second times the offset, which is k2 ((1 + g1) first
    // + g2 second, g2 first + (1 - g1) second).
    const double t = scale * (bend[2] + bend[4]);
    const double first_u = k2_ * ((1.0 + g1) * bend[2] + g2 * bend[3]);
    const double first_v = k2_ * (g2 * bend[2] + (1.0 - g1) * bend[3]);
    const double second_u = k2_ * ((1.0 + g1) * bend[3] + g2 * bend[4]);
    const double second_v = k2_ * (g2 * bend[3] + (1.0 - g1) * bend[4]);
    out.lambda = -2.0 * norm * (light + t);
    out.g1 = 2.0 * norm * (g1 * k2_ * t + scale * (second_v - first_u));
    out.g2 = 2.0 * norm * (g2 * k2_ * t - scale * (first_v + second_u));
    out.kappa = norm * (light - 2.0 * (profile.beta() - 1.0) * light_s);
  }
  add_residual<true>(u, v, out);
  if constexpr (Shape) {
    out.kappa -= norm_slope_ * out.p;
  }
  return out;
}

template PixelValues StarModel::at<true>(double u, double v) const;
template PixelValues StarModel::at<false>(double u, double v) const;

double StarModel::p(double u, double v) const {
  const sky::RadialProfile& profile = psf_.profile();
  const Rule& rule = rule_at(u, v);
  const double scale = k2_ * inverse_alpha2_;
  const double u1 = first(u, v);
  const double v1 = second(u, v);
  double light = 0.0;
  for (std::size_t k = 0; k < static_cast<std::size_t>(rule.n); ++k) {
    const double a = u1 + rule.first[k];
    const double b = v1 + rule.second[k];
    const double t = scale * (a * a + b * b);
    if (rule.n == 1) {
      const sky::RadialProfile::Value value = profile.value(t);
      light = value.f * mean_over_centre(value, a, b, t);
    } else {
      light += rule.weight[k] * profile.f(t);
    }
  }
  PixelValues out;
  out.p = peak_ / psf_.norm() * light;
  add_residual<false>(u, v, out);
  return out.p;
}

double StarModel::useful_radius(double flux, double sigma) const {
  constexpr double kBelowNoise = 0.05;
  const double contrast = std::max(flux * peak_ / (kBelowNoise * sigma), 1.0);
  const double exact = std::sqrt(std::pow(contrast, 1.0 / psf_.profile().beta()) - 1.0);
  // A wing above the Moffat reaches farther, an elongated PSF too.
  return std::max(1.5 * exact, 6.0) / std::sqrt(inverse_alpha2_);
}

WingValues StarModel::wing(double u, double v, double* hats) const {
  const sky::RadialProfile& profile = psf_.profile();
  const std::size_t last = profile.knots().size() - 1;
  const Rule& rule = rule_at(u, v);
  const double scale = k2_ * inverse_alpha2_;
  const double per_knot = 1.0 / knot_step_;
  const double u1 = first(u, v);
  const double v1 = second(u, v);
  double sum = 0.0;
  double bend_first = 0.0;
  double bend_second = 0.0;
  for (std::size_t n = 0; n < static_cast<std::size_t>(rule.n); ++n) {
    const double a = u1 + rule.first[n];
    const double b = v1 + rule.second[n];
    const double t = scale * (a * a + b * b);
    double s = 0.0;
    const sky::RadialProfile::Value value = profile.value(t, s);
    const double weight = rule.n == 1 ? mean_over_centre(value, a, b, t) : rule.weight[n];
    const double light = peak_ * weight * value.f;
    const double slope = weight * value.df_dt;
    sum += light;
    bend_first += slope * a;
    bend_second += slope * b;
    const double place = s * per_knot;
    const auto k = static_cast<std::size_t>(place);
    if (k < last) {
      const double part = place - static_cast<double>(k);
      hats[k] += light * (1.0 - part);
      hats[k + 1] += light * part;
    } else if (profile.end_slope_free()) {
      const double beyond = place - static_cast<double>(last);
      hats[last] += light * (1.0 + beyond);
      hats[last - 1] -= light * beyond;
    } else {
      hats[last] += light;
    }
  }
  const double factor = peak_ * 2.0 * scale;
  return {sum, factor * (bend_first * (1.0 - shape_.g1) - bend_second * shape_.g2),
          factor * (bend_second * (1.0 + shape_.g1) - bend_first * shape_.g2)};
}

PixelValues StarModel::from_wing(const WingValues& wing, double u, double v) const {
  const double scale = 1.0 / psf_.norm();
  PixelValues out;
  out.p = scale * wing.u0;
  out.pu = scale * wing.du;
  out.pv = scale * wing.dv;
  add_residual<true>(u, v, out);
  return out;
}

}  // namespace skyloom::photometry::epsf
