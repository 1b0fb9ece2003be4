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
  std::vector<double> some = finite(values);
  if (some.empty()) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const double at = std::clamp(q, 0.0, 1.0) * static_cast<double>(some.size() - 1);
  const auto place = some.begin() + static_cast<std::ptrdiff_t>(at);
  std::nth_element(some.begin(), place, some.end());
  const double low = *place;
  const double high = place + 1 == some.end() ? low : *std::min_element(place + 1, some.end());
  return low + (at - std::floor(at)) * (high - low);
}

double median(std::span<const double> values) {
  return quantile(values, 0.5);
}

double clip_about_median(std::vector<double>& values, double n_sigma, int rounds) {
  for (int round = 0; round < rounds && values.size() > 1; ++round) {
    const auto n = static_cast<double>(values.size());
    double mean = 0.0;
    for (const double value : values) {
      mean += value / n;
    }
    double square = 0.0;
    for (const double value : values) {
      square += (value - mean) * (value - mean) / n;
    }
    const double centre = median(values);
    const double limit = n_sigma * std::sqrt(square);
    if (std::erase_if(values, [&](double v) { return std::abs(v - centre) > limit; }) == 0) {
      return centre;
    }
  }
  return median(values);
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
