#include "pipelines/photometry/fit/kernel_solve.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "pipelines/photometry/fit/kernel_polish.hpp"
#include "pipelines/photometry/fit/kernel_problem.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/numerics/least_squares.hpp"

namespace skyloom::photometry::fit {

namespace {

using numerics::LeastSquaresResult;
using numerics::Outcome;
using numerics::Verdict;

/// Total S/N at which the weak prior has half its precision, by type: below, the shape of a galaxy
/// follows the sky of its patch further than a linear correction reaches.
constexpr double kFadeSignalToNoise[] = {10.0, 22.0, 22.0, 22.0};
/// Boxes that leave out this many times more, until those of the final accuracy are chosen from the
/// solution on them. With 6, bright halo sources are held too far off: borders show.
constexpr double kCoarse = 3.0;
/// Share of its light in a neighbour's box that a halo source at its start may have wrong.
constexpr double kStartError = 0.6;
/// Errors of a reported flux that may come from a halo source held at its start.
constexpr double kRemote = 0.005;
/// Halo sources of which a smaller share is seen, with a smaller significance, are left out.
constexpr double kSeenShare = 0.01;
constexpr double kSeenSignificance = 0.5;
/// Total S/N from which a halo source is never held.
constexpr double kBrightHalo = 8.0;
/// Iterations of the first approach at most: what is slow then is a valley that the last phase
/// knows how to follow.
constexpr int kApproachSteps = 20;
/// Full steps after the first approach.
constexpr int kPolishSteps = 25;
/// Steps on coarse boxes end when no source would move by more than this many of its errors, the
/// last ones when none would by the second.
constexpr double kLooseStep = 0.06;
constexpr double kDoneStep = 0.006;
/// A source whose last step was below this many conditional errors leaves the solve. TAO converges
/// quadratically, damping does not.
constexpr double kQuietTao = 1.0;
constexpr double kQuietLm = 0.03;
/// Two steps in a row that gain less in lnp end a solve.
constexpr double kStall = 0.005;
/// Watches one solve: history, quiet sources, stalls, the caller's wish to stop.
class Monitor {
 public:
  Monitor(Scene& scene, SolveReport& report, int iterations_before)
      : scene_(scene),
        report_(report),
        iterations_before_(iterations_before),
        quiet_(scene.sources().size(), 0) {
    scene.work().diagonal.clear();
    last_x_.reserve(static_cast<std::size_t>(scene.active_parameters()));
    report.history.reserve(report.history.size() + static_cast<std::size_t>(std::max(
                                                       1, scene.input().options.max_iterations)));
  }

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
    const auto& diagonal = scene_.work().diagonal;
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
  SolveReport& report_;
  int iterations_before_;
  std::vector<unsigned char> quiet_;
  std::vector<double> last_x_;
  double last_value_ = 0.0;
  int stalled_ = 0;
};

/// One solve of the active sources. @return false when the rest of the cycle makes no sense
bool solve_active(Scene& scene, SolveReport& report, int budget, int iterations_before,
                  Solver solver) {
  PatchProblem problem(scene);
  Monitor monitor(scene, report, iterations_before + report.iterations);
  std::vector<double> x;
  std::vector<double> lower;
  std::vector<double> upper;
  problem.pack(x, lower, upper);
  numerics::LeastSquaresOptions options;
  options.max_iterations = budget;
  // With the derivatives that the solver asks for first.
  options.value_noise = std::max(kValueNoise, kRelativeNoise * 0.5 * scene.evaluate(true));
  options.monitor = [&monitor](const numerics::Step& step) { return monitor(step); };
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    const Source& source = scene.sources()[s];
    for (int k = 0; source.active && k < source.n_parameters; ++k) {
      options.group.push_back(static_cast<int>(s));
      options.step_limit.push_back(kStepLimit[k]);
    }
  }
  LeastSquaresResult result;
  if (solver == Solver::tao_bnls) {
    result = numerics::minimize_tao(problem, x, lower, upper, options);
  }
  if (solver == Solver::levenberg_marquardt || result.outcome == Outcome::failed) {
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
    weight =
        frame.input->band == static_cast<int>(b) ? std::max(weight, frame.mean_weight) : weight;
  }
  return weight > 0.0 ? 1.0 / std::sqrt(weight) : 0.0;
}

/// Halo sources whose light hardly reaches the good pixels: their fluxes, without limits, would
/// follow the noise there.
void leave_out_unseen(Scene& scene) {
  bool any = false;
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    if (scene.sources()[s].role == Role::base) {
      continue;
    }
    const Scene::Seen seen = scene.seen(static_cast<int>(s));
    if (seen.share < kSeenShare && seen.significance < kSeenSignificance) {
      scene.leave_out(static_cast<int>(s));
      any = true;
    }
  }
  if (any) {
    scene.find_pairs();
    scene.evaluate(false);
  }
}

