#include "pipelines/photometry/fit/kernel_solve.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "skyloom/core/errors.hpp"
#include "skyloom/numerics/least_squares.hpp"

namespace skyloom::photometry::fit {

namespace {

using numerics::LeastSquaresResult;
using numerics::Outcome;
using numerics::Verdict;

constexpr double kPriorSigma[kMaxParameters] = {1.0, 1.0, 0.7, 0.5, 0.5, 1.5};
/// Total S/N at which the weak prior has half its precision.
constexpr double kFadeSignalToNoise = 6.0;
/// First approach on boxes that leave out this many times more.
constexpr double kCoarse = 3.0;
/// Share of its light in a neighbour's box that a halo source at its start may have wrong.
constexpr double kStartError = 0.3;
/// Errors of a reported flux that may come from a halo source held at its start.
constexpr double kRemote = 0.01;
/// Full steps after the first approach.
constexpr int kPolishSteps = 25;
constexpr double kStepLimit[kMaxParameters] = {1.0, 1.0, 0.7, 0.5, 0.5, 1.0};
/// A source whose last step was below this many conditional errors leaves the solve. TAO converges
/// quadratically, damping does not.
constexpr double kQuietTao = 0.1;
constexpr double kQuietLm = 0.03;
/// Two steps in a row that gain less in lnp end a solve.
constexpr double kStall = 0.005;
/// chi2 of 1e5 summed from floats wanders by this much.
constexpr double kValueNoise = 1e-3;

double prior_precision(const Scene& scene, const Source& source, int k) {
  if (scene.input().options.shape_prior == ShapePrior::none) {
    return 0.0;
  }
  // The index starts at the same value for everybody: there its prior favours no start.
  const double scale = k == 5 ? 1.0 : source.prior_scale;
  return scale / (kPriorSigma[k] * kPriorSigma[k]);
}

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
    diagonal_.resize(n_);
    for (const Source& source : scene_.sources()) {
      for (int k = 0; source.active && k < source.n_parameters; ++k, ++i) {
        h[i * n_ + i] += prior_precision(scene_, source, k);
        diagonal_[i] = h[i * n_ + i];
      }
    }
  }

  /// Diagonal of the last normal matrix; empty before the first.
  [[nodiscard]] const std::vector<double>& diagonal() const { return diagonal_; }

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
        const double pull = (source.value[p] - source.start[p]) * prior_precision(scene_, source, k);
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
  std::vector<double> diagonal_;
};

/// Watches one solve: history, quiet sources, stalls, the caller's wish to stop.
class Monitor {
 public:
  Monitor(Scene& scene, const PatchProblem& problem, SolveReport& report, int iterations_before)
      : scene_(scene),
        problem_(problem),
        report_(report),
        iterations_before_(iterations_before),
        quiet_(scene.sources().size(), 0) {}

  Verdict operator()(const numerics::Step& step) {
    if (scene_.input().stop && scene_.input().stop()) {
      report_.stopped = true;
      return Verdict::stop;
    }
    const bool first = last_x_.empty();
    int n_active = 0;
    const int n_quiet = first ? 0 : count_quiet(step.x, n_active);
    if (!first) {
      const double gain = last_value_ - step.value;
      report_.dlnp_last = gain;
      report_.history.push_back({iterations_before_ + step.iteration, 2.0 * step.value, n_active});
      stalled_ = gain < std::max(kStall, scene_.input().options.dlnp_stop) ? stalled_ + 1 : 0;
    }
    last_x_.assign(step.x.begin(), step.x.end());
    last_value_ = step.value;
    const bool enough = n_quiet == n_active || (n_active >= 4 && 2 * n_quiet >= n_active);
    if (!first && (stalled_ >= 2 || enough)) {
      return Verdict::converged;
    }
    return Verdict::proceed;
  }

  [[nodiscard]] bool stalled() const { return stalled_ >= 2; }
  [[nodiscard]] bool quiet(std::size_t s) const { return quiet_[s] != 0; }

