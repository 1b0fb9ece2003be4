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
constexpr std::array<double, 4> kPoint4 = {-0.43056815579702629, -0.16999052179242813,
                                           0.16999052179242813, 0.43056815579702629};
constexpr std::array<double, 4> kWeight4 = {0.17392742256872693, 0.32607257743127307,
                                            0.32607257743127307, 0.17392742256872693};

std::array<double, 4> bspline_slopes(double t) {
  const double f = t - std::floor(t);
  const double g = 1.0 - f;
  return {-0.5 * g * g, 0.5 * f * (3.0 * f - 4.0), -0.5 * g * (3.0 * g - 4.0), 0.5 * f * f};
}

}  // namespace

std::array<double, 4> bspline_weights(double t) {
  const double f = t - std::floor(t);
  const double g = 1.0 - f;
  return {g * g * g / 6.0, 2.0 / 3.0 - 0.5 * f * f * (2.0 - f), 2.0 / 3.0 - 0.5 * g * g * (2.0 - g),
          f * f * f / 6.0};
}

double norm_kappa_slope(const sky::FieldPsf& psf) {
  const sky::RadialProfile& profile = psf.profile();
  if (profile.knots().empty()) {
    return 0.0;
  }
  constexpr double kStep = 1e-4;
  const double excess = profile.beta() - 1.0;
  const sky::RadialProfile up(1.0 + excess * std::exp(kStep), profile.knots(), profile.q_values());
  const sky::RadialProfile down(1.0 + excess * std::exp(-kStep), profile.knots(),
                                profile.q_values());
  return (up.integral() - down.integral()) / (2.0 * kStep * psf.norm());
}