/// Faint halo sources whose light hardly touches a reported source keep the position and shape they
/// start with.
void hold_remote(Scene& scene) {
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    const Source& source = scene.sources()[s];
    if (source.free && source.role == Role::halo_free &&
        total_signal_to_noise(scene, s) < kBrightHalo &&
        kStartError * scene.influence(static_cast<int>(s)) < kRemote) {
      scene.hold(static_cast<int>(s));
    }
  }
}

bool touches_reported(const Scene& scene, const Source& source) {
  return std::any_of(scene.sources().begin(), scene.sources().end(), [&](const Source& other) {
    bool any = false;
    for (std::size_t f = 0; f < scene.frames().size() && other.role == Role::base; ++f) {
      any = any || !source.place[f].clip.intersect(other.place[f].clip).empty();
    }
    return any;
  });
}

/// Bright halo sources away from all reported ones: held at their start, they would leave their
/// errors to the sky of everybody; after the first approach nothing of them matters any more.
void mark_remote(Scene& scene) {
  for (Source& source : scene.sources()) {
    source.remote =
        source.free && source.role == Role::halo_free && !touches_reported(scene, source);
  }
}

void hold_marked(Scene& scene) {
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    if (scene.sources()[s].remote) {
      scene.hold(static_cast<int>(s));
    }
  }
}

/// Boxes for the fluxes, positions and shapes of the last evaluation, wherever the fit started.
/// @return true when any changed: find_pairs() is next
bool choose_boxes(Scene& scene) {
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
  return changed;
}

bool settle_boxes(Scene& scene) {
  const bool changed = choose_boxes(scene);
  if (changed) {
    scene.find_pairs();
  }
  return changed;
}

/// Detected sources are placed and shaped by the data: their prior fades.
void fade_prior(Scene& scene) {
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    Source& source = scene.sources()[s];
    const double ratio =
        total_signal_to_noise(scene, s) / kFadeSignalToNoise[static_cast<std::size_t>(source.type)];
    source.prior_scale = 1.0 / (1.0 + std::pow(ratio, 8.0));
  }
}

/// Priors and boxes from a solution on the final boxes. @return true: there is more to do
bool settle_from_solution(Scene& scene) {
  fade_prior(scene);
  settle_boxes(scene);
  return true;
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

/// The damped method for a few sources, all others held.
void approach_alone(Scene& scene, SolveReport& report, const std::vector<int>& sources, int budget,
                    int iterations_before) {
  for (Source& source : scene.sources()) {
    source.active = false;
  }
  for (const int s : sources) {
    scene.sources()[static_cast<std::size_t>(s)].active = true;
  }
  solve_active(scene, report, budget, iterations_before, Solver::levenberg_marquardt);
}

/// First approach on coarse boxes: who becomes quiet leaves the solve.
void approach(Scene& scene, SolveReport& report, int iterations_before) {
  constexpr int kCycles = 3;
  const int limit = std::min(kApproachSteps, scene.input().options.max_iterations);
  for (int cycle = 0; cycle < kCycles; ++cycle) {
    wake_all(scene);
    while (count_active(scene) > 0 && report.iterations < limit && !report.stopped) {
      if (!solve_active(scene, report, limit - report.iterations, iterations_before,
                        scene.input().options.solver)) {
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
  leave_out_unseen(scene);
  hold_remote(scene);
  // Who is remote is decided with the boxes of the final accuracy.
  const double truncation = scene.truncation();
  scene.set_truncation(scene.input().options.truncation_sigma);
  choose_boxes(scene);
  mark_remote(scene);
  scene.set_truncation(truncation);
  scene.make_room_for_derivatives();
  choose_boxes(scene);
  scene.find_pairs();
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
    hold_marked(scene);
  }
  flag_faint(scene);
  fade_prior(scene);
  settle_boxes(scene);
  // Boxes may have to grow again, and sources that are stuck get another method.
  constexpr int kCycles = 3;
  for (int cycle = 0; cycle < kCycles; ++cycle) {
    const auto result =
        polish(scene, report, iterations_before, std::min(kPolishSteps, limit - report.iterations),
               cycle == 0 ? kLooseStep : kDoneStep);
    scene.set_truncation(scene.input().options.truncation_sigma);
    // Once from the solution, so that the choice does not remember the first approach.
    const bool placed =
        !report.stopped && (cycle == 0 ? settle_from_solution(scene) : place_again(scene));
    const bool last = cycle + 1 == kCycles || report.iterations >= limit;
    if (report.stopped || (!placed && (result.done || last))) {
      return report;
    }
    if (!last && !result.stuck.empty()) {
      approach_alone(scene, report, result.stuck, limit - report.iterations, iterations_before);
    }
    if (last) {
      polish(scene, report, iterations_before, 0, kDoneStep);
      return report;
    }
  }
  return report;
}

}  // namespace skyloom::photometry::fit