 private:
  int count_quiet(std::span<const double> x, int& n_active) {
    const double limit = scene_.input().options.solver == Solver::tao_bnls ? kQuietTao : kQuietLm;
    const auto& diagonal = problem_.diagonal();
    int n_quiet = 0;
    std::size_t i = 0;
    for (std::size_t s = 0; s < scene_.sources().size(); ++s) {
      const Source& source = scene_.sources()[s];
      if (!source.active) {
        continue;
      }
      double largest = 0.0;
      for (int k = 0; k < source.n_parameters; ++k, ++i) {
        const double sigma = diagonal.empty() ? 1e30 : std::sqrt(std::max(0.0, diagonal[i]));
        largest = std::max(largest, std::abs(x[i] - last_x_[i]) * sigma);
      }
      quiet_[s] = largest < limit ? 1 : 0;
      n_quiet += quiet_[s];
      ++n_active;
    }
    return n_quiet;
  }

  Scene& scene_;
  const PatchProblem& problem_;
  SolveReport& report_;
  int iterations_before_;
  std::vector<unsigned char> quiet_;
  std::vector<double> last_x_;
  double last_value_ = 0.0;
  int stalled_ = 0;
};

void wake_all(Scene& scene) {
  for (Source& source : scene.sources()) {
    source.active = source.free;
  }
}

int count_active(const Scene& scene) {
  return static_cast<int>(std::count_if(scene.sources().begin(), scene.sources().end(),
                                        [](const Source& s) { return s.active; }));
}

/// One solve of the active sources. @return false when the rest of the cycle makes no sense
bool solve_active(Scene& scene, SolveReport& report, int budget, int iterations_before) {
  PatchProblem problem(scene);
  Monitor monitor(scene, problem, report, iterations_before + report.iterations);
  std::vector<double> x;
  std::vector<double> lower;
  std::vector<double> upper;
  problem.pack(x, lower, upper);
  numerics::LeastSquaresOptions options;
  options.max_iterations = budget;
  options.value_noise = kValueNoise;
  options.monitor = [&monitor](const numerics::Step& step) { return monitor(step); };
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    const Source& source = scene.sources()[s];
    for (int k = 0; source.active && k < source.n_parameters; ++k) {
      options.group.push_back(static_cast<int>(s));
      options.step_limit.push_back(kStepLimit[k]);
    }
  }
  LeastSquaresResult result;
  if (scene.input().options.solver == Solver::tao_bnls) {
    result = numerics::minimize_tao(problem, x, lower, upper, options);
  }
  if (scene.input().options.solver == Solver::levenberg_marquardt ||
      result.outcome == Outcome::failed) {
    result = numerics::minimize_lm(problem, x, lower, upper, options);
  }
  if (result.outcome == Outcome::failed) {
    throw UnitError(Reason::numerical, "patch fit: " + result.detail);
  }
  problem.set(result.x);
  report.iterations += std::max(1, result.iterations);
  if (result.outcome != Outcome::by_monitor || monitor.stalled()) {
    return false;
  }
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    Source& source = scene.sources()[s];
    source.active = source.active && !monitor.quiet(s);
  }
  return true;
}

/// @throws UnitError numerical
numerics::SmallCholesky factored(std::vector<double> matrix, std::size_t n) {
  numerics::add_ridge(matrix, static_cast<int>(n));
  numerics::SmallCholesky factor;
  if (!factor.factor(matrix, static_cast<int>(n)) &&
      !factor.factor(matrix, static_cast<int>(n), 1e-6)) {
    throw UnitError(Reason::numerical, "patch fit: the normal matrix is not positive definite");
  }
  return factor;
}

/// What the next Gauss-Newton step of the active sources is.
struct NewtonStep {
  double value = 0.0;  ///< objective
  std::vector<double> x;
  std::vector<double> lower;
  std::vector<double> upper;
  std::vector<double> gradient;
  std::vector<double> normal;  ///< with the prior
  std::vector<double> step;    ///< 0 where a bound holds
  std::vector<double> inverse;
};

