#include "pipelines/photometry/epsf/residual_prior.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "pipelines/photometry/epsf/neighbours.hpp"
#include "pipelines/photometry/epsf/residual.hpp"
#include "pipelines/photometry/epsf/star_model.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/numerics/lapack.hpp"

namespace skyloom::photometry::epsf {
namespace {

constexpr double kNugget = 1e-3;
constexpr double kGaugeStrength = 1e3;
constexpr double kWingGauge = 1e5;
constexpr double kKnotSpacing = 0.35;
constexpr double kMinSpacing = 0.5;  // pixels: finer nodes cannot be told from the stars' positions

/// The bare Moffat of a model at the frame's centre.
sky::FieldPsf bare_moffat(const sky::FieldPsfModel& model, bool circular) {
  const sky::PsfShape shape =
      sky::FieldPsf(model, 1, 1).shape(0.5 * model.width, 0.5 * model.height);
  sky::FieldPsfModel bare;
  bare.width = model.width;
  bare.height = model.height;
  bare.beta = model.beta;
  bare.lambda = {shape.lambda};
  bare.g1 = {circular ? 0.0 : shape.g1};
  bare.g2 = {circular ? 0.0 : shape.g2};
  return sky::FieldPsf(std::move(bare), 1, 1);
}

}  // namespace

sky::FieldPsfModel with_residual_basis(sky::FieldPsfModel model, const Options& options) {
  const double fwhm = effective_fwhm_pix(model);
  model.node_spacing_pix = std::max(fwhm / options.residual_nodes_per_fwhm, kMinSpacing);
  const double limit = options.residual_radius_fwhm * fwhm / model.node_spacing_pix;
  const int reach = static_cast<int>(std::floor(limit));
  for (int j = -reach; j <= reach; ++j) {
    for (int i = -reach; i <= reach; ++i) {
      if (std::hypot(i, j) <= limit) {
        model.node_i.push_back(i);
        model.node_j.push_back(j);
      }
    }
  }
  model.c.assign(model.node_i.size(), 0.0);
  const double alpha = std::exp(model.lambda[0]);
  const double end =
      0.5 * std::log1p(options.wing_radius_pix * options.wing_radius_pix / (alpha * alpha));
  const int intervals = std::clamp(static_cast<int>(std::lround(end / kKnotSpacing)), 2, 20);
  for (int k = 0; k <= intervals; ++k) {
    model.knots.push_back(end * k / intervals);
  }
  model.q.assign(model.knots.size(), 0.0);
  return model;
}

PriorGeometry prior_geometry(const sky::FieldPsfModel& model) {
  PriorGeometry result;
  const double fwhm = effective_fwhm_pix(model);
  const double h = model.node_spacing_pix;
  const sky::FieldPsf round = bare_moffat(model, true);
  const StarModel circular(round, round.shape(0.0, 0.0));
  const sky::FieldPsf tilted = bare_moffat(model, false);
  const StarModel moffat(tilted, tilted.shape(0.0, 0.0));
  result.centre = circular.p(0.0, 0.0);
  for (std::size_t k = 0; k < model.c.size(); ++k) {
    const double u = h * model.node_i[k];
    const double v = h * model.node_j[k];
    result.x.push_back(u / fwhm);
    result.y.push_back(v / fwhm);
    result.moffat.push_back(circular.p(u, v) / result.centre);
    std::array<double, 3> overlap{};
    // Half-step sampling integrates a cubic spline times a smooth function closely enough.
    for (int b = -3; b <= 3; ++b) {
      for (int a = -3; a <= 3; ++a) {
        const double weight = sky::cubic_bspline(0.5 * a) * sky::cubic_bspline(0.5 * b);
        const PixelValues pixel = moffat.at<false>(u + 0.5 * h * a, v + 0.5 * h * b);
        overlap[0] += weight * pixel.p;
        overlap[1] += weight * pixel.pu;
        overlap[2] += weight * pixel.pv;
      }
    }
    for (std::size_t m = 0; m < 3; ++m) {
      result.gauge[m].push_back(overlap[m]);
    }
  }
  for (std::vector<double>& column : result.gauge) {
    double square = 0.0;
    for (const double value : column) {
      square += value * value;
    }
    for (double& value : column) {
      value /= std::sqrt(square);
    }
  }
  return result;
}

CorePrior core_prior(const PriorGeometry& geometry, double ell, double p, bool gauge) {
  const std::size_t n = geometry.x.size();
  std::vector<double> correlation(n * n);
  const double rate = 0.5 / (ell * ell);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const double dx = geometry.x[i] - geometry.x[j];
      const double dy = geometry.y[i] - geometry.y[j];
      correlation[i * n + j] = std::exp(-rate * (dx * dx + dy * dy)) + (i == j ? kNugget : 0.0);
    }
  }
  const auto factor = numerics::LapackCholesky::factor(std::move(correlation), static_cast<int>(n));
  if (!factor) {
    throw UnitError(Reason::numerical, "the prior of the PSF's residual is singular");
  }
  CorePrior result;
  result.precision = factor->inverse();
  double trace = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    const double a = geometry.centre * std::pow(geometry.moffat[i], p);
    for (std::size_t j = 0; j < n; ++j) {
      const double b = geometry.centre * std::pow(geometry.moffat[j], p);
      result.precision[i * n + j] /= a * b;
    }
    trace += result.precision[i * n + i];
  }
  if (gauge) {
    const double strength = kGaugeStrength * trace / static_cast<double>(n);
    for (const std::vector<double>& column : geometry.gauge) {
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < n; ++j) {
          result.precision[i * n + j] += strength * column[i] * column[j];
        }
      }
    }
  }
  const auto whole = numerics::LapackCholesky::factor(result.precision, static_cast<int>(n));
  if (!whole) {
    throw UnitError(Reason::numerical, "the prior of the PSF's residual is singular");
  }
  result.log_determinant = whole->log_determinant();
  return result;
}

