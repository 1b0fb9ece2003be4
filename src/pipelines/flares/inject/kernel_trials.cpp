#include "kernel_trials.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "skyloom/numerics/robust.hpp"

namespace skyloom::flares {
namespace {

constexpr int kPad = WindowNetwork::kWindow / 2;
constexpr int kMargin = 24;         // samples beyond those that windows see
constexpr std::size_t kBatch = 48;  // trials whose changes stay in the cache
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kAll = -std::numeric_limits<double>::infinity();
constexpr double kRounding = 1e-9;  // of a sum of probabilities

double threshold_of(const TrialRule& rule) {
  return rule.criterion == Criterion::peer ? kPeerThreshold : rule.detection.threshold;
}

/// Cadences between the gaps around a peak, counted from it.
std::pair<int, int> uninterrupted(const QuietCurve& curve, int cadence) {
  const std::vector<int>& gaps = curve.windows->gaps;
  const auto after = std::lower_bound(gaps.begin(), gaps.end(), cadence);
  const int first = after == gaps.begin() ? 0 : *std::prev(after) + 1;
  const int last = after == gaps.end() ? static_cast<int>(curve.time.size()) - 1 : *after;
  return {first - cadence, last - cadence};
}

/// First and one past the last cadence in [low, high) where a trial adds more than the faintest
/// flux; empty when it adds none at its peak.
std::pair<int, int> stretch(const TrialRule& rule, const QuietCurve& curve, const Trial& trial,
                            int low, int high) {
  const double scale = curve.quiet_median / curve.windows->median_flux;
  const auto bright = [&](int at) {
    return scale * added_flux(rule, curve, trial, at) >= kFaintestFlare;
  };
  int begin = trial.cadence;
  int end = trial.cadence;
  while (end < high && bright(end)) {
    ++end;
  }
  while (begin > low && bright(begin - 1)) {
    --begin;
  }
  return {begin, end};
}

}  // namespace

double added_flux(const TrialRule& rule, const QuietCurve& curve, const Trial& trial, int at) {
  const double since = curve.time[static_cast<std::size_t>(at)] -
                       curve.time[static_cast<std::size_t>(trial.cadence)];
  if (rule.oversample == 1) {
    return trial.amplitude * flare_shape(rule.shape, since / trial.duration_d);
  }
  double sum = 0.0;
  for (int k = 0; k < rule.oversample; ++k) {
    const double shift = (k + 0.5) / rule.oversample - 0.5;
    sum += flare_shape(rule.shape, (since + shift * curve.windows->cadence_d) / trial.duration_d);
  }
  return trial.amplitude * sum / rule.oversample;
}

/// A trial of a batch that is not decided yet.
template <class Real>
struct Trials<Real>::Running {
  std::size_t trial = 0;
  int curve = 0;
  int cadence = 0;
  Decision decision;
  std::vector<int> asked = {};  // cadences whose answers are on their way
};

template <class Real>
Trials<Real>::Trials(std::span<const TrialNetwork<Real>> networks, const QuietCurve& curve,
                     const TrialRule& rule)
    : networks_(networks), curve_(curve), rule_(rule), reach_(Decision::reach(rule.detection)) {
  for (const double flux : curve.flux) {
    relative_.push_back(flux / curve.windows->median_flux - 1.0);
  }
  const std::vector<Real> y(relative_.begin(), relative_.end());
  std::vector<std::vector<double>> models;
  for (const TrialNetwork<Real>& network : networks_) {
    QuietActivations<Real> quiet = network.quiet(y);
    models.push_back(
        flare_probability(network.network(), quiet.logits, *curve_.windows, rule_.edge));
    if (rule_.mode == GapRule::native) {
      quiet_.push_back(std::move(quiet));
    }
  }
  probability_ = combined(models, rule_.combine);
}

template <class Real>
void Trials<Real>::change(const Trial& trial, ChangedCurve<Real>& out) const {
  const int n = static_cast<int>(relative_.size());
  const int sight = reach_ + kPad;
  const int first = trial.cadence - sight - kMargin;
  const int last = trial.cadence + sight + kMargin;
  const auto size = static_cast<std::size_t>(last - first + 1);
  out.first = first;
  out.samples.assign(size, Real{0});
  out.change.assign(size, Real{0});
  for (int i = std::max(0, first); i <= std::min(n - 1, last); ++i) {
    out.samples[static_cast<std::size_t>(i - first)] =
        static_cast<Real>(relative_[static_cast<std::size_t>(i)]);
  }
  std::tie(out.begin, out.end) = stretch(rule_, curve_, trial, std::max(0, trial.cadence - sight),
                                         std::min(n, trial.cadence + sight));
  const double scale = curve_.quiet_median / curve_.windows->median_flux;
  for (int i = out.begin; i < out.end; ++i) {
    const auto at = static_cast<std::size_t>(i - first);
    const Real before = out.samples[at];
    out.samples[at] = static_cast<Real>(relative_[static_cast<std::size_t>(i)] +
                                        scale * added_flux(rule_, curve_, trial, i));
    out.change[at] = out.samples[at] - before;
  }
}

template <class Real>
void Trials<Real>::renormalise(const Trial& trial, ChangedCurve<Real>& out) const {
  const int n = static_cast<int>(relative_.size());
  std::vector<double> flux(curve_.flux.begin(), curve_.flux.end());
  const auto [begin, end] = stretch(rule_, curve_, trial, 0, n);
  for (int i = begin; i < end; ++i) {
    flux[static_cast<std::size_t>(i)] += curve_.quiet_median * added_flux(rule_, curve_, trial, i);
  }
  const double median = numerics::median(flux);
  out.first = trial.cadence - reach_ - kPad;
  out.samples.assign(static_cast<std::size_t>(2 * (reach_ + kPad) + 1), Real{0});
  for (std::size_t i = 0; i < out.samples.size(); ++i) {
    const int at = out.first + static_cast<int>(i);
    if (at >= 0 && at < n) {
      out.samples[i] = static_cast<Real>(flux[static_cast<std::size_t>(at)] / median - 1.0);
    }
  }
}

// Cadences without a window, and windows that do not see the flare, have the answer of the quiet
// light curve.
template <class Real>
void Trials<Real>::collect(std::vector<Running>& running) {
  questions_.clear();
  const double threshold = threshold_of(rule_);
  for (Running& one : running) {
    one.asked.clear();
    const ChangedCurve<Real>& curve = curves_[static_cast<std::size_t>(one.curve)];
    for (;;) {
      const std::vector<int> ask = one.decision.ask();
      for (const int offset : ask) {
        const int at = one.cadence + offset;
        const bool seen =
            curve_.windows->predicted[static_cast<std::size_t>(at)] != 0 &&
            (rule_.mode == GapRule::peer || (at - kPad < curve.end && at + kPad > curve.begin));
        if (seen) {
          one.asked.push_back(offset);
          questions_.push_back({one.curve, at - kPad});
        } else {
          one.decision.tell(offset, probability_[static_cast<std::size_t>(at)] > threshold);
        }
      }
      if (ask.empty() || !one.asked.empty()) {
        break;
      }
    }
  }
}

template <class Real>
void Trials<Real>::logits(std::size_t network, std::span<const WindowQuestion> questions,
                          double refuse_below, std::span<double> out) {
  if (rule_.mode == GapRule::native) {
    networks_[network].logits(quiet_[network], curves_, questions, refuse_below, work_, out);
    return;
  }
  for (std::size_t i = 0; i < questions.size();) {
    std::size_t end = i;
    int low = questions[i].window;
    int high = low;
    for (; end < questions.size() && questions[end].curve == questions[i].curve; ++end) {
      low = std::min(low, questions[end].window);
      high = std::max(high, questions[end].window);
    }
    const ChangedCurve<Real>& curve = curves_[static_cast<std::size_t>(questions[i].curve)];
    const auto piece = std::span<const Real>(curve.samples)
                           .subspan(static_cast<std::size_t>(low - curve.first),
                                    static_cast<std::size_t>(high - low + 2 * kPad));
    const std::vector<double> all = networks_[network].network().direct_logits(piece, work_.direct);
    for (; i < end; ++i) {
      out[i] = all[static_cast<std::size_t>(questions[i].window - low)];
    }
  }
}

/// The median of an even number with as many networks above as not: its two middle values decide.
/// Networks that only said "below" are asked for their values.
template <class Real>
bool Trials<Real>::median_above(std::size_t question, double threshold) {
  double below = 0.0;
  double above = 1.0;
  for (std::size_t m = 0; m < networks_.size(); ++m) {
    double logit = answers_[m][question];
    if (std::isinf(logit)) {
      logits(m, std::span(questions_).subspan(question, 1), kAll, std::span(&logit, 1));
    }
    const double p = flares::probability(logit);
    if (p > threshold) {
      above = std::min(above, p);
    } else {
      below = std::max(below, p);
    }
  }
  return 0.5 * (below + above) > threshold;
}

/// Networks are asked in turn until the combination is certain.
template <class Real>
std::vector<std::uint8_t> Trials<Real>::above(double threshold) {
  const std::size_t models = networks_.size();
  const bool mean = rule_.combine == Combine::mean;
  const double refuse_below =
      mean || rule_.mode == GapRule::peer ? kAll : std::log(threshold / (1.0 - threshold));
  const auto total = static_cast<double>(models);
  std::vector<std::uint8_t> out(questions_.size(), 0);
  std::vector<double> sum(questions_.size(), 0.0);  // of probabilities, or votes for
  answers_.assign(models, std::vector<double>(questions_.size(), kNone));
  std::vector<std::size_t> open(questions_.size());
  for (std::size_t i = 0; i < open.size(); ++i) {
    open[i] = i;
  }
  std::vector<WindowQuestion> questions;
  std::vector<double> values;
  for (std::size_t m = 0; m < models && !open.empty(); ++m) {
    questions.clear();
    for (const std::size_t i : open) {
      questions.push_back(questions_[i]);
    }
    values.resize(open.size());
    logits(m, questions, refuse_below, values);
    const auto left = static_cast<double>(models - m - 1);
    std::size_t kept = 0;
    for (std::size_t k = 0; k < open.size(); ++k) {
      const std::size_t i = open[k];
      answers_[m][i] = values[k];
      const double p = flares::probability(values[k]);
      sum[i] += mean ? p : (p > threshold ? 1.0 : 0.0);
      const double limit = mean ? threshold * total : 0.5 * total;
      if (sum[i] > limit + kRounding) {
        out[i] = 1;
      } else if (sum[i] + left >= limit - kRounding) {
        open[kept++] = i;
      }
    }
    open.resize(kept);
  }
  for (const std::size_t i : open) {
    out[i] = mean ? sum[i] / total > threshold : median_above(i, threshold);
  }
  return out;
}

template <class Real>
std::vector<std::uint8_t> Trials<Real>::recovered(std::span<const Trial> trials) {
  std::vector<std::uint8_t> out(trials.size(), 0);
  const double threshold = threshold_of(rule_);
  // Trials of a batch are neighbours in time, so that they read the same activations.
  std::vector<std::size_t> order(trials.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return trials[a].cadence < trials[b].cadence;
  });
  curves_.resize(std::min(kBatch, trials.size()));
  for (std::size_t start = 0; start < trials.size(); start += kBatch) {
    std::vector<Running> running;
    for (std::size_t i = start; i < std::min(start + kBatch, trials.size()); ++i) {
      const Trial& trial = trials[order[i]];
      const auto [first, last] = uninterrupted(curve_, trial.cadence);
      ChangedCurve<Real>& curve = curves_[i - start];
      if (rule_.mode == GapRule::native) {
        change(trial, curve);
      } else {
        renormalise(trial, curve);
      }
      running.push_back({order[i], static_cast<int>(i - start), trial.cadence,
                         Decision(rule_.criterion, rule_.detection, first, last)});
    }
    while (!running.empty()) {
      collect(running);
      const std::vector<std::uint8_t> answers = above(threshold);
      std::size_t at = 0;
      for (Running& one : running) {
        for (const int offset : one.asked) {
          one.decision.tell(offset, answers[at++] != 0);
        }
        out[one.trial] = one.decision.recovered() ? 1 : 0;
      }
      std::erase_if(running, [](const Running& one) { return one.asked.empty(); });
    }
  }
  return out;
}