/// Gradient, matrix and step at the present values; parameters at a bound with an outward gradient
/// stay.
NewtonStep newton_step(Scene& scene) {
  PatchProblem problem(scene);
  NewtonStep newton;
  problem.pack(newton.x, newton.lower, newton.upper);
  const std::size_t n = newton.x.size();
  newton.gradient.resize(n);
  newton.value = problem.gradient(newton.x, newton.gradient);
  if (!std::isfinite(newton.value)) {
    throw UnitError(Reason::numerical, "patch fit: the objective is not finite");
  }
  if (n == 0) {
    return newton;
  }
  newton.normal.resize(n * n);
  problem.normal_matrix(newton.x, newton.normal);
  // Parameters pressed against a bound: decoupled, so that the others get their own step.
  std::vector<double> matrix = newton.normal;
  newton.step.resize(n);
  bool bound = false;
  for (std::size_t i = 0; i < n; ++i) {
    const double g = newton.gradient[i];
    newton.step[i] = -g;
    if ((newton.x[i] <= newton.lower[i] && g > 0.0) ||
        (newton.x[i] >= newton.upper[i] && g < 0.0)) {
      bound = true;
      newton.step[i] = 0.0;
      for (std::size_t k = 0; k < n; ++k) {
        matrix[i * n + k] = 0.0;
        matrix[k * n + i] = 0.0;
      }
      matrix[i * n + i] = 1.0;
    }
  }
  auto factor = factored(matrix, n);
  factor.solve(newton.step);
  newton.inverse = bound ? factored(newton.normal, n).inverse() : factor.inverse();
  return newton;
}

double total_signal_to_noise(const Scene& scene, std::size_t s) {
  double sum = 0.0;
  for (int b = 0; b < scene.n_bands(); ++b) {
    const BandSystem& band = scene.band(b);
    const double flux = scene.sources()[s].flux[static_cast<std::size_t>(b)];
    for (std::size_t i = 0; i < band.source.size(); ++i) {
      if (band.source[i] == static_cast<int>(s) && flux > 0.0) {
        const auto size = static_cast<std::size_t>(band.size());
        sum += flux * flux * band.matrix[i * size + i];
      }
    }
  }
  return std::sqrt(sum);
}

/// Undetected sources have no shape to fit; without a prior they go back to their start.
void flag_faint(Scene& scene) {
  constexpr double kFaint = 3.0;
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    Source& source = scene.sources()[s];
    if (!source.free) {
      continue;
    }
    if (total_signal_to_noise(scene, s) >= kFaint) {
      source.flags &= ~static_cast<std::uint32_t>(kFlagFaintShape);
      continue;
    }
    source.flags |= kFlagFaintShape;
    if (scene.input().options.shape_prior == ShapePrior::none) {
      source.value = source.start;
      scene.hold(static_cast<int>(s));
    }
  }
}

/// Standard deviation of the sky in the deepest frame of a band; 0 without good pixels.
double pixel_error(const Scene& scene, std::size_t b) {
  double weight = 0.0;
  for (const Frame& frame : scene.frames()) {
    weight = frame.input->band == static_cast<int>(b) ? std::max(weight, frame.mean_weight) : weight;
  }
  return weight > 0.0 ? 1.0 / std::sqrt(weight) : 0.0;
}

/// Halo sources whose light hardly touches a reported source keep the position and shape they
/// start with.
void hold_remote(Scene& scene) {
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    const Source& source = scene.sources()[s];
    if (source.free && source.role == Role::halo_free &&
        kStartError * scene.influence(static_cast<int>(s)) < kRemote) {
      scene.hold(static_cast<int>(s));
    }
  }
}

/// Boxes for the fluxes, positions and shapes of the last evaluation, wherever the fit started.
void settle_boxes(Scene& scene) {
  bool changed = false;
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    Source& source = scene.sources()[s];
    for (std::size_t b = 0; b < source.flux.size(); ++b) {
      if (std::isfinite(source.flux[b])) {
        // Ten pixel errors at least: a start that is off by a pixel loses flux.
        source.box_flux[b] = std::max(std::abs(source.flux[b]), 10.0 * pixel_error(scene, b));
      }
    }
    changed = scene.place(static_cast<int>(s)) || changed;
  }
  if (changed) {
    scene.find_pairs();
  }
}

/// Detected sources are placed and shaped by the data: their prior fades.
void fade_prior(Scene& scene) {
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    const double ratio = total_signal_to_noise(scene, s) / kFadeSignalToNoise;
    scene.sources()[s].prior_scale = 1.0 / (1.0 + std::pow(ratio, 4.0));
  }
}

