#include "skyloom/sky/effective_psf.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "skyloom/core/errors.hpp"
#include "skyloom/numerics/bicubic_spline.hpp"
#include "skyloom/numerics/gap_fill.hpp"
#include "skyloom/numerics/robust.hpp"

#include "effective_psf_fit.hpp"

namespace skyloom::sky {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kCentreAccuracy = 1e-3;
constexpr double kRecentreAccuracy = 1e-4;
constexpr int kRecentreSteps = 30;
constexpr double kNormRadius = 5.5;
constexpr double kClipSigma = 5.0;
constexpr int kClipRounds = 5;
constexpr int kForgivingRounds = 3;

/// Area of the part of the disc of radius r around the origin with 0 < x' < x, 0 < y' < y; odd in x
/// and in y.
double quadrant_area(double x, double y, double r) {
  const double sign = (x < 0.0) == (y < 0.0) ? 1.0 : -1.0;
  const double a = std::min(std::abs(x), r);
  const double b = std::min(std::abs(y), r);
  if (a * a + b * b <= r * r) {
    return sign * a * b;
  }
  // Integral over x' of min(b, sqrt(r^2 - x'^2)).
  const double corner = std::sqrt(r * r - b * b);
  const auto primitive = [r](double t) {
    return 0.5 * (t * std::sqrt(std::max(r * r - t * t, 0.0)) + r * r * std::asin(t / r));
  };
  return sign * (b * corner + primitive(a) - primitive(corner));
}

class Builder {
 public:
  Builder(const std::vector<StarStamp>& stamps, const AndersonKingOptions& options)
      : stamps_(stamps), options_(options) {
    const int size = stamps.front().data.width() * options.oversamp + 1;
    const int side = size % 2 == 0 ? size + 1 : size;
    centre_ = (side - 1) / 2;
    psf_.grid = Image<double>(side, side);
    psf_.oversamp = options.oversamp;
    for (const StarStamp& stamp : stamps) {
      FittedStar star;
      star.x = stamp.x;
      star.y = stamp.y;
      star.flux = stamp_flux(stamp);
      star.failed = !(star.flux > 0.0);
      psf_.stars.push_back(star);
    }
    // A stamp without light cannot be normalised; it never enters.
    for (const FittedStar& star : psf_.stars) {
      excluded_.push_back(star.failed ? 1 : 0);
    }
    if (all_failed()) {
      throw UnitError(Reason::no_good_data, "no star with light");
    }
  }

  EffectivePsf run() {
    while (psf_.rounds < options_.max_rounds && !psf_.converged) {
      ++psf_.rounds;
      stack();
      fit_stars();
    }
    return std::move(psf_);
  }

 private:
  static double stamp_flux(const StarStamp& stamp) {
    Image<double> filled = stamp.data;
    for (std::size_t k = 0; k < filled.pixels().size(); ++k) {
      if (!(stamp.weight.pixels()[k] > 0.0)) {
        filled.pixels()[k] = kNaN;
      }
    }
    numerics::fill_gaps(filled);
    numerics::fill_nearest(filled);
    double sum = 0.0;
    for (const double value : filled.pixels()) {
      sum += value;
    }
    return sum;
  }

  [[nodiscard]] bool all_failed() const {
    return std::all_of(psf_.stars.begin(), psf_.stars.end(),
                       [](const FittedStar& star) { return star.failed; });
  }

  /// Steps 1 to 6 of a round.
  void stack() {
    Image<double> step = median_residual();
    numerics::fill_gaps(step);
    for (std::size_t k = 0; k < step.pixels().size(); ++k) {
      const double value = step.pixels()[k];
      psf_.grid.pixels()[k] += std::isfinite(value) ? value : 0.0;
    }
    psf_.grid = quartic_smoothed(psf_.grid);
    recentre();
    normalise();
  }

