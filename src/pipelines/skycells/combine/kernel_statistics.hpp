#pragma once
// Least, largest and mean value of an image that comes row by row.

#include <cstdint>
#include <span>
#include <vector>

#include "skyloom/core/image.hpp"

namespace skyloom::skycells {

/// Of the pixels that have a value; NaN when none has one.
struct PixelStatistics {
  std::int64_t missing = 0;  ///< pixels without a value
  double minimum = 0.0;
  double maximum = 0.0;
  double mean = 0.0;
};

/// Takes rows of one length in order.
class StatisticsSum {
 public:
  void add(std::span<const float> row) {
    add({row.data(), static_cast<int>(row.size()), 1, static_cast<std::ptrdiff_t>(row.size())});
  }
  /// Several rows: quicker than one by one, with the same result.
  void add(ImageView<const float> rows);
  [[nodiscard]] PixelStatistics result() const;

 private:
  std::int64_t rows_ = 0;
  std::vector<double> sum_;  ///< of every column, as the others
  std::vector<std::int32_t> missing_;
  std::vector<float> minimum_;
  std::vector<float> maximum_;
};

}  // namespace skyloom::skycells
