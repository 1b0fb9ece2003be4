#include "pipelines/skycells/combine/kernel_statistics.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace skyloom::skycells {

void StatisticsSum::add(ImageView<const float> rows) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto width = static_cast<std::size_t>(rows.width());
  sum_.resize(width, 0.0);
  missing_.resize(width, 0);
  minimum_.resize(width, kInfinity);
  maximum_.resize(width, -kInfinity);
  // Columns whose sums stay in the first cache.
  constexpr std::size_t kColumns = 512;
  for (std::size_t first = 0; first < width; first += kColumns) {
    const std::size_t count = std::min(kColumns, width - first);
    double* sum = sum_.data() + first;
    std::int32_t* missing = missing_.data() + first;
    float* minimum = minimum_.data() + first;
    float* maximum = maximum_.data() + first;
    for (int y = 0; y < rows.height(); ++y) {
      // Column by column, in one plain loop each: that vectorises.
      const float* value = rows.row(y).data() + first;
      for (std::size_t i = 0; i < count; ++i) {
        sum[i] += static_cast<double>(value[i] == value[i] ? value[i] : 0.0F);
      }
      for (std::size_t i = 0; i < count; ++i) {
        missing[i] += value[i] == value[i] ? 0 : 1;
      }
      for (std::size_t i = 0; i < count; ++i) {
        minimum[i] = value[i] < minimum[i] ? value[i] : minimum[i];
        maximum[i] = value[i] > maximum[i] ? value[i] : maximum[i];
      }
    }
  }
  rows_ += rows.height();
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