template <class Real>
std::vector<std::uint8_t> Trials<Real>::recovered_together(std::span<const Trial> trials) const {
  const int n = static_cast<int>(curve_.flux.size());
  std::vector<double> flux(curve_.flux.begin(), curve_.flux.end());
  for (const Trial& trial : trials) {
    const auto [begin, end] = stretch(rule_, curve_, trial, 0, n);
    for (int i = begin; i < end; ++i) {
      flux[static_cast<std::size_t>(i)] +=
          curve_.quiet_median * added_flux(rule_, curve_, trial, i);
    }
  }
  const double median =
      rule_.mode == GapRule::peer ? numerics::median(flux) : curve_.windows->median_flux;
  const std::vector<Real> y = normalised<Real>(flux, median);
  NetworkWorkspace<Real> work;
  std::vector<std::vector<double>> models;
  for (const TrialNetwork<Real>& network : networks_) {
    models.push_back(
        flare_probability<Real>(network.network(), y, *curve_.windows, rule_.edge, work));
  }
  const std::vector<double> p = combined(models, rule_.combine);
  const std::vector<FlareBlock> blocks = find_flares(p, curve_.windows->gaps, rule_.detection);
  std::vector<std::uint8_t> out;
  for (const Trial& trial : trials) {
    const int at = trial.cadence;
    if (rule_.criterion == Criterion::peer) {
      out.push_back(p[static_cast<std::size_t>(at - 1)] > kPeerThreshold &&
                    p[static_cast<std::size_t>(at)] > kPeerThreshold);
      continue;
    }
    out.push_back(std::any_of(blocks.begin(), blocks.end(), [&](const FlareBlock& block) {
      return block.start <= at + 2 && block.stop >= at - 1;
    }));
  }
  return out;
}

template class Trials<float>;
template class Trials<double>;

}  // namespace skyloom::flares
