#include "pipelines/photometry/fit/kernel_polish.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

#include "pipelines/photometry/fit/kernel_problem.hpp"

namespace skyloom::photometry::fit {

namespace {

/// Gauss-Newton converges linearly where the residuals bend the valley: per source, the step of the
/// matrix is stretched by the secant of its own gradient.
constexpr double kStretchMin = 0.25;
constexpr double kStretchMax = 4.0;

/// Takes full steps until no source would move by more than kDoneStep of its errors. Steps shrink
/// by a factor of about 0.8 in the valleys of faint galaxies, so the way that is left is several
/// steps long.
class Polish {
 public:
  Polish(Scene& scene, SolveReport& report, int iterations_before)
      : scene_(scene),
        report_(report),
        iterations_before_(iterations_before),
        stretch_(scene.sources().size(), 1.0),
        move_(scene.sources().size()),
        old_gradient_(scene.sources().size()),
        remaining_(scene.sources().size(), 0.0),
        stuck_(scene.sources().size(), 0),
        newton_source_(scene.sources().size(), 0) {
    wake_all(scene_);
    const auto n = static_cast<std::size_t>(scene_.active_parameters());
    from_.reserve(n);
    change_.reserve(n);
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
      const int moving = look(newton);
      if (moving == 0 && all) {
        return finish(stuck().empty());
      }
      if (i >= budget) {
        break;
      }
      if (moving == 0) {
        wake_all(scene_);
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
      all = count_active(scene_) == count_free();
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
  [[nodiscard]] int count_free() const {
    return static_cast<int>(std::count_if(scene_.sources().begin(), scene_.sources().end(),
                                          [](const Source& s) { return s.free; }));
  }

  [[nodiscard]] bool moves(std::size_t s) const {
    return scene_.sources()[s].active && stuck_[s] == 0 && remaining_[s] > kDoneStep;
  }

  void forget() {
    for (auto& m : move_) {
      m.fill(0.0);
    }
  }

  /// Updates stretches, and how far each active source still is. @return how many are not done
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
      double before = 0.0;
      double after = 0.0;
      double size = 0.0;
      double largest = 0.0;
      for (std::size_t k = 0; k < np; ++k) {
        const double sigma = newton.sigma[first + k];
        before -= move_[s][k] * old_gradient_[s][k];
        after -= move_[s][k] * newton.gradient[first + k];
        size = std::max(size, std::abs(move_[s][k]) / sigma);
        largest = std::max(largest, std::abs(newton.step[first + k]) / sigma);
      }
      if (size > kSecantStep && before > 0.0) {
        const double left = after / before;
        const double wanted = left < 1.0 ? stretch_[s] / (1.0 - left) : kStretchMax;
        stretch_[s] = std::clamp(wanted, std::max(kStretchMin, 0.4 * stretch_[s]),
                                 std::min(kStretchMax, 2.5 * stretch_[s]));
      }
      remaining_[s] = largest * std::max(1.0, stretch_[s]);
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
    for (std::size_t s = 0; s < scene_.sources().size(); ++s) {
      Source& source = scene_.sources()[s];
      if (newton_source_[s] == 0) {
        continue;
      }
      const auto np = static_cast<std::size_t>(source.n_parameters);
      source.active = moves(s);
      if (source.active) {
        double scale = stretch_[s];
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
        stretch_[s] = std::max(kStretchMin, part * stretch_[s]);
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
        newton.step[i] *= std::max(1.0, stretch_[s]);
      }
    }
    report_.inverse = inverse_normal(newton);
    report_.newton_step = newton.step;
    return done;
  }

  static constexpr double kDoneStep = 0.003;
  /// Steps that tell more about the valley than about rounding, in errors.
  static constexpr double kSecantStep = 0.01;

  Scene& scene_;
  SolveReport& report_;
  int iterations_before_;
  std::vector<double> stretch_;
  std::vector<std::array<double, kMaxParameters>> move_;
  std::vector<std::array<double, kMaxParameters>> old_gradient_;
  std::vector<double> remaining_;  ///< in errors
  /// Sources whose own step does not lower the objective.
  std::vector<unsigned char> stuck_;
  std::vector<unsigned char> newton_source_;  ///< those with parameters in the last NewtonStep
  NewtonStep newton_;
  std::vector<double> from_;  ///< values of those who move
  std::vector<double> change_;
  std::vector<double> to_;
};

}  // namespace

PolishResult polish(Scene& scene, SolveReport& report, int iterations_before, int budget) {
  Polish work(scene, report, iterations_before);
  const bool done = work.run(budget);
  return {done, work.stuck()};
}

}  // namespace skyloom::photometry::fit
