#include "pipelines/photometry/fit/kernel_polish.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

#include "pipelines/photometry/fit/kernel_problem.hpp"
#include "skyloom/numerics/lapack.hpp"

namespace skyloom::photometry::fit {

namespace {

/// Gauss-Newton converges linearly where the residuals bend the valley. What its matrix lacks is
/// learned per source from the changes of its gradient (structured symmetric rank-one update;
/// Dennis, Gay & Welsch 1981), within these multiples of its own block.
constexpr double kCurvatureMin = -0.8;
constexpr double kCurvatureMax = 20.0;

/// Takes full steps until no source would move by more than `tolerance` of its errors.
class Polish {
 public:
  Polish(Scene& scene, SolveReport& report, int iterations_before, double tolerance)
      : scene_(scene),
        report_(report),
        iterations_before_(iterations_before),
        move_(scene.sources().size()),
        old_gradient_(scene.sources().size()),
        remaining_(scene.sources().size(), 0.0),
        stuck_(scene.sources().size(), 0),
        newton_source_(scene.sources().size(), 0),
        tolerance_(tolerance) {
    wake_all(scene_);
    const auto n = static_cast<std::size_t>(scene_.active_parameters());
    from_.reserve(n);
    change_.reserve(n);
    move_all_.reserve(n);
    to_.reserve(n);
  }

  /// @return true when every source is done
  bool run(int budget) {
    report_.history.reserve(report_.history.size() + static_cast<std::size_t>(budget));
    wake_all(scene_);
    forget();
    NewtonStep& newton = newton_;
    newton_step(scene_, newton);
    double value = newton.value;
    bool all = true;
    for (int i = 0;; ++i) {
      if (scene_.input().stop && scene_.input().stop()) {
        report_.stopped = true;
        return false;
      }
      if (learn(newton)) {
        solve_step(scene_, newton);
      }
      const int moving = look(newton);
      if (moving == 0 && all) {
        if (stuck().empty()) {
          return finish(true);
        }
        break;
      }
      if (i >= budget) {
        break;
      }
      if (moving == 0) {
        wake_movable();
        forget();
        newton_step(scene_, newton);
        value = newton.value;
        all = true;
        continue;
      }
      const double before = value;
      if (!step(newton, value)) {
        break;
      }
      ++report_.iterations;
      report_.dlnp_last = before - value;
      report_.history.push_back(
          {iterations_before_ + report_.iterations, 2.0 * value, count_active(scene_)});
      all = count_active(scene_) == count_movable();
      newton_step(scene_, newton);
      value = newton.value;
    }
    wake_all(scene_);
    forget();
    newton_step(scene_, newton);
    look(newton);
    return finish(false);
  }

  [[nodiscard]] std::vector<int> stuck() const {
    std::vector<int> out;
    for (std::size_t s = 0; s < stuck_.size(); ++s) {
      if (stuck_[s] != 0) {
        out.push_back(static_cast<int>(s));
      }
    }
    return out;
  }

 private:
  [[nodiscard]] bool movable(std::size_t s) const {
    return scene_.sources()[s].free && stuck_[s] == 0;
  }

  [[nodiscard]] int count_movable() const {
    int n = 0;
    for (std::size_t s = 0; s < stuck_.size(); ++s) {
      n += movable(s) ? 1 : 0;
    }
    return n;
  }

  /// Sources that are stuck stay out: steps of others must not count on theirs.
  void wake_movable() {
    for (std::size_t s = 0; s < stuck_.size(); ++s) {
      scene_.sources()[s].active = movable(s);
    }
  }

  [[nodiscard]] bool moves(std::size_t s) const {
    return scene_.sources()[s].active && stuck_[s] == 0 && remaining_[s] > tolerance_;
  }

  void forget() {
    for (auto& m : move_) {
      m.fill(0.0);
    }
  }

  /// Learns curvatures from the last step. @return true when any changed
  bool learn(const NewtonStep& newton) {
    const std::size_t n = newton.x.size();
    move_all_.assign(n, 0.0);
    std::size_t first = 0;
    for (std::size_t s = 0; s < scene_.sources().size(); ++s) {
      const Source& source = scene_.sources()[s];
      for (int k = 0; source.active && k < source.n_parameters; ++k) {
        move_all_[first++] = move_[s][static_cast<std::size_t>(k)];
      }
    }
    bool any = false;
    first = 0;
    for (std::size_t s = 0; s < scene_.sources().size(); ++s) {
      if (scene_.sources()[s].active) {
        any = update_curvature(newton, s, first) || any;
        first += static_cast<std::size_t>(scene_.sources()[s].n_parameters);
      }
    }
    return any;
  }