  /// Median over the stars of (data / flux - model) at every node; NaN without a sample.
  [[nodiscard]] Image<double> median_residual() const {
    const numerics::BicubicSpline spline(psf_.grid.view());
    const int side = psf_.grid.width();
    std::vector<std::vector<double>> samples(psf_.grid.pixels().size());
    const double s = options_.oversamp;
    for (std::size_t i = 0; i < stamps_.size(); ++i) {
      if (excluded_[i] != 0) {
        continue;
      }
      const StarStamp& stamp = stamps_[i];
      const FittedStar& star = psf_.stars[i];
      for (int y = 0; y < stamp.data.height(); ++y) {
        for (int x = 0; x < stamp.data.width(); ++x) {
          const double u = s * (x - star.x) + centre_;
          const double v = s * (y - star.y) + centre_;
          const auto column = std::lround(u);
          const auto row = std::lround(v);
          if (stamp.weight(y, x) > 0.0 && column >= 0 && row >= 0 && column < side && row < side) {
            samples[static_cast<std::size_t>(row * side + column)].push_back(
                stamp.data(y, x) / star.flux - spline.at(u, v).value);
          }
        }
      }
    }
    Image<double> out(side, side);
    for (std::size_t k = 0; k < samples.size(); ++k) {
      out.pixels()[k] = samples[k].empty()
                            ? kNaN
                            : numerics::clip_about_median(samples[k], kClipSigma,
                                                          options_.clip ? kClipRounds : 0);
    }
    return out;
  }

  /// First moments of the central box, relative to the grid's centre, in samples.
  [[nodiscard]] std::pair<double, double> centroid(const Image<double>& grid) const {
    const int reach = std::min((options_.recenter_boxsize * options_.oversamp) / 2, centre_);
    double sum = 0.0;
    double sum_x = 0.0;
    double sum_y = 0.0;
    for (int y = -reach; y <= reach; ++y) {
      for (int x = -reach; x <= reach; ++x) {
        const double value = grid(centre_ + y, centre_ + x);
        sum += value;
        sum_x += x * value;
        sum_y += y * value;
      }
    }
    if (!(sum > 0.0)) {
      throw UnitError(Reason::numerical, "the effective PSF has no light at its centre");
    }
    return {sum_x / sum, sum_y / sum};
  }

  void recentre() {
    const numerics::BicubicSpline spline(psf_.grid.view());
    const int side = psf_.grid.width();
    const double s = options_.oversamp;
    double shift_x = 0.0;
    double shift_y = 0.0;
    double before = std::numeric_limits<double>::infinity();
    for (int step = 0; step < kRecentreSteps; ++step) {
      const auto [dx, dy] = centroid(psf_.grid);
      const double distance = std::hypot(dx, dy) / s;
      if (distance >= before) {
        break;
      }
      before = distance;
      shift_x += dx;
      shift_y += dy;
      for (int y = 0; y < side; ++y) {
        for (int x = 0; x < side; ++x) {
          psf_.grid(y, x) = spline.at(x + shift_x, y + shift_y).value;
        }
      }
      if (distance < kRecentreAccuracy) {
        break;
      }
    }
  }

  void normalise() {
    const double s = options_.oversamp;
    const double sum = circle_sum(psf_.grid, centre_, centre_, kNormRadius * s) / (s * s);
    if (!(std::isfinite(sum) && sum > 0.0)) {
      throw UnitError(Reason::numerical, "the effective PSF has no light");
    }
    for (double& value : psf_.grid.pixels()) {
      value /= sum;
    }
  }

  void fit_stars() {
    const numerics::BicubicSpline spline(psf_.grid.view());
    double moved = 0.0;
    for (std::size_t i = 0; i < stamps_.size(); ++i) {
      if (excluded_[i] != 0) {
        continue;
      }
      FittedStar& star = psf_.stars[i];
      const FittedStar fit = fit_star(stamps_[i], star, {spline, centre_, options_.oversamp});
      if (fit.failed) {
        star.failed = true;
        excluded_[i] = psf_.rounds > kForgivingRounds ? 1 : 0;
      } else {
        moved = std::max(moved, std::hypot(fit.x - star.x, fit.y - star.y));
        star = fit;
      }
    }
    if (all_failed()) {
      throw UnitError(Reason::not_converged, "the fits of all stars failed");
    }
    psf_.converged = moved < kCentreAccuracy;
  }

