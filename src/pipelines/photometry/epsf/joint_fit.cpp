#include "pipelines/photometry/epsf/joint_fit.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>

#include "pipelines/photometry/epsf/small_matrix.hpp"
#include "pipelines/photometry/epsf/star_model.hpp"
#include "pipelines/photometry/epsf/star_products.hpp"
#include "skyloom/numerics/lapack.hpp"

namespace skyloom::photometry::epsf {
namespace {

constexpr double kMaxStep = 0.3;
constexpr double kMaxShift = 0.4;
constexpr double kConverged = 2e-3;
constexpr double kRidge = 1e-3;
// The steps shrink at least tenfold each: what is left is far below any star's noise.
constexpr double kFluxStep = 1e-5;
constexpr double kPlaceStep = 1e-4;
constexpr double kMinBeta = 1.3;
constexpr double kMaxBeta = 10.0;

/// Normal equations of one star: shape block after its own four parameters are projected out, and
/// what is needed to get those back.
struct StarEquations {
  SmallMatrix<4> shape{};  // lambda, g1, g2, kappa
  std::array<double, 4> gradient{};
  SmallMatrix<4> own_inverse{};  // flux, x, y, sky
  std::array<double, 4> own_gradient{};
  std::array<std::array<double, 4>, 4> cross{};  // [shape][own]
};

std::optional<StarEquations> equations_of(const Star& star, const StarModel& model,
                                          const Weighting& weighting, Workspace& work) {
  const auto sum = sum_products<true>(star, model, weighting, work);
  StarEquations result;
  for (std::size_t i = 0; i < 4; ++i) {
    result.own_gradient[i] = sum[4 + i][8];
    for (std::size_t j = 0; j < 4; ++j) {
      result.own_inverse[i][j] = sum[4 + i][4 + j];
      result.cross[i][j] = sum[i][4 + j];
    }
  }
  if (!invert<4>(result.own_inverse)) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < 4; ++i) {
    std::array<double, 4> projected{};
    for (std::size_t a = 0; a < 4; ++a) {
      for (std::size_t b = 0; b < 4; ++b) {
        projected[a] += result.cross[i][b] * result.own_inverse[b][a];
      }
    }
    result.gradient[i] = sum[i][8];
    for (std::size_t a = 0; a < 4; ++a) {
      result.gradient[i] -= projected[a] * result.own_gradient[a];
    }
    for (std::size_t j = 0; j < 4; ++j) {
      result.shape[i][j] = sum[i][j];
      for (std::size_t a = 0; a < 4; ++a) {
        result.shape[i][j] -= projected[a] * result.cross[j][a];
      }
    }
  }
  return result;
}

void move_star(Star& star, const std::array<double, 4>& step) {
  star.row.flux += step[0];
  star.row.x += std::clamp(step[1], -kMaxShift, kMaxShift);
  star.row.y += std::clamp(step[2], -kMaxShift, kMaxShift);
  star.row.sky += step[3];
}

void reject(Star& star, Rejected reason) {
  star.row.used = false;
  star.row.reason = reason;
}

sky::FieldPsf working_psf(const sky::FieldPsfModel& model) {
  return sky::FieldPsf(model, 1, 1);
}

std::array<double, 6> basis_at(const sky::FieldPsfModel& model, const Star& star) {
  return sky::shape_basis(model.order, 2.0 * star.row.x / model.width - 1.0,
                          2.0 * star.row.y / model.height - 1.0);
}

/// Excess shape of a star from its own equations, beta held.
void set_excess(Star& star, const StarEquations& equations) {
  SmallMatrix<3> covariance{};
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      covariance[i][j] = equations.shape[i][j];
    }
  }
  if (!invert<3>(covariance)) {
    reject(star, Rejected::fit);
    return;
  }
  for (std::size_t i = 0; i < 3; ++i) {
    star.excess[i] = 0.0;
    for (std::size_t j = 0; j < 3; ++j) {
      star.excess[i] += covariance[i][j] * equations.gradient[j];
    }
    star.excess_error[i] = std::sqrt(covariance[i][i]);
  }
}

/// The joint system of all stars' polynomial coefficients and kappa.
class JointSystem {
 public:
  JointSystem(int order, bool free_beta)
      : terms_(sky::shape_terms(order)),
        size_(3 * terms_ + (free_beta ? 1 : 0)),
        free_beta_(free_beta),
        matrix_(static_cast<std::size_t>(size_) * static_cast<std::size_t>(size_)),
        right_(static_cast<std::size_t>(size_)) {}

