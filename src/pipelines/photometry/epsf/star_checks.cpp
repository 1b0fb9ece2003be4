#include "pipelines/photometry/epsf/star_checks.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace skyloom::photometry::epsf {
namespace {

constexpr std::size_t kMinStars = 8;
constexpr double kSizeFloor = 0.015;  // intrinsic scatter of ln size, as in the rejection by shape
constexpr double kBrightPart = 0.3;   // of saturation
constexpr double kHighChi2 = 1.3;
constexpr double kLowChi2 = 0.7;

bool is_core(const Star& star) {
  return star.row.used && !star.row.wing;
}

}  // namespace

double size_flux_significance(const std::vector<Star>& stars) {
  double sum = 0.0;
  double sum_x = 0.0;
  double sum_y = 0.0;
  double sum_xx = 0.0;
  double sum_xy = 0.0;
  double sum_yy = 0.0;
  std::size_t count = 0;
  for (const Star& star : stars) {
    if (is_core(star)) {
      const double error = std::hypot(star.excess_error[0], kSizeFloor);
      const double weight = 1.0 / (error * error);
      const double x = star.row.flux;
      const double y = star.excess[0];
      sum += weight;
      sum_x += weight * x;
      sum_y += weight * y;
      sum_xx += weight * x * x;
      sum_xy += weight * x * y;
      sum_yy += weight * y * y;
      ++count;
    }
  }
  if (count < kMinStars) {
    return 0.0;
  }
  const double spread = sum_xx - sum_x * sum_x / sum;
  const double slope = (sum_xy - sum_x * sum_y / sum) / spread;
  const double chi2 = sum_yy - sum_y * sum_y / sum - slope * slope * spread;
  const double scatter = std::max(1.0, chi2 / static_cast<double>(count - 2));
  const double significance = slope * std::sqrt(spread / scatter);
  return std::isfinite(significance) ? significance : 0.0;
}

int drop_brightest(std::vector<Star>& stars, double saturation) {
  const auto is_bright = [&](const Star& star) {
    return is_core(star) && star.peak > kBrightPart * saturation;
  };
  const auto bright = std::count_if(stars.begin(), stars.end(), is_bright);
  const auto core = std::count_if(stars.begin(), stars.end(), is_core);
  if (core - bright < static_cast<std::ptrdiff_t>(kMinStars)) {
    return 0;
  }
  for (Star& star : stars) {
    if (is_bright(star)) {
      star.row.used = false;
      star.row.reason = Rejected::nonlinear;
    }
  }
  return static_cast<int>(bright);
}

double noise_factor(const std::vector<Star>& stars) {
  std::vector<std::pair<double, double>> values;
  for (const Star& star : stars) {
    if (is_core(star) && std::isfinite(star.row.chi2_core)) {
      values.emplace_back(star.row.snr, star.row.chi2_core);
    }
  }
  if (values.size() < kMinStars) {
    return 1.0;
  }
  std::sort(values.begin(), values.end());
  std::vector<double> faint;
  std::vector<double> bright;
  std::vector<double> all;
  for (std::size_t k = 0; k < values.size(); ++k) {
    (2 * k < values.size() ? faint : bright).push_back(values[k].second);
    all.push_back(values[k].second);
  }
  const double low = median_of(std::move(faint));
  const double high = median_of(std::move(bright));
  const bool agree = std::min(low, high) > kHighChi2 ||
                     (std::max(low, high) < kLowChi2 && std::min(low, high) > 0.0);
  return agree ? median_of(std::move(all)) : 1.0;
}

void scale_noise(std::vector<Star>& stars, double factor) {
  for (Star& star : stars) {
    for (float& variance : star.variance) {
      variance *= static_cast<float>(factor);
    }
    star.sigma_sky *= std::sqrt(factor);
  }
}

}  // namespace skyloom::photometry::epsf