std::vector<double> norm_gradient(const sky::RadialProfile& profile) {
  constexpr double kStep = 1e-5;
  std::vector<double> gradient(profile.knots().size());
  for (std::size_t k = 0; k < gradient.size(); ++k) {
    std::vector<double> q = profile.q_values();
    q[k] += kStep;
    const double up = sky::RadialProfile(profile.beta(), profile.knots(), q).integral();
    q[k] -= 2.0 * kStep;
    const double down = sky::RadialProfile(profile.beta(), profile.knots(), q).integral();
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
  fine2_ = 9.0 * alpha * alpha;
  const std::vector<double>& knots = psf.profile().knots();
  knot_step_ = knots.size() >= 2 ? knots[1] - knots[0] : 0.0;
  norm_slope_ = norm_slope;
}

template <class Visit>
void StarModel::each_point(double u, double v, Visit&& visit) const {
  if (u * u + v * v < fine2_) {
    for (std::size_t j = 0; j < 4; ++j) {
      for (std::size_t i = 0; i < 4; ++i) {
        visit(u + kPoint4[i], v + kPoint4[j], kWeight4[i] * kWeight4[j]);
      }
    }
  } else {
    for (std::size_t j = 0; j < 2; ++j) {
      for (std::size_t i = 0; i < 2; ++i) {
        visit(u + kPoint2[i], v + kPoint2[j], kWeight2[i] * kWeight2[j]);
      }
    }
  }
}

template <bool Shape>
PixelValues StarModel::at(double u, double v) const {
  const sky::RadialProfile& profile = psf_.profile();
  const double g1 = shape_.g1;
  const double g2 = shape_.g2;
  PixelValues sum;
  each_point(u, v, [&](double a, double b, double weight) {
    const double first = (1.0 - g1) * a - g2 * b;
    const double second = -g2 * a + (1.0 + g1) * b;
    const double scale = k2_ * inverse_alpha2_;
    const double t = scale * (first * first + second * second);
    const sky::RadialProfile::Value value = profile.value(t);
    const double slope = weight * value.df_dt;
    sum.p += weight * value.f;
    sum.pu += slope * 2.0 * scale * (first * (1.0 - g1) - second * g2);
    sum.pv += slope * 2.0 * scale * (second * (1.0 + g1) - first * g2);
    if constexpr (Shape) {
      sum.lambda -= 2.0 * (weight * value.f + t * slope);
      sum.g1 += slope * 2.0 * (g1 * k2_ * t + scale * (second * b - first * a));
      sum.g2 += slope * 2.0 * (g2 * k2_ * t - scale * (first * b + second * a));
      sum.kappa += weight * value.f * (1.0 - 2.0 * (profile.beta() - 1.0) * profile.half_log(t));
    }
  });
  const double scale = peak_ / psf_.norm();
  sum.p *= scale;
  sum.pu *= scale;
  sum.pv *= scale;
  sum.lambda *= scale;
  sum.g1 *= scale;
  sum.g2 *= scale;
  sum.kappa *= scale;
  add_residual(u, v, sum);
  if constexpr (Shape) {
    sum.kappa -= norm_slope_ * sum.p;
  }
  return sum;
}

template PixelValues StarModel::at<true>(double u, double v) const;
template PixelValues StarModel::at<false>(double u, double v) const;

double StarModel::p(double u, double v) const {
  return at<false>(u, v).p;
}

double StarModel::p_far(double u, double v) const {
  const double first = (1.0 - shape_.g1) * u - shape_.g2 * v;
  const double second = -shape_.g2 * u + (1.0 + shape_.g1) * v;
  return peak_ / psf_.norm() *
         psf_.profile().f(k2_ * inverse_alpha2_ * (first * first + second * second));
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
  WingValues sum;
  each_point(u, v, [&](double a, double b, double weight) {
    const double first = (1.0 - shape_.g1) * a - shape_.g2 * b;
    const double second = -shape_.g2 * a + (1.0 + shape_.g1) * b;
    const double scale = k2_ * inverse_alpha2_;
    const double t = scale * (first * first + second * second);
    const sky::RadialProfile::Value value = profile.value(t);
    const double light = peak_ * weight * value.f;
    const double slope = peak_ * weight * value.df_dt * 2.0 * scale;
    sum.u0 += light;
    sum.du += slope * (first * (1.0 - shape_.g1) - second * shape_.g2);
    sum.dv += slope * (second * (1.0 + shape_.g1) - first * shape_.g2);
    const double place = profile.half_log(t) / knot_step_;
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
  });
  return sum;
}

void StarModel::add_residual(double u, double v, PixelValues& values) const {
  const sky::FieldPsfModel& model = psf_.model();
  const int reach = psf_.node_reach();
  const double h = model.node_spacing_pix;
  if (model.c.empty() || std::abs(u) >= h * (reach + 2) || std::abs(v) >= h * (reach + 2)) {
    return;
  }
  const std::array<double, 4> wu = bspline_weights(u / h);
  const std::array<double, 4> wv = bspline_weights(v / h);
  const std::array<double, 4> du = bspline_slopes(u / h);
  const std::array<double, 4> dv = bspline_slopes(v / h);
  const int i0 = static_cast<int>(std::floor(u / h)) - 1 + reach;
  const int j0 = static_cast<int>(std::floor(v / h)) - 1 + reach;
  const int side = 2 * reach + 1;
  const double scale = 1.0 / psf_.norm();
  for (int b = 0; b < 4; ++b) {
    if (j0 + b < 0 || j0 + b >= side) {
      continue;
    }
    for (int a = 0; a < 4; ++a) {
      if (i0 + a < 0 || i0 + a >= side) {
        continue;
      }
      const double c = scale * psf_.node_grid()[static_cast<std::size_t>((j0 + b) * side + i0 + a)];
      const auto ia = static_cast<std::size_t>(a);
      const auto ib = static_cast<std::size_t>(b);
      values.p += c * wu[ia] * wv[ib];
      values.pu += c * du[ia] * wv[ib] / h;
      values.pv += c * wu[ia] * dv[ib] / h;
    }
  }
}

}  // namespace skyloom::photometry::epsf
