#include "kernel.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace skyloom::flares {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kSmallestSlope = 0.02;
constexpr double kLargestSlope = 12.0;
constexpr double kBigStep = 0.02;

/// Terms of the likelihood that depend on the slope, per star: the number of flares, the sum of
/// their ln ED, and the integral of ED^-(slope + 1) times the exposure.
class Likelihood {
 public:
  explicit Likelihood(std::span<const StarSample> stars) : stars_(stars) {
    for (const StarSample& star : stars) {
      for (const double x : star.log10_ed) {
        sum_log_ += std::numbers::ln10 * x;
      }
      flares_ += static_cast<int>(star.log10_ed.size());
    }
  }
  [[nodiscard]] int flares() const { return flares_; }

  [[nodiscard]] double operator()(double slope) const {
    const std::vector<double> rates = rates_of_bins(slope);
    double value = flares_ * std::log(slope) - slope * sum_log_;
    for (const StarSample& star : stars_) {
      if (!star.log10_ed.empty()) {
        value -=
            static_cast<double>(star.log10_ed.size()) * std::log(expected(star.exposure, rates));
      }
    }
    return value;
  }
  /// Days of all exposures in units of N(> 1 s) per day and star.
  [[nodiscard]] double total_exposure(double slope) const {
    const std::vector<double> rates = rates_of_bins(slope);
    double sum = 0.0;
    for (const StarSample& star : stars_) {
      sum += expected(star.exposure, rates);
    }
    return sum;
  }

 private:
  /// Flares of every bin per one above 1 s.
  [[nodiscard]] static std::vector<double> rates_of_bins(double slope) {
    const LogBins& bins = kEquivalentDurationBins;
    std::vector<double> out;
    double above = std::pow(10.0, -slope * bins.edge(0));
    for (int bin = 0; bin < bins.count; ++bin) {
      // The last bin has no upper end.
      const double beyond =
          bin + 1 < bins.count ? std::pow(10.0, -slope * bins.edge(bin + 1)) : 0.0;
      out.push_back(above - beyond);
      above = beyond;
    }
    return out;
  }
  [[nodiscard]] static double expected(const Exposure& exposure, std::span<const double> rates) {
    double sum = 0.0;
    for (std::size_t bin = 0; bin < rates.size(); ++bin) {
      sum += exposure.days[bin] * rates[bin];
    }
    return sum;
  }

  std::span<const StarSample> stars_;
  double sum_log_ = 0.0;
  int flares_ = 0;
};

}  // namespace

double equivalent_duration_error(double length_s, double equivalent_duration_s, double snr) {
  return std::numbers::sqrt2 * std::abs(length_s - equivalent_duration_s) / snr;
}

std::vector<FrequencyPoint> frequency_distribution(std::span<const FlareEvent> events, double days,
                                                   const CompletenessCurve& curve, double limit) {
  std::vector<FrequencyPoint> out;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const double ed = events[i].equivalent_duration_s;
    if (ed > 0.0) {
      out.push_back({i, std::log10(ed),
                     events[i].equivalent_duration_error_s / (std::numbers::ln10 * ed), 0.0, 0.0,
                     kNone});
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const FrequencyPoint& a, const FrequencyPoint& b) {
    return a.log10_ed > b.log10_ed;
  });
  for (std::size_t k = 0; k < out.size(); ++k) {
    const auto number = static_cast<double>(k + 1);
    out[k].log10_rate = std::log10(number / days);
    out[k].log10_rate_error = (std::sqrt(number + 0.75) + 1.0) / (std::numbers::ln10 * number);
    if (out[k].log10_ed > limit) {
      out[k].log10_corrected =
          out[k].log10_rate - std::log10(curve.at(std::pow(10.0, out[k].log10_ed)));
    }
  }
  return out;
}

