#pragma once
// The active parameters of a scene as a least-squares problem with fluxes and skies eliminated, its
// weak prior, and its Gauss-Newton step.

#include <span>
#include <vector>

#include "pipelines/photometry/fit/kernel_scene.hpp"
#include "skyloom/numerics/least_squares.hpp"

namespace skyloom::photometry::fit {

/// Largest change of x, y, ln Re, ee1, ee2, n in one step.
inline constexpr double kStepLimit[kMaxParameters] = {1.0, 1.0, 0.7, 0.5, 0.5, 1.0};
/// chi2 of 1e5 summed from floats wanders by the first, and by this share where it is larger.
inline constexpr double kValueNoise = 1e-3;
inline constexpr double kRelativeNoise = 1e-8;

/// Precision of the prior of parameter k; 0 with ShapePrior::none.
double prior_precision(const Scene& scene, const Source& source, int k);

/// The active parameters of a scene as a least-squares problem with fluxes and skies eliminated.
class PatchProblem : public numerics::LeastSquaresProblem {
 public:
  explicit PatchProblem(Scene& scene)
      : scene_(scene), n_(static_cast<std::size_t>(scene.active_parameters())) {}

  [[nodiscard]] int size() const override { return static_cast<int>(n_); }

  double value(std::span<const double> x) override {
    set(x);
    return 0.5 * scene_.evaluate(false) + prior(nullptr);
  }

  /// The same, with derivative images for a gradient or matrix at this point.
  double value_with_derivatives(std::span<const double> x) {
    set(x);
    return 0.5 * scene_.evaluate(true) + prior(nullptr);
  }

  double gradient(std::span<const double> x, std::span<double> g) override {
    set(x);
    const double chi2 = scene_.evaluate(true);
    scene_.gradient(g);
    return 0.5 * chi2 + prior(g.data());
  }

  void normal_matrix(std::span<const double> x, std::span<double> h) override {
    if (!at(x)) {
      set(x);
      scene_.evaluate(true);
    }
    scene_.normal_matrix(h);
    std::size_t i = 0;
    std::vector<double>& diagonal = scene_.work().diagonal;
    diagonal.resize(n_);
    for (const Source& source : scene_.sources()) {
      for (int k = 0; source.active && k < source.n_parameters; ++k, ++i) {
        h[i * n_ + i] += prior_precision(scene_, source, k);
        diagonal[i] = h[i * n_ + i];
      }
    }
  }

  void pack(std::vector<double>& x, std::vector<double>& lower, std::vector<double>& upper) const {
    for (const Source& source : scene_.sources()) {
      for (int k = 0; source.active && k < source.n_parameters; ++k) {
        const auto i = static_cast<std::size_t>(k);
        x.push_back(source.value[i]);
        lower.push_back(source.lower[i]);
        upper.push_back(source.upper[i]);
      }
    }
  }

  void set(std::span<const double> x) {
    std::size_t i = 0;
    for (Source& source : scene_.sources()) {
      for (int k = 0; source.active && k < source.n_parameters; ++k, ++i) {
        source.value[static_cast<std::size_t>(k)] = x[i];
      }
    }
  }

 private:
  [[nodiscard]] bool at(std::span<const double> x) const {
    std::size_t i = 0;
    for (const Source& source : scene_.sources()) {
      for (int k = 0; source.active && k < source.n_parameters; ++k, ++i) {
        if (source.value[static_cast<std::size_t>(k)] != x[i] || !source.derivatives_valid ||
            source.derivatives_at != source.value) {
          return false;
        }
      }
    }
    return true;
  }

  /// Of all free sources, so that values of different solves compare; gradient of active ones.
  double prior(double* g) const {
    double sum = 0.0;
    std::size_t i = 0;
    for (const Source& source : scene_.sources()) {
      for (int k = 0; source.free && k < source.n_parameters; ++k) {
        const auto p = static_cast<std::size_t>(k);
        const double pull =
            (source.value[p] - source.start[p]) * prior_precision(scene_, source, k);
        sum += 0.5 * pull * (source.value[p] - source.start[p]);
        if (source.active && g != nullptr) {
          g[i] += pull;
        }
        i += source.active ? 1 : 0;
      }
    }
    return sum;
  }

  Scene& scene_;
  std::size_t n_;
};

/// What the next Gauss-Newton step of the active sources is. Its memory is used again.
struct NewtonStep {
  double value = 0.0;  ///< objective
  std::vector<double> x;
  std::vector<double> lower;
  std::vector<double> upper;
  std::vector<double> gradient;
  std::vector<double> normal;           ///< with the prior
  std::vector<double> step;             ///< 0 where a bound holds
  std::vector<unsigned char> at_bound;  ///< held there
  std::vector<double> sigma;            ///< marginal errors from the inverse of `normal`
  numerics::SmallCholesky factor;
  std::vector<double> matrix;   ///< scratch
  std::vector<double> scratch;  ///< of the inverse
};

/// Gradient, matrix and step at the present values; parameters at a bound with an outward gradient
/// stay.
/// @throws UnitError numerical
void newton_step(Scene& scene, NewtonStep& newton);
/// The step again, after curvatures changed.
void solve_step(const Scene& scene, NewtonStep& newton);
/// Inverse of the matrix of the step, curvatures included, 0 where a bound holds. @pre the step is
/// the last thing that was solved
std::vector<double> inverse_hessian(const NewtonStep& newton);
/// Inverse of newton.normal. @throws UnitError numerical
std::vector<double> inverse_normal(NewtonStep& newton);

/// All free sources take part again.
void wake_all(Scene& scene);
int count_active(const Scene& scene);

}  // namespace skyloom::photometry::fit