/// Boxes again for sources that became brighter, larger, or moved. @return true when any changed
bool place_again(Scene& scene) {
  bool changed = false;
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    Source& source = scene.sources()[s];
    bool grown = source.type != SourceType::star && source.value[2] > source.box_log_re + 0.5;
    for (std::size_t b = 0; b < source.flux.size(); ++b) {
      grown = grown || source.flux[b] > 2.0 * source.box_flux[b];
    }
    if (!grown) {
      continue;
    }
    for (std::size_t b = 0; b < source.flux.size(); ++b) {
      source.box_flux[b] = std::isfinite(source.flux[b])
                               ? std::max(source.box_flux[b], source.flux[b])
                               : source.box_flux[b];
    }
    changed = scene.place(static_cast<int>(s)) || changed;
  }
  if (changed) {
    scene.find_pairs();
  }
  return changed;
}

/// Gauss-Newton converges linearly where the residuals bend the valley: per source, the step of the
/// matrix is stretched by the secant of its own gradient.
constexpr double kStretchMin = 0.25;
constexpr double kStretchMax = 4.0;

/// Takes full steps until no source would move by more than kDoneStep of its errors.
class Polish {
 public:
  Polish(Scene& scene, SolveReport& report, int iterations_before)
      : scene_(scene),
        report_(report),
        iterations_before_(iterations_before),
        stretch_(scene.sources().size(), 1.0),
        move_(scene.sources().size()),
        old_gradient_(scene.sources().size()),
        remaining_(scene.sources().size(), 0.0) {}

