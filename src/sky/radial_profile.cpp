#include "skyloom/sky/radial_profile.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace skyloom::sky {

RadialProfile::RadialProfile(double beta, std::vector<double> knots, std::vector<double> q)
    : beta_(beta), knots_(std::move(knots)), q_(std::move(q)) {
  if (knots_.size() >= 2) {
    const double raw = raw_end_slope(knots_, q_);
    end_slope_ = limited_end_slope(raw, beta_);
    end_slope_free_ = end_slope_ == raw;
  }
  nodes_.resize(kNodes);
  bends_.resize(kNodes);
  for (int i = 0; i < kNodes; ++i) {
    const double w = i / kPerUnit;
    const double t = w * w;
    const double value = exact(t);
    const double s = 0.5 * std::log1p(t);
    const double log_slope = 0.5 * slope(s) - beta_;
    const auto k = static_cast<std::size_t>(i);
    nodes_[k] = {value, value * log_slope * 2.0 * w / (1.0 + t) / kPerUnit};
  }
  for (int i = 0; i + 1 < kNodes; ++i) {
    // The slope of q jumps at its knots: that of the interval's middle holds for all of it.
    const double low = i / kPerUnit;
    const double middle = (i + 0.5) / kPerUnit;
    const double high = (i + 1) / kPerUnit;
    const double power = 0.5 * slope(0.5 * std::log1p(middle * middle)) - beta_;
    const auto k = static_cast<std::size_t>(i);
    const double start = nodes_[k].f * power / (1.0 + low * low);
    const double rise = nodes_[k + 1].f * power / (1.0 + high * high) - start;
    const double centre = hermite(nodes_[k], nodes_[k + 1], 0.5) * power / (1.0 + middle * middle);
    bends_[k] = {start, rise, 4.0 * (start + 0.5 * rise - centre)};
  }
}

const std::vector<RadialProfile::Node>& RadialProfile::half_log_table() {
  static const std::vector<Node> table = [] {
    std::vector<Node> nodes;
    for (int i = 0; i < kNodes; ++i) {
      const double w = i / kPerUnit;
      nodes.push_back({0.5 * std::log1p(w * w), w / (1.0 + w * w) / kPerUnit});
    }
    return nodes;
  }();
  return table;
}

double RadialProfile::exact(double t) const {
  const double s = 0.5 * std::log1p(t);
  return std::exp(q(s) - 2.0 * beta_ * s);
}

double RadialProfile::q(double s) const {
  if (knots_.empty()) {
    return 0.0;
  }
  if (knots_.size() == 1 || s >= knots_.back()) {
    return q_.back() + end_slope_ * (s - knots_.back());
  }
  const auto above = std::upper_bound(knots_.begin(), knots_.end(), s);
  const auto k = static_cast<std::size_t>(std::max<std::ptrdiff_t>(above - knots_.begin(), 1)) - 1;
  return q_[k] + (q_[k + 1] - q_[k]) * (s - knots_[k]) / (knots_[k + 1] - knots_[k]);
}

double RadialProfile::slope(double s) const {
  if (knots_.size() < 2) {
    return 0.0;
  }
  if (s >= knots_.back()) {
    return end_slope_;
  }
  const auto above = std::upper_bound(knots_.begin(), knots_.end(), s);
  const auto k = static_cast<std::size_t>(std::max<std::ptrdiff_t>(above - knots_.begin(), 1)) - 1;
  return (q_[k + 1] - q_[k]) / (knots_[k + 1] - knots_[k]);
}

double RadialProfile::raw_end_slope(const std::vector<double>& knots,
                                    const std::vector<double>& q) {
  const std::size_t last = knots.size() - 1;
  return (q[last] - q[last - 1]) / (knots[last] - knots[last - 1]);
}

double RadialProfile::limited_end_slope(double raw, double beta) {
  return std::min(std::max(raw, -1.0), 2.0 * (beta - 1.0) - 0.8);
}

double RadialProfile::integral(double beta, const std::vector<double>& knots,
                               const std::vector<double>& q) {
  if (knots.empty()) {
    return 1.0;
  }
  const double e = 2.0 * (beta - 1.0);
  double sum = 0.0;
  for (std::size_t k = 0; k + 1 < knots.size(); ++k) {
    // The exponent is linear on the segment; expm1 keeps the flat case exact.
    const double length = knots[k + 1] - knots[k];
    const double rate = (q[k + 1] - q[k]) / length - e;
    const double start = e * std::exp(q[k] - e * knots[k]);
    sum +=
        std::abs(rate * length) < 1e-12 ? start * length : start * std::expm1(rate * length) / rate;
  }
  const double end = knots.size() >= 2 ? limited_end_slope(raw_end_slope(knots, q), beta) : 0.0;
  return sum + e * std::exp(q.back() - e * knots.back()) / (e - end);
}

}  // namespace skyloom::sky