  void add(const StarEquations& equations, const std::array<double, 6>& basis) {
    for (int i = 0; i < size_; ++i) {
      const auto [a, factor_a] = place(i, basis);
      right_[static_cast<std::size_t>(i)] += factor_a * equations.gradient[a];
      for (int j = 0; j < size_; ++j) {
        const auto [b, factor_b] = place(j, basis);
        matrix_[static_cast<std::size_t>(i * size_ + j)] +=
            factor_a * factor_b * equations.shape[a][b];
      }
    }
  }

  /// @return the step, limited; nothing when the system is singular
  [[nodiscard]] std::optional<std::vector<double>> solve() const {
    std::vector<double> matrix = matrix_;
    for (int i = 0; i < size_; ++i) {
      matrix[static_cast<std::size_t>(i * size_ + i)] *= 1.0 + kRidge;
    }
    const auto factor = numerics::LapackCholesky::factor(std::move(matrix), size_);
    if (!factor) {
      return std::nullopt;
    }
    std::vector<double> step = right_;
    factor->solve(step);
    for (double& value : step) {
      value = std::clamp(value, -kMaxStep, kMaxStep);
    }
    return step;
  }

  /// Change of a star's shape and kappa under a step of the coefficients.
  [[nodiscard]] std::array<double, 4> shape_step(const std::vector<double>& step,
                                                 const std::array<double, 6>& basis) const {
    std::array<double, 4> result{};
    for (int i = 0; i < size_; ++i) {
      const auto [a, factor] = place(i, basis);
      result[a] += factor * step[static_cast<std::size_t>(i)];
    }
    return result;
  }

  void apply(const std::vector<double>& step, sky::FieldPsfModel& model) const {
    for (std::size_t k = 0; k < static_cast<std::size_t>(terms_); ++k) {
      const auto terms = static_cast<std::size_t>(terms_);
      model.lambda[k] += step[k];
      model.g1[k] += step[terms + k];
      model.g2[k] += step[2 * terms + k];
    }
    if (free_beta_) {
      model.beta = 1.0 + (model.beta - 1.0) * std::exp(step.back());
    }
  }

 private:
  struct Place {
    std::size_t component;
    double factor;
  };
  [[nodiscard]] Place place(int i, const std::array<double, 6>& basis) const {
    if (i >= 3 * terms_) {
      return {3, 1.0};
    }
    return {static_cast<std::size_t>(i / terms_), basis[static_cast<std::size_t>(i % terms_)]};
  }

  int terms_;
  int size_;
  bool free_beta_;
  std::vector<double> matrix_;
  std::vector<double> right_;
};

bool limit_shape(sky::FieldPsfModel& model) {
  const double beta = std::clamp(model.beta, kMinBeta, kMaxBeta);
  const bool on_bound = beta != model.beta;
  model.beta = beta;
  return on_bound;
}

}  // namespace

int count_core(const std::vector<Star>& stars) {
  return static_cast<int>(std::count_if(stars.begin(), stars.end(), [](const Star& star) {
    return star.row.used && !star.row.wing;
  }));
}

