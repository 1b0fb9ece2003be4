#include "pipelines/photometry/fit/kernel_solve.hpp"

#include <algorithm>
#include <cmath>

#include "skyloom/core/errors.hpp"
#include "skyloom/numerics/least_squares.hpp"

namespace skyloom::photometry::fit {

namespace {

using numerics::LeastSquaresResult;
using numerics::Outcome;
using numerics::Verdict;

constexpr double kPriorSigma[kMaxParameters] = {1.0, 1.0, 0.7, 0.5, 0.5, 1.5};
constexpr double kStepLimit[kMaxParameters] = {1.0, 1.0, 0.7, 0.5, 0.5, 1.0};
/// A source whose last step was below this many conditional errors leaves the solve. TAO converges
/// quadratically, damping does not.
constexpr double kQuietTao = 0.1;
constexpr double kQuietLm = 0.03;
/// Two steps in a row that gain less in lnp end a solve.
constexpr double kStall = 0.005;
/// Gain in lnp that one more Newton step promises, below which the patch is settled.
constexpr double kSettledGain = 0.01;
/// chi2 of 1e5 summed from floats wanders by this much.
constexpr double kValueNoise = 1e-3;

double prior_precision(const Scene& scene, int k) {
  return scene.input().options.shape_prior == ShapePrior::weak
             ? 1.0 / (kPriorSigma[k] * kPriorSigma[k])
             : 0.0;
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
        h[i * n_ + i] += prior_precision(scene_, k);
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
        const double pull = (source.value[p] - source.start[p]) * prior_precision(scene_, k);
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

/// Newton step of all free sources from full gradient and matrix; parameters at a bound with an
/// outward gradient stay.
void final_test(Scene& scene, SolveReport& report) {
  wake_all(scene);
  PatchProblem problem(scene);
  std::vector<double> x;
  std::vector<double> lower;
  std::vector<double> upper;
  problem.pack(x, lower, upper);
  const std::size_t n = x.size();
  std::vector<double> g(n);
  const double value = problem.gradient(x, g);
  if (!std::isfinite(value)) {
    throw UnitError(Reason::numerical, "patch fit: the objective is not finite");
  }
  report.normal.assign(n * n, 0.0);
  report.newton_step.assign(n, 0.0);
  report.prior_precision.clear();
  report.settled = true;
  if (n == 0) {
    return;
  }
  problem.normal_matrix(x, report.normal);
  for (const Source& source : scene.sources()) {
    for (int k = 0; source.active && k < source.n_parameters; ++k) {
      report.prior_precision.push_back(prior_precision(scene, k));
    }
  }
  // Parameters pressed against a bound: decoupled, so that the others get their own step.
  std::vector<double> matrix = report.normal;
  bool bound = false;
  for (std::size_t i = 0; i < n; ++i) {
    report.newton_step[i] = -g[i];
    if ((x[i] <= lower[i] && g[i] > 0.0) || (x[i] >= upper[i] && g[i] < 0.0)) {
      bound = true;
      report.newton_step[i] = 0.0;
      for (std::size_t k = 0; k < n; ++k) {
        matrix[i * n + k] = 0.0;
        matrix[k * n + i] = 0.0;
      }
      matrix[i * n + i] = 1.0;
    }
  }
  auto factor = factored(matrix, n);
  factor.solve(report.newton_step);
  report.inverse = bound ? factored(report.normal, n).inverse() : factor.inverse();
  double gain = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    gain -= 0.5 * g[i] * report.newton_step[i];
  }
  report.settled = gain < kSettledGain;
}

/// Leaves only the sources active whose next step would be noticeable. @return how many
int wake_unconverged(Scene& scene, const SolveReport& report) {
  const std::size_t n = report.newton_step.size();
  std::size_t i = 0;
  int count = 0;
  for (Source& source : scene.sources()) {
    if (!source.free) {
      continue;
    }
    bool moves = false;
    for (int k = 0; k < source.n_parameters; ++k, ++i) {
      const double sigma = std::sqrt(std::max(1e-24, report.inverse[i * n + i]));
      moves = moves || std::abs(report.newton_step[i]) > kConvergedStep * sigma;
    }
    source.active = moves;
    count += moves ? 1 : 0;
  }
  return count;
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
bool flag_faint(Scene& scene) {
  constexpr double kFaint = 3.0;
  bool changed = false;
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
      source.free = false;
      source.flags |= kFlagNotFitted;
      changed = true;
    }
  }
  return changed;
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
    const int half = source.half;
    for (std::size_t b = 0; b < source.flux.size(); ++b) {
      source.box_flux[b] = std::isfinite(source.flux[b])
                               ? std::max(source.box_flux[b], source.flux[b])
                               : source.box_flux[b];
    }
    scene.place(static_cast<int>(s));
    changed = changed || source.half != half || source.type != SourceType::star;
  }
  if (changed) {
    scene.find_pairs();
  }
  return changed;
}

}  // namespace

