#pragma once
// Windows of the network on a light curve of which a stretch was changed: the activations of the
// quiet light curve are kept, and only what the change reaches is computed again (the dense layer
// is linear in what changed). A bound on the change of the logit refuses most windows of missed
// flares before that.

#include <span>
#include <vector>

#include "pipelines/flares/detect/kernel_network.hpp"

namespace skyloom::flares {

/// What one network keeps of a quiet light curve.
template <class Real>
struct QuietActivations {
  std::vector<Real> pooled;    ///< (n, 64)
  std::vector<Real> hidden;    ///< (windows, 32)
  std::vector<Real> right;     ///< (windows, 32), the part of the last two positions
  std::vector<double> logits;  ///< (windows)
};

/// The surroundings of a change, wide enough for every window that is asked for.
template <class Real>
struct ChangedCurve {
  int first = 0;              ///< cadence of samples[0]; zeros beyond the ends of the light curve
  int begin = 0;              ///< first changed cadence
  int end = 0;                ///< one past the last
  std::vector<Real> samples;  ///< relative flux - 1 with the change
  std::vector<Real> change;   ///< of the same cadences, 0 where nothing changed
};

/// A window by its place: window w sees the samples w .. w + 199.
struct WindowQuestion {
  int curve = 0;
  int window = 0;
};

/// Buffers that are kept from call to call.
template <class Real>
struct TrialWorkspace {
  std::vector<Real> first, pool, conv, border, hidden, changes;
  std::vector<const Real*> inputs;
  NetworkWorkspace<Real> direct;
};

/// A network prepared for changed windows; refers to the network, which must outlive it.
template <class Real>
class TrialNetwork {
 public:
  explicit TrialNetwork(const Network<Real>& network);

  [[nodiscard]] const Network<Real>& network() const { return *network_; }
  [[nodiscard]] QuietActivations<Real> quiet(std::span<const Real> y) const;

  /// Logits of the questions, which are sorted by curve. The result of one does not depend on the
  /// others.
  /// @param refuse_below a window whose logit is certain to stay below this value may get -infinity
  ///   instead of it; -infinity asks for all values
  void logits(const QuietActivations<Real>& quiet, std::span<const ChangedCurve<Real>> curves,
              std::span<const WindowQuestion> questions, double refuse_below,
              TrialWorkspace<Real>& work, std::span<double> out) const;

  /// Upper limit of |logit - quiet logit| from the change of the samples alone.
  [[nodiscard]] double sample_bound(const ChangedCurve<Real>& curve, int window) const;

 private:
  /// Change of the pooled second layer at cadences first, first + 2, ... of a curve.
  struct Changes {
    int first = 0;
    int rows = 0;
    std::size_t at = 0;  // in TrialWorkspace::changes
  };
  /// A window whose dense layer is to be computed: positions [s0, s1] have rows from `at` on.
  struct Row {
    std::size_t question = 0;
    int s0 = 0;
    int s1 = -1;
    std::size_t at = 0;
  };

  [[nodiscard]] bool shares(const ChangedCurve<Real>& curve, int window) const;
  [[nodiscard]] bool reaches_right(const ChangedCurve<Real>& curve, int window) const;
  [[nodiscard]] double whole_window(const ChangedCurve<Real>& curve, int window,
                                    TrialWorkspace<Real>& work) const;
  [[nodiscard]] Changes changes_of(const ChangedCurve<Real>& curve,
                                   const QuietActivations<Real>& quiet, int low, int high,
                                   int parity, TrialWorkspace<Real>& work) const;
  [[nodiscard]] double activation_bound(const ChangedCurve<Real>& curve, int window, const Row& row,
                                        const TrialWorkspace<Real>& work) const;
  void curve_rows(const QuietActivations<Real>& quiet, const ChangedCurve<Real>& curve,
                  std::span<const WindowQuestion> questions, std::size_t first, double refuse_below,
                  TrialWorkspace<Real>& work, std::span<double> out, std::vector<Row>& rows) const;
  void add_dense(std::span<Row> rows, TrialWorkspace<Real>& work) const;
  void add_right(const ChangedCurve<Real>& curve, int window, const Real* quiet_right, Real* hidden,
                 TrialWorkspace<Real>& work) const;

  const Network<Real>* network_;
  std::vector<Real> dense_bound_;   // (50, 64): |logit| per change of a pooled activation
  std::vector<Real> sample_bound_;  // (200, padded): |logit| per change of a sample
  std::vector<Real> border_bound_;  // the same through positions 48 and 49 alone
};

}  // namespace skyloom::flares
