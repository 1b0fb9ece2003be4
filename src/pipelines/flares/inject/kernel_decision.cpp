#include "kernel_decision.hpp"

#include <algorithm>

namespace skyloom::flares {
namespace {

// The zone around the peak that a block must touch.
constexpr int kZoneFirst = -1;
constexpr int kZoneLast = 2;
// Answers asked at once while a block is extended: flares decay slowly and rise fast.
constexpr int kRightStep = 3;
constexpr int kLeftStep = 8;

int merging(const DetectionRule& rule) {
  return std::max(2, rule.merge_cadences);
}

}  // namespace

int Decision::reach(const DetectionRule& rule) {
  return std::max(1, rule.min_cadences) + 2 * merging(rule);
}

Decision::Decision(Criterion criterion, const DetectionRule& rule, int first, int last)
    : criterion_(criterion),
      merge_(merging(rule)),
      shortest_(rule.min_cadences),
      first_(first),
      last_(last),
      reach_(reach(rule)),
      known_(static_cast<std::size_t>(2 * reach_ + 1), Known::unknown) {}

Decision::Known Decision::at(int cadence) const {
  return cadence < first_ || cadence > last_ ? Known::no
                                             : known_[static_cast<std::size_t>(cadence + reach_)];
}

void Decision::tell(int cadence, bool above) {
  known_[static_cast<std::size_t>(cadence + reach_)] = above ? Known::yes : Known::no;
}

void Decision::want(int cadence, std::vector<int>& out) const {
  if (at(cadence) == Known::unknown) {
    out.push_back(cadence);
  }
}

std::vector<int> Decision::ask() {
  std::vector<int> out;
  if (recovered_) {
    return out;
  }
  if (criterion_ == Criterion::peer) {
    want(-1, out);
    want(0, out);
    recovered_ = out.empty() && at(-1) == Known::yes && at(0) == Known::yes;
    return out;
  }
  bool any = false;
  for (int zone = kZoneFirst; zone <= kZoneLast; ++zone) {
    if (at(zone) == Known::yes) {
      any = true;
      out = extend(zone, zone);
      if (recovered_ || !out.empty()) {
        return out;
      }
    }
  }
  out = ask_zone();
  return any || !out.empty() ? out : ask_bridge();
}

// First the pair whose answers decide most recovered flares; when both are no, the rest of the zone
// and, since that flare is most likely missed, what could bridge the zone from the left.
std::vector<int> Decision::ask_zone() const {
  std::vector<int> out;
  want(-1, out);
  want(1, out);
  if (!out.empty()) {
    return out;
  }
  want(0, out);
  want(2, out);
  if (!out.empty()) {
    for (int left = kZoneFirst - 1; left > kZoneLast + 1 - merge_; --left) {
      want(left, out);
    }
  }
  return out;
}

// No cadence of the zone is above the threshold: the two ends of a bridge over it are closer than
// the merging distance.
std::vector<int> Decision::ask_bridge() {
  std::vector<int> out;
  for (int left = kZoneFirst - 1; left > kZoneLast + 1 - merge_; --left) {
    want(left, out);
  }
  if (!out.empty()) {
    return out;
  }
  for (int left = kZoneFirst - 1; left > kZoneLast + 1 - merge_; --left) {
    if (at(left) != Known::yes) {
      continue;
    }
    for (int right = kZoneLast + 1; right < left + merge_; ++right) {
      if (at(right) == Known::yes) {
        return extend(left, right);
      }
    }
    for (int right = kZoneLast + 1; right < left + merge_; ++right) {
      want(right, out);
    }
    return out;
  }
  return out;
}

std::vector<int> Decision::extend(int left, int right) {
  std::vector<int> out;
  const auto next = [&](int from, int way) {
    for (int step = 1; step < merge_; ++step) {
      if (at(from + way * step) == Known::yes) {
        return from + way * step;
      }
    }
    return from;
  };
  for (;;) {
    if (right - left + 1 >= shortest_) {
      recovered_ = true;
      return out;
    }
    const int further_right = next(right, 1);
    const int further_left = next(left, -1);
    if (further_right == right && further_left == left) {
      break;
    }
    right = further_right;
    left = further_left;
  }
  const auto ask_some = [&](int from, int way, std::size_t count) {
    for (int step = 1; step < merge_ && out.size() < count; ++step) {
      want(from + way * step, out);
    }
  };
  ask_some(right, 1, kRightStep);
  if (out.empty()) {
    ask_some(left, -1, kLeftStep);
  }
  return out;
}

}  // namespace skyloom::flares