ShapeFit fit_shape(sky::FieldPsfModel model, std::vector<Star>& stars,
                   const ShapeFitOptions& options) {
  ShapeFit result;
  Workspace work;
  for (; result.rounds < options.max_rounds; ++result.rounds) {
    const sky::FieldPsf psf = working_psf(model);
    const double norm_slope = norm_kappa_slope(psf);
    JointSystem system(model.order, options.free_beta);
    std::vector<std::optional<StarEquations>> equations(stars.size());
    for (std::size_t k = 0; k < stars.size(); ++k) {
      Star& star = stars[k];
      if (!star.row.used || star.row.wing) {
        continue;
      }
      const StarModel local(psf, psf.shape(star.row.x, star.row.y), norm_slope);
      equations[k] = equations_of(star, local, options.weighting, work);
      if (!equations[k]) {
        reject(star, Rejected::fit);
        continue;
      }
      system.add(*equations[k], basis_at(model, star));
    }
    const auto step = system.solve();
    if (!step) {
      return result;
    }
    for (std::size_t k = 0; k < stars.size(); ++k) {
      if (!equations[k]) {
        continue;
      }
      const StarEquations& e = *equations[k];
      const std::array<double, 4> change = system.shape_step(*step, basis_at(model, stars[k]));
      std::array<double, 4> own{};
      for (std::size_t a = 0; a < 4; ++a) {
        for (std::size_t b = 0; b < 4; ++b) {
          double gradient = e.own_gradient[b];
          for (std::size_t i = 0; i < 4; ++i) {
            gradient -= e.cross[i][b] * change[i];
          }
          own[a] += e.own_inverse[a][b] * gradient;
        }
      }
      move_star(stars[k], own);
    }
    system.apply(*step, model);
    result.beta_on_bound = limit_shape(model);
    const double largest = std::abs(*std::max_element(
        step->begin(), step->end(), [](double a, double b) { return std::abs(a) < std::abs(b); }));
    if (largest < kConverged) {
      break;
    }
  }
  result.ok = true;
  if (options.measure_excess) {
    measure_excess(model, stars, options);
  }
  result.model = std::move(model);
  return result;
}

void measure_excess(const sky::FieldPsfModel& model, std::vector<Star>& stars,
                    const ShapeFitOptions& options) {
  const sky::FieldPsf psf = working_psf(model);
  Workspace work;
  for (Star& star : stars) {
    if (!star.row.used || star.row.wing) {
      continue;
    }
    const StarModel local(psf, psf.shape(star.row.x, star.row.y));
    const auto equations = equations_of(star, local, options.weighting, work);
    if (equations) {
      set_excess(star, *equations);
    } else {
      reject(star, Rejected::fit);
    }
  }
}

int reject_by_shape(std::vector<Star>& stars, double nsigma) {
  std::vector<double> lambda;
  for (const Star& star : stars) {
    if (star.row.used && !star.row.wing) {
      lambda.push_back(star.excess[0]);
    }
  }
  const double centre = median_of(lambda);
  const double spread = std::max(robust_sigma(lambda, centre), 0.015);
  std::vector<std::pair<double, std::size_t>> outliers;
  for (std::size_t k = 0; k < stars.size(); ++k) {
    const Star& star = stars[k];
    if (!star.row.used || star.row.wing) {
      continue;
    }
    const double size =
        std::abs(star.excess[0] - centre) / std::hypot(star.excess_error[0], spread);
    const double shear = std::hypot(star.excess[1], star.excess[2]) /
                         std::hypot(std::max(star.excess_error[1], star.excess_error[2]), 0.02);
    if (!(std::max(size, shear) <= nsigma)) {
      outliers.emplace_back(-std::max(size, shear), k);
    }
  }
  std::sort(outliers.begin(), outliers.end());
  const auto core = static_cast<int>(lambda.size());
  const int allowed = std::max(0, std::min(std::max(1, core / 4), core - 4));
  int count = 0;
  for (const auto& [badness, k] : outliers) {
    if (count < allowed) {
      reject(stars[k], Rejected::shape);
      ++count;
    }
  }
  return count;
}

void fit_stars(const sky::FieldPsf& psf, std::vector<Star>& stars, const Weighting& weighting,
               int steps) {
  Workspace work;
  for (Star& star : stars) {
    for (int step = 0; step < steps && star.row.used; ++step) {
      const StarModel model(psf, psf.shape(star.row.x, star.row.y));
      const auto sum = sum_products<false>(star, model, weighting, work);
      SmallMatrix<4> inverse{};
      for (std::size_t i = 0; i < 4; ++i) {
        for (std::size_t j = 0; j < 4; ++j) {
          inverse[i][j] = sum[4 + i][4 + j];
        }
      }
      if (!(star.row.flux > 0.0) || !invert<4>(inverse)) {
        reject(star, Rejected::fit);
        break;
      }
      std::array<double, 4> own{};
      for (std::size_t i = 0; i < 4; ++i) {
        for (std::size_t j = 0; j < 4; ++j) {
          own[i] += inverse[i][j] * sum[4 + j][8];
        }
      }
      move_star(star, own);
      if (std::abs(own[0]) < kFluxStep * star.row.flux && std::hypot(own[1], own[2]) < kPlaceStep) {
        break;
      }
    }
  }
}

}  // namespace skyloom::photometry::epsf
