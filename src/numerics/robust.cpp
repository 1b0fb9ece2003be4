#include "skyloom/numerics/robust.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

namespace skyloom::numerics {
namespace {

std::vector<double> finite(std::span<const double> values) {
  std::vector<double> out;
  out.reserve(values.size());
  std::copy_if(values.begin(), values.end(), std::back_inserter(out),
               [](double v) { return std::isfinite(v); });
  return out;
}

}  // namespace

double quantile(std::span<const double> values, double q) {
  std::vector<double> sorted = finite(values);
  if (sorted.empty()) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  std::sort(sorted.begin(), sorted.end());
  const double at = std::clamp(q, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

double median(std::span<const double> values) {
  return quantile(values, 0.5);
}

double robust_scatter(std::span<const double> values) {
  std::vector<double> deviations = finite(values);
  const double centre = median(deviations);
  for (double& v : deviations) {
    v = std::abs(v - centre);
  }
  return 1.4826 * median(deviations);
}

}  // namespace skyloom::numerics