  bool update_curvature(const NewtonStep& newton, std::size_t s, std::size_t first) {
    Source& source = scene_.sources()[s];
    const std::size_t n = newton.x.size();
    const auto np = static_cast<std::size_t>(source.n_parameters);
    const double* step = move_all_.data() + first;
    double size = 0.0;
    for (std::size_t k = 0; k < np; ++k) {
      size = std::max(size, std::abs(step[k]) / newton.sigma[first + k]);
    }
    if (!(size > kSecantStep)) {
      return false;
    }
    std::array<double, kMaxParameters> rest{};
    double along = 0.0;
    double quadratic = 0.0;
    for (std::size_t i = 0; i < np; ++i) {
      rest[i] = newton.gradient[first + i] - old_gradient_[s][i];
      const double* row = newton.normal.data() + (first + i) * n;
      double product = 0.0;
      for (std::size_t j = 0; j < n; ++j) {
        product += row[j] * move_all_[j];
      }
      rest[i] -= product;
      quadratic += step[i] * product;
      for (std::size_t k = 0; k < np; ++k) {
        rest[i] -= source.curvature[i * kMaxParameters + k] * step[k];
      }
      along += rest[i] * step[i];
    }
    // Nearly at right angles to its step, the update would be large and mean nothing.
    if (std::abs(along) < kLeastAlong * std::abs(quadratic)) {
      return false;
    }
    for (std::size_t i = 0; i < np; ++i) {
      for (std::size_t k = 0; k < np; ++k) {
        source.curvature[i * kMaxParameters + k] += rest[i] * rest[k] / along;
      }
    }
    limit_curvature(newton, source, first);
    return true;
  }

  /// Brings the curvature S within its limits: S = sum of l (H v)(H v)^T with S v = l H v, H the
  /// source's own block.
  static void limit_curvature(const NewtonStep& newton, Source& source, std::size_t first) {
    const std::size_t n = newton.x.size();
    const auto np = static_cast<std::size_t>(source.n_parameters);
    std::array<double, kMaxParameters * kMaxParameters> own{};
    std::array<double, kMaxParameters * kMaxParameters> scratch{};
    std::array<double, kMaxParameters * kMaxParameters> vectors{};
    std::array<double, kMaxParameters> values{};
    for (std::size_t i = 0; i < np; ++i) {
      for (std::size_t k = 0; k < np; ++k) {
        own[i * np + k] = newton.normal[(first + i) * n + first + k];
        vectors[i * np + k] = source.curvature[i * kMaxParameters + k];
      }
    }
    scratch = own;
    source.curvature.fill(0.0);
    if (!numerics::generalised_eigen({vectors.data(), np * np}, {scratch.data(), np * np},
                                     {values.data(), np})) {
      return;
    }
    for (std::size_t c = 0; c < np; ++c) {
      const double limited = std::clamp(values[c], kCurvatureMin, kCurvatureMax);
      std::array<double, kMaxParameters> column{};
      for (std::size_t i = 0; i < np; ++i) {
        for (std::size_t k = 0; k < np; ++k) {
          column[i] += own[i * np + k] * vectors[c * np + k];
        }
      }
      for (std::size_t i = 0; i < np; ++i) {
        for (std::size_t k = 0; k < np; ++k) {
          source.curvature[i * kMaxParameters + k] += limited * column[i] * column[k];
        }
      }
    }
  }

  /// How far each active source still is. @return how many are not done
  int look(const NewtonStep& newton) {
    std::size_t first = 0;
    int moving = 0;
    for (std::size_t s = 0; s < scene_.sources().size(); ++s) {
      const Source& source = scene_.sources()[s];
      newton_source_[s] = source.active ? 1 : 0;
      if (!source.active) {
        continue;
      }
      const auto np = static_cast<std::size_t>(source.n_parameters);
      double largest = 0.0;
      for (std::size_t k = 0; k < np; ++k) {
        largest = std::max(largest, std::abs(newton.step[first + k]) / newton.sigma[first + k]);
      }
      remaining_[s] = largest;
      moving += moves(s) ? 1 : 0;
      first += np;
    }
    return moving;
  }

  /// One step of the sources that are not done; the others become passive. Where no part of it
  /// keeps the objective from rising, the source that is farthest off stays behind. @return false
  /// when nobody moved
  bool step(const NewtonStep& newton, double& value) {
    for (;;) {
      const std::size_t farthest = propose(newton);
      if (from_.empty()) {
        return false;
      }
      if (search(value)) {
        return true;
      }
      stuck_[farthest] = 1;
      scene_.sources()[farthest].curvature.fill(0.0);
    }
  }

