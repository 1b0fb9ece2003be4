#include "pipelines/photometry/epsf/residual.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

#include "pipelines/photometry/epsf/neighbours.hpp"
#include "pipelines/photometry/epsf/residual_prior.hpp"
#include "pipelines/photometry/epsf/small_matrix.hpp"
#include "pipelines/photometry/epsf/star_model.hpp"
#include "skyloom/numerics/lapack.hpp"

namespace skyloom::photometry::epsf {
namespace {

constexpr double kBrightSnr = 300.0;
constexpr double kMostDimming = -0.6;  // of the wing at a knot, in one step

struct SkyPrior {
  double mean = 0.0;
  double precision = 0.0;  // 0 = none
};

/// Level and spread of the sky under the fainter two thirds of the stars: the wings of bright ones
/// leak into theirs.
SkyPrior sky_prior(const std::vector<Star>& stars, const Options& options, double sigma_sky) {
  SkyPrior prior;
  std::vector<std::pair<double, double>> skies;
  for (const Star& star : stars) {
    if (star.row.used) {
      skies.emplace_back(star.row.flux, star.row.sky);
    }
  }
  if (options.sky_prior_floor <= 0.0 || skies.size() < 3) {
    return prior;
  }
  std::sort(skies.begin(), skies.end());
  std::vector<double> faint;
  for (std::size_t k = 0; k < (2 * skies.size() + 2) / 3; ++k) {
    faint.push_back(skies[k].second);
  }
  prior.mean = median_of(faint);
  const double spread =
      std::max(robust_sigma(faint, prior.mean), options.sky_prior_floor * sigma_sky);
  prior.precision = 1.0 / (spread * spread);
  return prior;
}

/// Sums of one star over its pixels, before projection.
struct StarSums {
  std::vector<double> an;  // (n, 4): A^T W N
  SmallMatrix<4> nn{};
  std::array<double, 4> ny{};
};

/// The normal equations of c and q over all stars.
class LinearSystem {
 public:
  LinearSystem(const sky::FieldPsf& psf, const Options& options, double gain)
      : psf_(psf), weighting_{gain, options.model_error_residual} {
    const sky::FieldPsfModel& model = psf.model();
    core_ = model.c.size();
    size_ = core_ + model.q.size();
    h_.assign(size_ * size_, 0.0);
    b_.assign(size_, 0.0);
    const int side = 2 * psf.node_reach() + 1;
    index_.assign(static_cast<std::size_t>(side * side), -1);
    for (std::size_t k = 0; k < core_; ++k) {
      const int i = static_cast<int>(model.node_i[k]) + psf.node_reach();
      const int j = static_cast<int>(model.node_j[k]) + psf.node_reach();
      index_[static_cast<std::size_t>(j * side + i)] = static_cast<int>(k);
    }
  }

  /// Columns of one pixel at unit flux: indices and values of the non-zero ones.
  struct Row {
    std::array<std::size_t, 48> index{};
    std::array<double, 48> value{};
    std::size_t n = 0;
    double target = 0.0;  // q part of the current model, A_q q0, minus the wing model, per flux

    void push(std::size_t i, double v) {
      index[n] = i;
      value[n++] = v;
    }
  };

  /// @return P and its position derivatives
  PixelValues fill_row(const StarModel& model, double u, double v, Row& row) const {
    row.n = 0;
    const double inverse_norm = 1.0 / psf_.norm();
    add_core(u, v, inverse_norm, row);
    std::array<double, 32> hats{};
    const WingValues wing = model.wing(u, v, hats.data());
    row.target = -wing.u0 * inverse_norm;
    const std::vector<double>& q = psf_.model().q;
    for (std::size_t k = 0; k < q.size(); ++k) {
      if (hats[k] != 0.0) {
        row.push(core_ + k, hats[k] * inverse_norm);
        row.target += hats[k] * inverse_norm * q[k];
      }
    }
    return model.from_wing(wing, u, v);
  }

  void add_star(const Star& star, const SkyPrior& prior) {
    const StarModel model(psf_, psf_.shape(star.row.x, star.row.y));
    StarSums sums;
    sums.an.assign(4 * size_, 0.0);
    Row row;
    const double flux = star.row.flux;
    std::size_t k = 0;
    for (int y = star.box.y0; y < star.box.y1; ++y) {
      for (int x = star.box.x0; x < star.box.x1; ++x, ++k) {
        if (!star.good(k)) {
          continue;
        }
        const double u = x - star.row.x;
        const double v = y - star.row.y;
        const PixelValues pixel = fill_row(model, u, v, row);
        const double weight =
            1.0 / pixel_variance(weighting_, static_cast<double>(star.variance[k]), flux * pixel.p);
        const double target = star.light(k) + flux * row.target;
        add_pixel(row, flux, weight, target, {pixel.p, pixel.pu, pixel.pv, 1.0}, sums);
      }
    }
    // The prior acts on the change of the sky.
    const double pull = prior.mean - star.row.sky;
    sums.nn[3][3] += prior.precision;
    sums.ny[3] += prior.precision * pull;
    yy_ += prior.precision * pull * pull;
    project(sums);
  }

