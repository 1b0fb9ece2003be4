#include "pipelines/photometry/catalogue/kernel_sky.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "skyloom/numerics/dense.hpp"

namespace skyloom::photometry::catalogue {
namespace {

constexpr std::size_t kLeastPatches = 4;
constexpr std::size_t kPatchesPerTerm = 4;
constexpr double kOutlierSigma = 4.0;
constexpr int kRounds = 5;
constexpr std::array<int, 3> kTerms{1, 3, 6};
constexpr std::size_t kMostTerms = 6;

using Terms = std::array<double, kMostTerms>;

/// Polynomial about the middle of the patches, positions scaled to about [-1, 1].
class Basis {
 public:
  explicit Basis(std::span<const PatchSky> patches) {
    double x1 = -std::numeric_limits<double>::infinity();
    double y1 = x1;
    x0_ = y0_ = -x1;
    for (const PatchSky& p : patches) {
      x0_ = std::min(x0_, p.x);
      y0_ = std::min(y0_, p.y);
      x1 = std::max(x1, p.x);
      y1 = std::max(y1, p.y);
    }
    half_x_ = std::max(0.5 * (x1 - x0_), 1.0);
    half_y_ = std::max(0.5 * (y1 - y0_), 1.0);
  }
  [[nodiscard]] Terms at(const PatchSky& p) const {
    const double x = (p.x - x0_) / half_x_ - 1.0;
    const double y = (p.y - y0_) / half_y_ - 1.0;
    return {1.0, x, y, x * x, x * y, y * y};
  }

 private:
  double x0_ = 0.0;
  double y0_ = 0.0;
  double half_x_ = 1.0;
  double half_y_ = 1.0;
};

/// The polynomial for one order and scatter.
struct Fit {
  int order = 0;
  double scatter = 0.0;
  std::vector<double> coefficients;
  std::vector<double> covariance;
  double criterion = 0.0;  ///< -2 ln L + terms ln n

  [[nodiscard]] double mean(const Terms& terms) const {
    double sum = 0.0;
    for (std::size_t i = 0; i < coefficients.size(); ++i) {
      sum += coefficients[i] * terms[i];
    }
    return sum;
  }
  [[nodiscard]] double variance(const Terms& terms) const {
    const std::size_t n = coefficients.size();
    double sum = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        sum += terms[i] * covariance[i * n + j] * terms[j];
      }
    }
    return sum;
  }
};

std::optional<Fit> fit_polynomial(std::span<const PatchSky> patches,
                                  const std::vector<std::size_t>& used, const Basis& basis,
                                  int order, double scatter) {
  const auto terms = static_cast<std::size_t>(kTerms[static_cast<std::size_t>(order)]);
  std::vector<double> matrix(terms * terms, 0.0);
  std::vector<double> right(terms, 0.0);
  double squares = 0.0;
  double logs = 0.0;
  for (const std::size_t i : used) {
    const PatchSky& p = patches[i];
    const double variance = p.err * p.err + scatter * scatter;
    const Terms t = basis.at(p);
    for (std::size_t a = 0; a < terms; ++a) {
      right[a] += t[a] * p.sky / variance;
      for (std::size_t b = 0; b < terms; ++b) {
        matrix[a * terms + b] += t[a] * t[b] / variance;
      }
    }
    squares += p.sky * p.sky / variance;
    logs += std::log(variance);
  }
  numerics::SmallCholesky factor;
  if (!factor.factor(matrix, static_cast<int>(terms))) {
    return std::nullopt;
  }
  Fit fit;
  fit.order = order;
  fit.scatter = scatter;
  fit.coefficients = right;
  factor.solve(fit.coefficients);
  fit.covariance = factor.inverse();
  double explained = 0.0;
  for (std::size_t a = 0; a < terms; ++a) {
    explained += right[a] * fit.coefficients[a];
  }
  fit.criterion = squares - explained + logs +
                  static_cast<double>(terms) * std::log(static_cast<double>(used.size()));
  return fit;
}

/// Order and scatter of the best criterion; the smaller ones at equal criterion.
std::optional<Fit> best_fit(std::span<const PatchSky> patches, const std::vector<std::size_t>& used,
                            const Basis& basis) {
  std::vector<double> errors;
  for (const std::size_t i : used) {
    errors.push_back(patches[i].err);
  }
  const auto middle = errors.begin() + static_cast<std::ptrdiff_t>(errors.size() / 2);
  std::nth_element(errors.begin(), middle, errors.end());
  const double unit = *middle;
  std::optional<Fit> best;
  for (int order = 0; order < 3; ++order) {
    const auto terms = static_cast<std::size_t>(kTerms[static_cast<std::size_t>(order)]);
    if (order > 0 && used.size() < kPatchesPerTerm * terms) {
      break;
    }
    for (int step = -1; step <= 40; ++step) {
      const double scatter = step < 0 ? 0.0 : unit * 0.1 * std::pow(1000.0, step / 40.0);
      const std::optional<Fit> fit = fit_polynomial(patches, used, basis, order, scatter);
      if (fit && (!best || fit->criterion < best->criterion)) {
        best = fit;
      }
    }
  }
  return best;
}

bool is_measured(const PatchSky& p) {
  return std::isfinite(p.sky) && std::isfinite(p.err) && p.err > 0.0;
}

}  // namespace

SkyModel combine_skies(std::span<const PatchSky> patches) {
  SkyModel model;
  std::vector<std::size_t> measured;
  std::vector<PatchSky> known;
  for (std::size_t i = 0; i < patches.size(); ++i) {
    model.patches.push_back({patches[i].sky, patches[i].err});
    if (is_measured(patches[i])) {
      measured.push_back(i);
      known.push_back(patches[i]);
    }
  }
  if (measured.size() < kLeastPatches) {
    return model;
  }
  const Basis basis(known);
  std::vector<std::size_t> used = measured;
  std::optional<Fit> fit;
  for (int round = 0; round < kRounds && used.size() >= kLeastPatches; ++round) {
    fit = best_fit(patches, used, basis);
    if (!fit) {
      return model;
    }
    std::vector<std::size_t> kept;
    for (const std::size_t i : measured) {
      const PatchSky& p = patches[i];
      const double width = std::hypot(p.err, fit->scatter);
      if (std::abs(p.sky - fit->mean(basis.at(p))) < kOutlierSigma * width) {
        kept.push_back(i);
      }
    }
    if (kept == used) {
      break;
    }
    used = std::move(kept);
  }
  if (!fit || used.size() < kLeastPatches) {
    return model;
  }
  model.order = fit->order;
  model.scatter = fit->scatter;
  model.n_outliers = static_cast<int>(measured.size() - used.size());
  for (const std::size_t i : used) {
    const PatchSky& p = patches[i];
    const Terms terms = basis.at(p);
    const double own = p.err * p.err;
    const double prior = fit->scatter * fit->scatter;
    const double weight = prior / (prior + own);
    const double mean = fit->mean(terms);
    model.patches[i].sky = mean + weight * (p.sky - mean);
    const double rest = (1.0 - weight) * (1.0 - weight) * fit->variance(terms);
    model.patches[i].err = std::min(p.err, std::sqrt(weight * own + rest));
    model.patches[i].own = false;
  }
  return model;
}

}  // namespace skyloom::photometry::catalogue
