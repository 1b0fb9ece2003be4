#include "pipelines/skycells/combine/kernel_statistics.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace skyloom::skycells {

void StatisticsSum::add(std::span<const float> row) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  sum_.resize(row.size(), 0.0);
  missing_.resize(row.size(), 0);
  minimum_.resize(row.size(), kInfinity);
  maximum_.resize(row.size(), -kInfinity);
  // Column by column, in one plain loop each: that vectorises.
  const float* value = row.data();
  const std::size_t count = row.size();
  for (std::size_t i = 0; i < count; ++i) {
    sum_[i] += static_cast<double>(value[i] == value[i] ? value[i] : 0.0F);
  }
  for (std::size_t i = 0; i < count; ++i) {
    missing_[i] += value[i] == value[i] ? 0 : 1;
  }
  for (std::size_t i = 0; i < count; ++i) {
    minimum_[i] = value[i] < minimum_[i] ? value[i] : minimum_[i];
    maximum_[i] = value[i] > maximum_[i] ? value[i] : maximum_[i];
  }
  ++rows_;
}

PixelStatistics StatisticsSum::result() const {
  PixelStatistics out;
  out.missing = std::accumulate(missing_.begin(), missing_.end(), std::int64_t{0});
  const std::int64_t present = rows_ * static_cast<std::int64_t>(sum_.size()) - out.missing;
  if (present == 0) {
    out.minimum = out.maximum = out.mean = std::numeric_limits<double>::quiet_NaN();
    return out;
  }
  out.minimum = static_cast<double>(*std::min_element(minimum_.begin(), minimum_.end()));
  out.maximum = static_cast<double>(*std::max_element(maximum_.begin(), maximum_.end()));
  out.mean = std::accumulate(sum_.begin(), sum_.end(), 0.0) / static_cast<double>(present);
  return out;
}

}  // namespace skyloom::skycells