  /// To be called after the last star.
  void finish() {
    for (std::size_t i = 0; i < size_; ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        h_[i * size_ + j] = h_[j * size_ + i];
      }
    }
  }

  [[nodiscard]] const std::vector<double>& h() const { return h_; }
  [[nodiscard]] const std::vector<double>& b() const { return b_; }
  [[nodiscard]] double yy() const { return yy_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t core() const { return core_; }

 private:
  void add_core(double u, double v, double scale, Row& row) const {
    const double h = psf_.model().node_spacing_pix;
    const int reach = psf_.node_reach();
    if (core_ == 0 || std::abs(u) >= h * (reach + 2) || std::abs(v) >= h * (reach + 2)) {
      return;
    }
    const std::array<double, 4> wu = bspline_weights(u / h);
    const std::array<double, 4> wv = bspline_weights(v / h);
    const int i0 = static_cast<int>(std::floor(u / h)) - 1 + reach;
    const int j0 = static_cast<int>(std::floor(v / h)) - 1 + reach;
    const int side = 2 * reach + 1;
    for (int j = std::max(j0, 0); j < std::min(j0 + 4, side); ++j) {
      for (int i = std::max(i0, 0); i < std::min(i0 + 4, side); ++i) {
        const int node = index_[static_cast<std::size_t>(j * side + i)];
        if (node >= 0) {
          row.push(static_cast<std::size_t>(node), scale * wu[static_cast<std::size_t>(i - i0)] *
                                                       wv[static_cast<std::size_t>(j - j0)]);
        }
      }
    }
  }

  void add_pixel(const Row& row, double flux, double weight, double target,
                 const std::array<double, 4>& own, StarSums& sums) {
    for (std::size_t i = 0; i < row.n; ++i) {
      const double a = weight * flux * row.value[i];
      double* line = h_.data() + row.index[i] * size_;
      // Indices rise along a row: the upper triangle suffices.
      for (std::size_t j = i; j < row.n; ++j) {
        line[row.index[j]] += a * flux * row.value[j];
      }
      b_[row.index[i]] += a * target;
      for (std::size_t m = 0; m < 4; ++m) {
        sums.an[4 * row.index[i] + m] += a * own[m];
      }
    }
    for (std::size_t m = 0; m < 4; ++m) {
      sums.ny[m] += weight * own[m] * target;
      for (std::size_t l = 0; l < 4; ++l) {
        sums.nn[m][l] += weight * own[m] * own[l];
      }
    }
    yy_ += weight * target * target;
  }

  void project(StarSums& sums) {
    if (!invert<4>(sums.nn)) {
      return;
    }
    std::array<double, 4> own{};
    for (std::size_t m = 0; m < 4; ++m) {
      for (std::size_t l = 0; l < 4; ++l) {
        own[m] += sums.nn[m][l] * sums.ny[l];
      }
      yy_ -= own[m] * sums.ny[m];
    }
    for (std::size_t i = 0; i < size_; ++i) {
      const double* an = sums.an.data() + 4 * i;
      std::array<double, 4> projected{};
      for (std::size_t m = 0; m < 4; ++m) {
        b_[i] -= an[m] * own[m];
        for (std::size_t l = 0; l < 4; ++l) {
          projected[l] += an[m] * sums.nn[m][l];
        }
      }
      double* line = h_.data() + i * size_;
      for (std::size_t j = i; j < size_; ++j) {
        const double* other = sums.an.data() + 4 * j;
        line[j] -= projected[0] * other[0] + projected[1] * other[1] + projected[2] * other[2] +
                   projected[3] * other[3];
      }
    }
  }

  const sky::FieldPsf& psf_;
  Weighting weighting_;
  std::size_t core_ = 0;
  std::size_t size_ = 0;
  std::vector<double> h_;
  std::vector<double> b_;
  double yy_ = 0.0;
  std::vector<int> index_;
};

struct Evidence {
  double value = -1e300;
  std::vector<double> z;
};

/// Evidence of one choice of hyper-parameters; very low when a factorisation fails.
Evidence evidence_of(const LinearSystem& system, const CorePrior& core, const WingPrior& wing,
                     const HyperParameters& hyper, std::vector<double>* posterior = nullptr) {
  Evidence result;
  const std::size_t n = system.size();
  std::vector<double> matrix = system.h();
  const double core_scale = 1.0 / (hyper.sigma_r * hyper.sigma_r);
  for (std::size_t i = 0; i < system.core(); ++i) {
    for (std::size_t j = 0; j < system.core(); ++j) {
      matrix[i * n + j] += core_scale * core.precision[i * system.core() + j];
    }
  }
  const std::vector<double> wing_precision = wing.precision(hyper.sigma_q);
  const std::size_t knots = n - system.core();
  for (std::size_t i = 0; i < knots; ++i) {
    for (std::size_t j = 0; j < knots; ++j) {
      matrix[(system.core() + i) * n + system.core() + j] += wing_precision[i * knots + j];
    }
  }
  const auto wing_factor =
      numerics::LapackCholesky::factor(wing_precision, static_cast<int>(knots));
  const auto factor = numerics::LapackCholesky::factor(std::move(matrix), static_cast<int>(n));
  if (!factor || !wing_factor) {
    return result;
  }
  result.z = system.b();
  factor->solve(result.z);
  double explained = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    explained += system.b()[i] * result.z[i];
  }
  const double prior_determinant =
      core.log_determinant - 2.0 * static_cast<double>(system.core()) * std::log(hyper.sigma_r) +
      wing_factor->log_determinant();
  result.value =
      -0.5 * (system.yy() - explained) + 0.5 * prior_determinant - 0.5 * factor->log_determinant();
  if (posterior != nullptr) {
    *posterior = factor->inverse();
  }
  return result;
}

/// Coordinate search over the two widths.
double search_widths(const LinearSystem& system, const CorePrior& core, const WingPrior& wing,
                     HyperParameters& hyper, int sweeps) {
  double best = evidence_of(system, core, wing, hyper).value;
  const auto try_factors = [&](double HyperParameters::*width, double low, double high,
                               std::initializer_list<double> factors) {
    const double start = hyper.*width;
    for (const double factor : factors) {
      HyperParameters trial = hyper;
      trial.*width = std::clamp(start * factor, low, high);
      const double value =
          trial.*width == hyper.*width ? best : evidence_of(system, core, wing, trial).value;
      if (value > best) {
        best = value;
        hyper = trial;
      }
    }
  };
  for (int sweep = 0; sweep < sweeps; ++sweep) {
    if (sweep == 0) {
      try_factors(&HyperParameters::sigma_r, 1e-4, 1.0, {1.0 / 9.0, 1.0 / 3.0, 3.0, 9.0});
      try_factors(&HyperParameters::sigma_q, 1e-3, 3.0, {1.0 / 9.0, 1.0 / 3.0, 3.0, 9.0});
    }
    try_factors(&HyperParameters::sigma_r, 1e-4, 1.0, {1.0 / 3.0, 0.6, 1.6, 3.0});
    try_factors(&HyperParameters::sigma_q, 1e-3, 3.0, {1.0 / 3.0, 0.6, 1.6, 3.0});
  }
  return best;
}

/// Flux error of a bright star at the frame's centre that the posterior of c and q allows.
void predict_flux_error(const sky::FieldPsf& psf, const LinearSystem& system,
                        const Options& options, double gain, double sigma_sky,
                        const std::vector<double>& posterior, ResidualSolution& solution) {
  const sky::FieldPsfModel& model = psf.model();
  const StarModel star(psf, psf.shape(0.5 * model.width, 0.5 * model.height));
  const int half = (options.final_psf_size - 1) / 2;
  double flux = kBrightSnr * sigma_sky * effective_fwhm_pix(model);
  const std::size_t n = system.size();
  StarSums sums;
  LinearSystem::Row row;
  for (int pass = 0; pass < 4; ++pass) {
    sums = StarSums{};
    sums.an.assign(4 * n, 0.0);
    for (int y = -half; y <= half; ++y) {
      for (int x = -half; x <= half; ++x) {
        const PixelValues pixel = star.at<false>(x, y);
        const double weight =
            1.0 / pixel_variance({gain, 0.0}, sigma_sky * sigma_sky, flux * pixel.p);
        const std::array<double, 4> own = {pixel.p, pixel.pu, pixel.pv, 1.0};
        for (std::size_t m = 0; m < 4; ++m) {
          for (std::size_t l = 0; l < 4; ++l) {
            sums.nn[m][l] += weight * own[m] * own[l];
          }
        }
        if (pass == 3) {
          system.fill_row(star, x, y, row);
          for (std::size_t i = 0; i < row.n; ++i) {
            for (std::size_t m = 0; m < 4; ++m) {
              sums.an[4 * row.index[i] + m] += weight * own[m] * row.value[i];
            }
          }
        }
      }
    }
    if (!invert<4>(sums.nn)) {
      return;
    }
    if (pass < 3) {
      flux *= kBrightSnr * std::sqrt(sums.nn[0][0]) / flux;
    }
  }
  std::vector<double> slope(n, 0.0);
  const std::vector<double> wing_norm = norm_gradient(psf.profile());
  const double h2 = model.node_spacing_pix * model.node_spacing_pix;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t m = 0; m < 4; ++m) {
      slope[i] += sums.nn[0][m] * sums.an[4 * i + m];
    }
    slope[i] -= (i < system.core() ? h2 : wing_norm[i - system.core()]) / psf.norm();
  }
  const auto spread = [&](std::size_t begin, std::size_t end) {
    double sum = 0.0;
    for (std::size_t i = begin; i < end; ++i) {
      for (std::size_t j = begin; j < end; ++j) {
        sum += slope[i] * posterior[i * n + j] * slope[j];
      }
    }
    return std::sqrt(std::max(sum, 0.0));
  };
  solution.flux_err = spread(0, n);
  solution.flux_err_core = spread(0, system.core());
  solution.flux_err_wing = spread(system.core(), n);
}