PowerLaw fit_power_law(std::span<const FrequencyPoint> points) {
  PowerLaw out;
  double w = 0.0;
  double wx = 0.0;
  double wy = 0.0;
  for (const FrequencyPoint& point : points) {
    if (std::isfinite(point.log10_corrected)) {
      const double weight = 1.0 / (point.log10_rate_error * point.log10_rate_error);
      w += weight;
      wx += weight * point.log10_ed;
      wy += weight * point.log10_corrected;
      ++out.points;
    }
  }
  double wxx = 0.0;
  double wxy = 0.0;
  for (const FrequencyPoint& point : points) {
    if (std::isfinite(point.log10_corrected)) {
      const double weight = 1.0 / (point.log10_rate_error * point.log10_rate_error);
      const double off = point.log10_ed - wx / w;
      wxx += weight * off * off;
      wxy += weight * off * (point.log10_corrected - wy / w);
    }
  }
  if (out.points < 2 || !(wxx > 0.0)) {
    return out;
  }
  out.slope = -wxy / wxx;
  out.slope_error = 1.0 / std::sqrt(wxx);
  out.intercept = wy / w + out.slope * wx / w;
  out.intercept_error = std::sqrt(1.0 / w + wx / w * (wx / w) / wxx);
  return out;
}

PowerLaw fit_intercept(std::span<const FrequencyPoint> points, double slope) {
  PowerLaw out;
  double w = 0.0;
  double sum = 0.0;
  for (const FrequencyPoint& point : points) {
    if (std::isfinite(point.log10_corrected)) {
      const double weight = 1.0 / (point.log10_rate_error * point.log10_rate_error);
      w += weight;
      sum += weight * (point.log10_corrected + slope * point.log10_ed);
      ++out.points;
    }
  }
  if (out.points > 0 && std::isfinite(slope)) {
    out.slope = slope;
    out.intercept = sum / w;
    out.intercept_error = 1.0 / std::sqrt(w);
  }
  return out;
}

int Exposure::first_bin(double limit) {
  const LogBins& bins = kEquivalentDurationBins;
  return std::isnan(limit)
             ? bins.count
             : static_cast<int>(std::clamp(std::ceil((limit - bins.low) / bins.width - 1e-9), 0.0,
                                           static_cast<double>(bins.count)));
}

void Exposure::add(double of_days, std::span<const double> fractions, double limit) {
  for (auto bin = static_cast<std::size_t>(first_bin(limit)); bin < days.size(); ++bin) {
    days[bin] += of_days * fractions[bin];
  }
}

MaximumLikelihood maximum_likelihood(std::span<const StarSample> stars) {
  const Likelihood likelihood(stars);
  MaximumLikelihood out;
  out.flares = likelihood.flares();
  if (out.flares < 2) {
    return out;
  }
  double best = kSmallestSlope;
  double highest = likelihood(best);
  for (double slope = kSmallestSlope; slope < kLargestSlope; slope *= 1.0 + kBigStep) {
    if (const double value = likelihood(slope); value > highest) {
      best = slope;
      highest = value;
    }
  }
  // Golden section around the best of the grid.
  double low = best / (1.0 + kBigStep);
  double high = best * (1.0 + kBigStep);
  while (high - low > 1e-9) {
    const double a = high - (high - low) / std::numbers::phi;
    const double b = low + (high - low) / std::numbers::phi;
    if (likelihood(a) > likelihood(b)) {
      high = b;
    } else {
      low = a;
    }
  }
  out.slope = 0.5 * (low + high);
  const double step = 1e-3 * out.slope;
  const double curvature =
      (likelihood(out.slope + step) - 2.0 * likelihood(out.slope) + likelihood(out.slope - step)) /
      (step * step);
  if (curvature < 0.0) {
    out.slope_error = 1.0 / std::sqrt(-curvature);
  }
  out.log10_rate = std::log10(out.flares / likelihood.total_exposure(out.slope));
  return out;
}

}  // namespace skyloom::flares