void place_sources(Scene& scene) {
  bool unknown = false;
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    Source& source = scene.sources()[s];
    std::vector<bool> known(source.box_flux.size());
    for (std::size_t b = 0; b < source.box_flux.size(); ++b) {
      known[b] = std::isfinite(source.box_flux[b]) && source.box_flux[b] > 0.0;
      if (known[b]) {
        continue;
      }
      unknown = true;
      // In units of the noise: about 50 sigma in a few pixels.
      double weight = 0.0;
      for (const Frame& frame : scene.frames()) {
        weight =
            frame.input->band == static_cast<int>(b) ? std::max(weight, frame.mean_weight) : weight;
      }
      source.box_flux[b] = weight > 0.0 ? 200.0 / std::sqrt(weight) : 1.0;
    }
    scene.place(static_cast<int>(s));
  }
  scene.find_pairs();
  if (!unknown) {
    return;
  }
  scene.evaluate(false);
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    Source& source = scene.sources()[s];
    const auto& given = scene.input().sources[s].flux;
    for (std::size_t b = 0; b < source.box_flux.size(); ++b) {
      const bool known = b < given.size() && std::isfinite(given[b]) && given[b] != 0.0;
      if (!known && std::isfinite(source.flux[b])) {
        double weight = 0.0;
        for (const Frame& frame : scene.frames()) {
          weight = frame.input->band == static_cast<int>(b) ? std::max(weight, frame.mean_weight)
                                                            : weight;
        }
        // Ten pixel errors at least: a start that is off by a pixel loses flux.
        source.box_flux[b] =
            std::max(std::abs(source.flux[b]), weight > 0.0 ? 10.0 / std::sqrt(weight) : 0.0);
      }
    }
    scene.place(static_cast<int>(s));
  }
  scene.find_pairs();
}

SolveReport solve(Scene& scene, int iterations_before) {
  // How often boxes may be chosen again and everybody be woken before the rest is reported as is.
  constexpr int kCycles = 5;
  SolveReport report;
  const int limit = scene.input().options.max_iterations;
  wake_all(scene);
  for (int cycle = 0; cycle < kCycles; ++cycle) {
    while (count_active(scene) > 0 && report.iterations < limit && !report.stopped) {
      if (!solve_active(scene, report, limit - report.iterations, iterations_before)) {
        break;
      }
    }
    if (report.stopped) {
      return report;
    }
    wake_all(scene);
    scene.evaluate(false);
    const bool faint = flag_faint(scene);
    const bool placed = place_again(scene);
    final_test(scene, report);
    if (report.iterations >= limit) {
      break;
    }
    const bool changed = placed || faint || !report.settled;
    if (!changed && wake_unconverged(scene, report) == 0) {
      break;
    }
  }
  wake_all(scene);
  return report;
}

}  // namespace skyloom::photometry::fit