  /// Values and changes of those who move, in the order of the newly active parameters. @return
  /// the source with the largest step
  std::size_t propose(const NewtonStep& newton) {
    from_.clear();
    change_.clear();
    std::size_t first = 0;
    std::size_t farthest = 0;
    double largest = 0.0;
    // A step of all sources together is only right when those it couples take part.
    const bool joint = count_active(scene_) == count_movable();
    for (std::size_t s = 0; s < scene_.sources().size(); ++s) {
      Source& source = scene_.sources()[s];
      if (newton_source_[s] == 0) {
        continue;
      }
      const auto np = static_cast<std::size_t>(source.n_parameters);
      source.active = moves(s) || (joint && movable(s) && remaining_[s] > kJointShare * tolerance_);
      if (source.active) {
        double scale = 1.0;
        for (std::size_t k = 0; k < np; ++k) {
          const double d = std::abs(newton.step[first + k]);
          scale = d * scale > kStepLimit[k] ? kStepLimit[k] / d : scale;
        }
        for (std::size_t k = 0; k < np; ++k) {
          const double at = newton.x[first + k];
          const double to = std::clamp(at + scale * newton.step[first + k], newton.lower[first + k],
                                       newton.upper[first + k]);
          move_[s][k] = to - at;
          old_gradient_[s][k] = newton.gradient[first + k];
          from_.push_back(at);
          change_.push_back(to - at);
        }
        if (remaining_[s] > largest) {
          largest = remaining_[s];
          farthest = s;
        }
      }
      first += np;
    }
    return farthest;
  }

  /// The largest part of a step that does not raise the objective. @return false when none
  bool search(double& value) {
    PatchProblem problem(scene_);
    const double start = value;
    double part = 1.0;
    for (int trial = 0; trial < 5; ++trial, part *= 0.4) {
      to_ = from_;
      for (std::size_t i = 0; i < to_.size(); ++i) {
        to_[i] += part * change_[i];
      }
      // Most full steps are accepted and need derivatives next.
      value = trial == 0 ? problem.value_with_derivatives(to_) : problem.value(to_);
      if (value <= start + std::max(kValueNoise, kRelativeNoise * start)) {
        shorten(part);
        return true;
      }
    }
    problem.set(from_);
    value = start;
    return false;
  }

  void shorten(double part) {
    for (std::size_t s = 0; part < 1.0 && s < scene_.sources().size(); ++s) {
      if (scene_.sources()[s].active) {
        for (double& m : move_[s]) {
          m *= part;
        }
      }
    }
  }

  bool finish(bool done) {
    NewtonStep& newton = newton_;
    std::size_t i = 0;
    report_.prior_precision.clear();
    for (std::size_t s = 0; s < scene_.sources().size(); ++s) {
      const Source& source = scene_.sources()[s];
      for (int k = 0; source.active && k < source.n_parameters; ++k, ++i) {
        report_.prior_precision.push_back(prior_precision(scene_, source, k));
      }
    }
    report_.inverse_hessian = inverse_hessian(newton);
    report_.inverse = inverse_normal(newton);
    report_.newton_step = newton.step;
    return done;
  }

  static constexpr double kLeastAlong = 1e-3;
  /// Sources that take part in a step of all, as a share of the tolerance.
  static constexpr double kJointShare = 0.1;
  /// Steps that tell more about the valley than about rounding, in errors.
  static constexpr double kSecantStep = 0.002;

  Scene& scene_;
  SolveReport& report_;
  int iterations_before_;
  std::vector<std::array<double, kMaxParameters>> move_;
  std::vector<std::array<double, kMaxParameters>> old_gradient_;
  std::vector<double> remaining_;  ///< in errors
  /// Sources whose own step does not lower the objective.
  std::vector<unsigned char> stuck_;
  std::vector<unsigned char> newton_source_;  ///< those with parameters in the last NewtonStep
  NewtonStep newton_;
  std::vector<double> move_all_;
  double tolerance_;
  std::vector<double> from_;  ///< values of those who move
  std::vector<double> change_;
  std::vector<double> to_;
};

}  // namespace

PolishResult polish(Scene& scene, SolveReport& report, int iterations_before, int budget,
                    double tolerance) {
  Polish work(scene, report, iterations_before, tolerance);
  const bool done = work.run(budget);
  return {done, work.stuck()};
}

}  // namespace skyloom::photometry::fit