  /// @return true when every source is done
  bool run(int budget) {
    wake_all(scene_);
    forget();
    NewtonStep newton = newton_step(scene_);
    double value = newton.value;
    bool all = true;
    for (int i = 0;; ++i) {
      if (scene_.input().stop && scene_.input().stop()) {
        report_.stopped = true;
        return false;
      }
      const int moving = look(newton);
      if (moving == 0 && all) {
        return finish(std::move(newton), true);
      }
      if (i >= budget || moving < 0) {
        break;
      }
      if (moving == 0) {
        wake_all(scene_);
        forget();
        newton = newton_step(scene_);
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
      newton = newton_step(scene_);
      value = newton.value;
    }
    wake_all(scene_);
    forget();
    newton = newton_step(scene_);
    look(newton);
    return finish(std::move(newton), false);
  }

 private:
  [[nodiscard]] int count_free() const {
    return static_cast<int>(std::count_if(scene_.sources().begin(), scene_.sources().end(),
                                          [](const Source& s) { return s.free; }));
  }

  void forget() {
    for (auto& m : move_) {
      m.fill(0.0);
    }
  }

  /// Updates stretches, and how far each active source still is. @return how many are not done
  int look(const NewtonStep& newton) {
    const std::size_t n = newton.x.size();
    std::size_t first = 0;
    int moving = 0;
    for (std::size_t s = 0; s < scene_.sources().size(); ++s) {
      const Source& source = scene_.sources()[s];
      if (!source.active) {
        continue;
      }
      const auto np = static_cast<std::size_t>(source.n_parameters);
      double before = 0.0;
      double after = 0.0;
      double size = 0.0;
      double largest = 0.0;
      for (std::size_t k = 0; k < np; ++k) {
        const double sigma = std::sqrt(std::max(1e-24, newton.inverse[(first + k) * n + first + k]));
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
      moving += remaining_[s] > kDoneStep ? 1 : 0;
      first += np;
    }
    return moving;
  }

  /// One step of the sources that are not done; the others become passive. @return false when no
  /// part of it keeps the objective from rising
  bool step(const NewtonStep& newton, double& value) {
    std::size_t first = 0;
    std::vector<double> x;
    std::vector<double> move;
    for (std::size_t s = 0; s < scene_.sources().size(); ++s) {
      Source& source = scene_.sources()[s];
      if (!source.active) {
        continue;
      }
      const auto np = static_cast<std::size_t>(source.n_parameters);
      if (remaining_[s] > kDoneStep) {
        double scale = stretch_[s];
        for (std::size_t k = 0; k < np; ++k) {
          const double d = std::abs(newton.step[first + k]);
          scale = d * scale > kStepLimit[k] ? kStepLimit[k] / d : scale;
        }
        for (std::size_t k = 0; k < np; ++k) {
          const double at = newton.x[first + k];
          const double to = std::clamp(at + scale * newton.step[first + k],
                                       newton.lower[first + k], newton.upper[first + k]);
          move_[s][k] = to - at;
          old_gradient_[s][k] = newton.gradient[first + k];
          x.push_back(at);
          move.push_back(to - at);
        }
      } else {
        source.active = false;
      }
      first += np;
    }
    PatchProblem problem(scene_);
    const double start = value;
    double part = 1.0;
    for (int trial = 0; trial < 5; ++trial, part *= 0.4) {
      std::vector<double> to = x;
      for (std::size_t i = 0; i < x.size(); ++i) {
        to[i] += part * move[i];
      }
      value = problem.value(to);
      if (value <= start + kValueNoise) {
        shorten(part);
        return true;
      }
    }
    problem.set(x);
    value = start;
    return false;
  }

  void shorten(double part) {
    for (std::size_t s = 0; part < 1.0 && s < scene_.sources().size(); ++s) {
      if (scene_.sources()[s].active) {
        stretch_[s] *= part;
        for (double& m : move_[s]) {
          m *= part;
        }
      }
    }
  }

  bool finish(NewtonStep newton, bool done) {
    std::size_t i = 0;
    report_.prior_precision.clear();
    for (std::size_t s = 0; s < scene_.sources().size(); ++s) {
      const Source& source = scene_.sources()[s];
      for (int k = 0; source.active && k < source.n_parameters; ++k, ++i) {
        report_.prior_precision.push_back(prior_precision(scene_, source, k));
        newton.step[i] *= std::max(1.0, stretch_[s]);
      }
    }
    report_.normal = std::move(newton.normal);
    report_.inverse = std::move(newton.inverse);
    report_.newton_step = std::move(newton.step);
    return done;
  }

  static constexpr double kDoneStep = 0.01;
  /// Steps that tell more about the valley than about rounding, in errors.
  static constexpr double kSecantStep = 0.01;

  Scene& scene_;
  SolveReport& report_;
  int iterations_before_;
  std::vector<double> stretch_;
  std::vector<std::array<double, kMaxParameters>> move_;
  std::vector<std::array<double, kMaxParameters>> old_gradient_;
  std::vector<double> remaining_;  ///< in errors
};

/// First approach on coarse boxes: who becomes quiet leaves the solve.
void approach(Scene& scene, SolveReport& report, int iterations_before) {
  constexpr int kCycles = 3;
  const int limit = scene.input().options.max_iterations;
  for (int cycle = 0; cycle < kCycles; ++cycle) {
    wake_all(scene);
    while (count_active(scene) > 0 && report.iterations < limit && !report.stopped) {
      if (!solve_active(scene, report, limit - report.iterations, iterations_before)) {
        break;
      }
    }
    if (report.stopped) {
      return;
    }
    scene.evaluate(false);
    if (!place_again(scene) || report.iterations >= limit) {
      return;
    }
  }
}

}  // namespace

void place_sources(Scene& scene) {
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    Source& source = scene.sources()[s];
    for (std::size_t b = 0; b < source.box_flux.size(); ++b) {
      if (!(std::isfinite(source.box_flux[b]) && source.box_flux[b] > 0.0)) {
        // About 50 sigma in a few pixels.
        source.box_flux[b] = std::max(1e-30, 200.0 * pixel_error(scene, b));
      }
    }
    scene.place(static_cast<int>(s));
  }
  scene.find_pairs();
  scene.evaluate(false);
  hold_remote(scene);
  settle_boxes(scene);
}

SolveReport solve(Scene& scene, bool first, int iterations_before) {
  SolveReport report;
  const int limit = scene.input().options.max_iterations;
  if (first) {
    scene.set_truncation(kCoarse * scene.input().options.truncation_sigma);
    place_sources(scene);
    approach(scene, report, iterations_before);
    if (report.stopped) {
      return report;
    }
    scene.set_truncation(scene.input().options.truncation_sigma);
  }
  flag_faint(scene);
  fade_prior(scene);
  settle_boxes(scene);
  // Boxes may have to grow again, and a source left behind gets another approach.
  constexpr int kCycles = 3;
  Polish polish(scene, report, iterations_before);
  for (int cycle = 0; cycle < kCycles && !report.stopped; ++cycle) {
    const bool done = polish.run(std::min(kPolishSteps, limit - report.iterations));
    const bool placed = !report.stopped && place_again(scene);
    if (placed && cycle + 1 == kCycles) {
      polish.run(0);
    }
    if (report.iterations >= limit || (done && !placed)) {
      break;
    }
  }
  return report;
}

}  // namespace skyloom::photometry::fit