/// Search over the prior's shape in the first round, widths only later.
double search(const LinearSystem& system, const PriorGeometry& geometry, const WingPrior& wing,
              bool gauge, HyperParameters& hyper, CorePrior& core) {
  core = core_prior(geometry, hyper.ell, hyper.p, gauge);
  double best = search_widths(system, core, wing, hyper, 2);
  if (hyper.shape_fixed) {
    return best;
  }
  const HyperParameters start = hyper;
  for (const double ell : {0.3, 0.5}) {
    for (const double p : {0.55, 0.75, 1.0}) {
      HyperParameters trial = start;
      trial.ell = ell;
      trial.p = p;
      if (ell == start.ell && p == start.p) {
        continue;
      }
      CorePrior other = core_prior(geometry, ell, p, gauge);
      // Near the optimum of the first choice the coarse factors are wasted.
      double value = evidence_of(system, other, wing, trial).value;
      for (const double factor : {1.0 / 3.0, 0.6, 1.6, 3.0}) {
        HyperParameters scaled = trial;
        scaled.sigma_r = std::clamp(start.sigma_r * factor, 1e-4, 1.0);
        const double other_value = evidence_of(system, other, wing, scaled).value;
        if (other_value > value) {
          value = other_value;
          trial = scaled;
        }
      }
      if (value > best) {
        best = value;
        hyper = trial;
        core = std::move(other);
      }
    }
  }
  hyper.shape_fixed = true;
  return best;
}

}  // namespace