WingPrior::WingPrior(const sky::FieldPsfModel& model, bool gauge)
    : n_(model.knots.size()), step_(n_ > 1 ? model.knots[1] - model.knots[0] : 1.0) {
  if (gauge) {
    double square = 0.0;
    for (const double s : model.knots) {
      gauge_.push_back(std::exp(-2.0 * (2.0 * model.beta - 1.0) * s));
      square += gauge_.back() * gauge_.back();
    }
    for (double& value : gauge_) {
      value /= std::sqrt(square);
    }
  }
}

std::vector<double> WingPrior::precision(double sigma_q) const {
  std::vector<double> result(n_ * n_, 0.0);
  const double scale = step_ / kKnotSpacing;
  const double bend = 1.0 / (sigma_q * sigma_q * scale * scale * scale);
  const double limit = std::min(1.0, sigma_q / 0.03);
  const double tilt = 1.0 / (0.49 * scale * limit * limit);
  const auto add = [&](std::size_t first, std::initializer_list<double> difference, double weight) {
    std::size_t i = first;
    for (const double a : difference) {
      std::size_t j = first;
      for (const double b : difference) {
        result[i * n_ + j] += weight * a * b;
        ++j;
      }
      ++i;
    }
  };
  for (std::size_t k = 0; k < n_; ++k) {
    add(k, {1.0}, 1.0 / 9.0);
    if (k + 1 < n_) {
      add(k, {-1.0, 1.0}, tilt);
    }
    if (k + 2 < n_) {
      add(k, {1.0, -2.0, 1.0}, bend);
    }
  }
  for (std::size_t i = 0; i < gauge_.size(); ++i) {
    for (std::size_t j = 0; j < gauge_.size(); ++j) {
      result[i * n_ + j] += kWingGauge * gauge_[i] * gauge_[j];
    }
  }
  return result;
}

}  // namespace skyloom::photometry::epsf
