#pragma once
// Injection and recovery in the light curve of one sector: flares of a known shape are added one at
// a time, and the networks and the criterion of the detection decide whether each is found.

#include <cstdint>
#include <span>
#include <vector>

#include "pipelines/flares/detect/kernel_windows.hpp"
#include "pipelines/flares/inject/kernel_decision.hpp"
#include "pipelines/flares/inject/kernel_increment.hpp"
#include "pipelines/flares/inject/kernel_template.hpp"

namespace skyloom::flares {

struct TrialRule {
  DetectionRule detection;
  Criterion criterion = Criterion::detect;
  Combine combine = Combine::median;
  Edge edge = Edge::invalid;
  /// `peer`: the flux is divided by its median after the injection, so that every sample of the
  /// light curve changes; `native`: by that of the quiet light curve.
  GapRule mode = GapRule::native;
  FlareTemplate shape = FlareTemplate::mendoza2022;
  int oversample = 1;  ///< points of the shape averaged per cadence
};

/// The light curve that flares are added to.
struct QuietCurve {
  std::span<const double> time;  ///< strictly increasing [d]
  std::span<const double> flux;  ///< finite, of the same length [e-/s]
  const Windows* windows = nullptr;
  double quiet_median = 0.0;  ///< of the flux outside flares; the unit of amplitudes [e-/s]
};

/// A flare at the time of a cadence.
struct Trial {
  int cadence = 0;
  double amplitude = 0.0;  ///< in quiet_median
  double duration_d = 0.0;
};

/// Values of a flare below this part of the median flux are left out: half a unit in the last place
/// of a single-precision flux of 1.
inline constexpr double kFaintestFlare = 3e-8;

/// Flux that a trial adds to cadence `at`, in quiet_median.
double added_flux(const TrialRule& rule, const QuietCurve& curve, const Trial& trial, int at);

template <class Real>
class Trials {
 public:
  /// Evaluates the quiet light curve. What it is given must outlive it.
  Trials(std::span<const TrialNetwork<Real>> networks, const QuietCurve& curve,
         const TrialRule& rule);

  /// 1 for every trial whose flare is recovered; each is alone in the light curve. A result depends
  /// on its trial only.
  [[nodiscard]] std::vector<std::uint8_t> recovered(std::span<const Trial> trials);

  /// The same with all trials added at once to one light curve, which is searched as a whole.
  [[nodiscard]] std::vector<std::uint8_t> recovered_together(std::span<const Trial> trials) const;

  /// Probabilities of the quiet light curve, as the detection has them.
  [[nodiscard]] const std::vector<double>& probability() const { return probability_; }
  [[nodiscard]] const QuietCurve& curve() const { return curve_; }

 private:
  struct Running;

  void change(const Trial& trial, ChangedCurve<Real>& out) const;
  void renormalise(const Trial& trial, ChangedCurve<Real>& out) const;
  void collect(std::vector<Running>& running);
  void logits(std::size_t network, std::span<const WindowQuestion> questions, double refuse_below,
              std::span<double> out);
  std::vector<std::uint8_t> above(double threshold);
  bool median_above(std::size_t question, double threshold);

  std::span<const TrialNetwork<Real>> networks_;
  QuietCurve curve_;
  TrialRule rule_;
  int reach_;
  std::vector<double> relative_;               // flux / median - 1
  std::vector<QuietActivations<Real>> quiet_;  // per network; empty in mode peer
  std::vector<double> probability_;
  std::vector<ChangedCurve<Real>> curves_;    // of the trials of a batch
  std::vector<WindowQuestion> questions_;     // of a round, by curve
  std::vector<std::vector<double>> answers_;  // (network, question)
  TrialWorkspace<Real> work_;
};

}  // namespace skyloom::flares