ResidualSolution solve_residual(const sky::FieldPsf& psf, const std::vector<Star>& stars,
                                const Options& options, double gain, double sigma_sky,
                                HyperParameters hyper, bool gauge) {
  ResidualSolution solution;
  const sky::FieldPsfModel& model = psf.model();
  LinearSystem system(psf, options, gain);
  const SkyPrior prior = sky_prior(stars, options, sigma_sky);
  for (const Star& star : stars) {
    if (star.row.used) {
      system.add_star(star, prior);
    }
  }
  system.finish();
  const PriorGeometry geometry = prior_geometry(model);
  const WingPrior wing(model, gauge);
  CorePrior core;
  solution.ln_evidence = search(system, geometry, wing, gauge, hyper, core);
  std::vector<double> posterior;
  const Evidence best = evidence_of(system, core, wing, hyper, &posterior);
  if (best.z.empty() || !std::isfinite(best.value) ||
      !std::all_of(best.z.begin(), best.z.end(), [](double v) { return std::isfinite(v); })) {
    return solution;
  }
  solution.model = model;
  const auto border = best.z.begin() + static_cast<std::ptrdiff_t>(system.core());
  solution.model.c.assign(best.z.begin(), border);
  for (std::size_t k = 0; k < model.q.size(); ++k) {
    // The system is linear in the light, m e^q (1 + change).
    const double change = border[static_cast<std::ptrdiff_t>(k)] - model.q[k];
    solution.model.q[k] += std::log1p(std::max(change, kMostDimming));
    solution.wing_step = std::max(solution.wing_step, std::abs(change));
  }
  solution.hyper = hyper;
  predict_flux_error(psf, system, options, gain, sigma_sky, posterior, solution);
  solution.ok = true;
  return solution;
}

}  // namespace skyloom::photometry::epsf
