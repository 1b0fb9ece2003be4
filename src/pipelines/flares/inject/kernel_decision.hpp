#pragma once
// Was an injected flare found? The criterion of the detection, decided with as few windows of the
// network as possible: the answer is that of the mask of the whole light curve.

#include <cstdint>
#include <vector>

#include "pipelines/flares/detect/kernel_mask.hpp"

namespace skyloom::flares {

/// `detect`: a block of the flare list contains a cadence from 1 before to 2 after the peak.
/// `peer`: the probability is above 0.3 at the peak and one cadence before.
enum class Criterion { detect, peer };

inline constexpr double kPeerThreshold = 0.3;

/// Decides about one injection. Cadences are counted from that of the peak.
class Decision {
 public:
  /// @param rule of the detection (its threshold belongs to who answers)
  /// @param first, last cadences between the gaps (or ends) around the peak, first <= 0 <= last;
  ///   nothing beyond them is in a block with the peak
  Decision(Criterion criterion, const DetectionRule& rule, int first, int last);

  /// Cadences whose answers are needed next, each asked once; empty when it is decided.
  [[nodiscard]] std::vector<int> ask();
  /// Whether the probability at an asked cadence is above the threshold.
  void tell(int cadence, bool above);
  /// After ask() came back empty.
  [[nodiscard]] bool recovered() const { return recovered_; }

  /// Largest distance from the peak that ask() can return.
  static int reach(const DetectionRule& rule);

 private:
  enum class Known : std::int8_t { unknown, no, yes };

  [[nodiscard]] Known at(int cadence) const;
  void want(int cadence, std::vector<int>& out) const;
  [[nodiscard]] std::vector<int> ask_zone() const;
  [[nodiscard]] std::vector<int> ask_bridge();
  /// Extends a block both ways until it is long enough, or asks what is needed for that.
  [[nodiscard]] std::vector<int> extend(int left, int right);

  Criterion criterion_;
  int merge_;  // facing ends closer than this are one block
  int shortest_;
  int first_;
  int last_;
  int reach_;
  bool recovered_ = false;
  std::vector<Known> known_;
};

}  // namespace skyloom::flares