  const std::vector<StarStamp>& stamps_;
  const AndersonKingOptions& options_;
  EffectivePsf psf_;
  std::vector<char> excluded_;
  int centre_ = 0;
};

}  // namespace

const Image<double>& quartic_kernel() {
  static const Image<double> kernel = [] {
    constexpr std::array<double, 6> k = {0.041632,  -0.080816, 0.078368,
                                         -0.019592, 0.200816,  0.441632};
    // Entry of row |y|, column |x|: symmetric in both and in their exchange.
    constexpr std::array<std::array<std::size_t, 3>, 3> index = {{{5, 4, 2}, {4, 3, 1}, {2, 1, 0}}};
    Image<double> out(5, 5);
    for (int y = 0; y < 5; ++y) {
      for (int x = 0; x < 5; ++x) {
        out(y, x) = k[index[static_cast<std::size_t>(std::abs(y - 2))]
                           [static_cast<std::size_t>(std::abs(x - 2))]];
      }
    }
    return out;
  }();
  return kernel;
}

Image<double> quartic_smoothed(const Image<double>& image) {
  const Image<double>& kernel = quartic_kernel();
  const auto reflected = [](int i, int n) { return i < 0 ? -i - 1 : i >= n ? 2 * n - 1 - i : i; };
  Image<double> out(image.width(), image.height());
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      double sum = 0.0;
      for (int j = -2; j <= 2; ++j) {
        const int row = reflected(y + j, image.height());
        for (int i = -2; i <= 2; ++i) {
          sum += kernel(j + 2, i + 2) * image(row, reflected(x + i, image.width()));
        }
      }
      out(y, x) = sum;
    }
  }
  return out;
}

double circle_sum(const Image<double>& image, double x, double y, double radius) {
  double sum = 0.0;
  for (int j = 0; j < image.height(); ++j) {
    const double y0 = j - 0.5 - y;
    for (int i = 0; i < image.width(); ++i) {
      const double x0 = i - 0.5 - x;
      if (std::hypot(x0 + 0.5, y0 + 0.5) > radius + 1.0) {
        continue;
      }
      const double area = quadrant_area(x0 + 1.0, y0 + 1.0, radius) -
                          quadrant_area(x0, y0 + 1.0, radius) -
                          quadrant_area(x0 + 1.0, y0, radius) + quadrant_area(x0, y0, radius);
      sum += area * image(j, i);
    }
  }
  return sum;
}

EffectivePsf build_effective_psf(const std::vector<StarStamp>& stamps,
                                 const AndersonKingOptions& options) {
  if (stamps.empty()) {
    throw UnitError(Reason::no_good_data, "no stars");
  }
  return Builder(stamps, options).run();
}

Image<double> star_model(const EffectivePsf& psf, const FittedStar& star, int size) {
  const numerics::BicubicSpline spline(psf.grid.view());
  const int centre = (psf.grid.width() - 1) / 2;
  Image<double> out(size, size);
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      out(y, x) =
          star.flux *
          spline.at(psf.oversamp * (x - star.x) + centre, psf.oversamp * (y - star.y) + centre)
              .value;
    }
  }
  return out;
}

Image<double> central_square(const EffectivePsf& psf, int size_pix) {
  const int side = (size_pix * psf.oversamp) | 1;
  const int offset = (psf.grid.width() - side) / 2;
  Image<double> out(side, side);
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      if (psf.grid.box().contains(x + offset, y + offset)) {
        const double value = psf.grid(y + offset, x + offset);
        out(y, x) = std::isfinite(value) ? value : 0.0;
      }
    }
  }
  return out;
}

}  // namespace skyloom::sky
