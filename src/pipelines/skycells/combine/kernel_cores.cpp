#include "pipelines/skycells/combine/kernel_cores.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "skyloom/core/errors.hpp"
#include "skyloom/numerics/bicubic_spline.hpp"
#include "skyloom/numerics/least_squares.hpp"
#include "skyloom/numerics/robust.hpp"
#include "skyloom/sky/effective_psf.hpp"

namespace skyloom::skycells {
namespace {

constexpr double kZeroPoint = 25.0;
constexpr double kCleanRadius = 5.0;   // pixels
constexpr double kSkyRadius = 20.0;    // pixels
constexpr double kNeighbourMag = 2.5;  // fainter than a PSF star
constexpr std::size_t kFewestPsfStars = 3;
constexpr std::size_t kFewestPixels = 30;
constexpr double kMostShift = 2.0;  // pixels

double flux_of(double mag) {
  return std::pow(10.0, 0.4 * (kZeroPoint - mag));
}

/// The stamp around a position, not cut at the image's edges.
Box stamp_box(double x, double y, int side) {
  const int x0 = static_cast<int>(std::lround(x)) - side / 2;
  const int y0 = static_cast<int>(std::lround(y)) - side / 2;
  return {x0, x0 + side, y0, y0 + side};
}

/// Indices of stars with RP in (above, below], or [.., below], brightest first.
std::vector<std::size_t> by_brightness(std::span<const CatalogueStar> stars, double above,
                                       double below) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < stars.size(); ++i) {
    if (stars[i].rp_mag > above && stars[i].rp_mag <= below) {
      out.push_back(i);
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [&](std::size_t a, std::size_t b) { return stars[a].rp_mag < stars[b].rp_mag; });
  return out;
}

/// The effective PSF with its light in the stamp as unit.
class CellPsf {
 public:
  CellPsf(const sky::EffectivePsf& psf, int stamp_pix)
      : samples_(sky::central_square(psf, stamp_pix)), oversampling_(psf.oversamp) {
    sky::replace_wing(samples_, oversampling_);
    const double light = std::accumulate(samples_.pixels().begin(), samples_.pixels().end(), 0.0) /
                         (oversampling_ * oversampling_);
    for (double& value : samples_.pixels()) {
      value /= light;
      peak_ = std::max(peak_, value);
    }
    spline_.emplace_back(samples_.view());
  }

  [[nodiscard]] double peak() const { return peak_; }
  /// Share of the light in the pixel at an offset from the star, and its slopes per pixel.
  [[nodiscard]] numerics::BicubicSpline::Value at(double dx, double dy) const {
    const double centre = 0.5 * (samples_.width() - 1);
    auto value = spline_.front().at(oversampling_ * dx + centre, oversampling_ * dy + centre);
    value.dx *= oversampling_;
    value.dy *= oversampling_;
    return value;
  }

 private:
  Image<double> samples_;
  int oversampling_;
  double peak_ = 0.0;
  std::vector<numerics::BicubicSpline> spline_;
};

struct Pixel {
  double x = 0.0;
  double y = 0.0;
  double value = 0.0;
};

/// Half the sum of squares of flux * PSF + constant over pixels; parameters flux, x, y, constant.
class WingProblem : public numerics::LeastSquaresProblem {
 public:
  static constexpr int kSize = 4;

  WingProblem(const CellPsf& psf, std::span<const Pixel> pixels) : psf_(psf), pixels_(pixels) {}

  [[nodiscard]] int size() const override { return kSize; }
  double value(std::span<const double> x) override {
    double sum = 0.0;
    for (const Pixel& pixel : pixels_) {
      const double r = x[0] * psf_.at(pixel.x - x[1], pixel.y - x[2]).value + x[3] - pixel.value;
      sum += r * r;
    }
    return 0.5 * sum;
  }
  double gradient(std::span<const double> x, std::span<double> gradient) override {
    std::fill(gradient.begin(), gradient.end(), 0.0);
    std::fill(matrix_.begin(), matrix_.end(), 0.0);
    double sum = 0.0;
    for (const Pixel& pixel : pixels_) {
      const auto p = psf_.at(pixel.x - x[1], pixel.y - x[2]);
      const double r = x[0] * p.value + x[3] - pixel.value;
      const std::array<double, kSize> slope{p.value, -x[0] * p.dx, -x[0] * p.dy, 1.0};
      sum += r * r;
      for (std::size_t a = 0; a < slope.size(); ++a) {
        gradient[a] += r * slope.at(a);
        for (std::size_t b = 0; b < slope.size(); ++b) {
          matrix_.at(kSize * a + b) += slope.at(a) * slope.at(b);
        }
      }
    }
    return 0.5 * sum;
  }
  void normal_matrix(std::span<const double> /*x*/, std::span<double> matrix) override {
    std::copy(matrix_.begin(), matrix_.end(), matrix.begin());
    numerics::add_ridge(matrix, kSize);
  }

 private:
  const CellPsf& psf_;
  std::span<const Pixel> pixels_;
  std::array<double, kSize * kSize> matrix_{};
};

class CoreReplacement {
 public:
  CoreReplacement(std::span<const CatalogueStar> stars, const CoreOptions& options,
                  ImageView<float> image, ImageView<std::uint16_t> mask)
      : stars_(stars), options_(options), image_(image), mask_(mask) {}

  ReplacedCores run() {
    const std::vector<sky::StarStamp> stamps = psf_stamps();
    clear_saturated();
    if (stamps.size() < kFewestPsfStars) {
      return out_;
    }
    const CellPsf psf(sky::build_effective_psf(
                          stamps, {options_.oversampling, options_.rounds, true, kRecentreBox}),
                      options_.stamp_pix);
    out_.psf_stars = static_cast<int>(stamps.size());
    out_.peak_psf = psf.peak();
    for (const std::size_t i :
         by_brightness(stars_, -std::numeric_limits<double>::infinity(), options_.replace_mag)) {
      replace(i, psf);
    }
    return out_;
  }

 private:
  static constexpr int kRecentreBox = 9;

  /// A pixel that may be fitted.
  [[nodiscard]] bool usable(int y, int x) const {
    return std::isfinite(image_(y, x)) && mask_(y, x) == 0;
  }

  [[nodiscard]] bool is_alone(std::size_t i, const Box& box) const {
    for (std::size_t k = 0; k < stars_.size(); ++k) {
      if (k != i && box.contains(stars_[k].x, stars_[k].y) &&
          !(stars_[k].rp_mag > stars_[i].rp_mag + kNeighbourMag)) {
        return false;
      }
    }
    return true;
  }

  /// Empty when a pixel near the centre is not usable.
  [[nodiscard]] sky::StarStamp psf_stamp(const CatalogueStar& star, const Box& box) const {
    sky::StarStamp stamp{Image<double>(box.width(), box.height()),
                         Image<double>(box.width(), box.height()), star.x - box.x0,
                         star.y - box.y0};
    std::vector<double> sky_values;
    for (int y = box.y0; y < box.y1; ++y) {
      for (int x = box.x0; x < box.x1; ++x) {
        const double distance = std::hypot(x - star.x, y - star.y);
        if (!usable(y, x)) {
          if (distance <= kCleanRadius) {
            return {};
          }
          continue;
        }
        stamp.data(y - box.y0, x - box.x0) = image_(y, x);
        stamp.weight(y - box.y0, x - box.x0) = 1.0;
        if (distance > kSkyRadius) {
          sky_values.push_back(image_(y, x));
        }
      }
    }
    const double level = numerics::median(sky_values);
    if (!std::isfinite(level)) {
      return {};
    }
    for (double& value : stamp.data.pixels()) {
      value -= level;
    }
    return stamp;
  }

  [[nodiscard]] std::vector<sky::StarStamp> psf_stamps() const {
    std::vector<sky::StarStamp> stamps;
    for (const std::size_t i : by_brightness(stars_, options_.psf_from_mag, options_.psf_to_mag)) {
      const Box box = stamp_box(stars_[i].x, stars_[i].y, options_.stamp_pix);
      if (box.intersect({0, image_.width(), 0, image_.height()}) != box || !is_alone(i, box)) {
        continue;
      }
      sky::StarStamp stamp = psf_stamp(stars_[i], box);
      if (!stamp.data.empty()) {
        stamps.push_back(std::move(stamp));
      }
      if (stamps.size() == options_.most_psf_stars) {
        break;
      }
    }
    return stamps;
  }

  void clear_saturated() {
    for (int y = 0; y < mask_.height(); ++y) {
      for (std::uint16_t& bits : mask_.row(y)) {
        bits = static_cast<std::uint16_t>(bits & ~kSaturatedBit);
      }
    }
  }

  /// Other stars whose central pixels may be as bright as replaced ones.
  [[nodiscard]] std::vector<std::size_t> rivals(std::size_t i, const Box& box) const {
    std::vector<std::size_t> out;
    for (std::size_t k = 0; k < stars_.size(); ++k) {
      if (k != i && stars_[k].rp_mag <= options_.level_mag &&
          box.grown(options_.stamp_pix).contains(stars_[k].x, stars_[k].y)) {
        out.push_back(k);
      }
    }
    return out;
  }

  [[nodiscard]] bool is_nearest(std::size_t i, const std::vector<std::size_t>& others, int x,
                                int y) const {
    const double own = std::hypot(x - stars_[i].x, y - stars_[i].y);
    return std::none_of(others.begin(), others.end(), [&](std::size_t k) {
      return std::hypot(x - stars_[k].x, y - stars_[k].y) < own;
    });
  }

  void replace(std::size_t i, const CellPsf& psf) {
    const CatalogueStar& star = stars_[i];
    const Box box = stamp_box(star.x, star.y, options_.stamp_pix)
                        .intersect({0, image_.width(), 0, image_.height()});
    const double limit = flux_of(options_.level_mag) * psf.peak();
    std::vector<Pixel> pixels;
    for (int y = box.y0; y < box.y1; ++y) {
      for (int x = box.x0; x < box.x1; ++x) {
        if (usable(y, x) && static_cast<double>(image_(y, x)) < limit) {
          pixels.push_back({static_cast<double>(x), static_cast<double>(y), image_(y, x)});
        }
      }
    }
    if (pixels.size() < kFewestPixels) {
      return;
    }
    WingProblem problem(psf, pixels);
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const std::array<double, 4> start{flux_of(star.rp_mag), star.x, star.y, 0.0};
    const std::array<double, 4> lower{0.0, star.x - kMostShift, star.y - kMostShift, -kInfinity};
    const std::array<double, 4> upper{kInfinity, star.x + kMostShift, star.y + kMostShift,
                                      kInfinity};
    const numerics::LeastSquaresResult fit =
        numerics::minimize_lm(problem, start, lower, upper, {});
    if (fit.outcome == numerics::Outcome::failed || !(fit.x[0] > 0.0)) {
      return;
    }
    ++out_.fitted;
    const int before = out_.pixels;
    const std::vector<std::size_t> others = rivals(i, box);
    for (int y = box.y0; y < box.y1; ++y) {
      for (int x = box.x0; x < box.x1; ++x) {
        const double model = fit.x[0] * psf.at(x - fit.x[1], y - fit.x[2]).value + fit.x[3];
        const bool none = !std::isfinite(image_(y, x));
        if ((none ? model > limit : static_cast<double>(image_(y, x)) > limit) &&
            is_nearest(i, others, x, y)) {
          image_(y, x) = static_cast<float>(model);
          mask_(y, x) = static_cast<std::uint16_t>(mask_(y, x) | kSaturatedBit);
          ++out_.pixels;
        }
      }
    }
    if (out_.pixels > before) {
      out_.stars.push_back(i);
    }
  }

  std::span<const CatalogueStar> stars_;
  const CoreOptions& options_;
  ImageView<float> image_;
  ImageView<std::uint16_t> mask_;
  ReplacedCores out_;
};

}  // namespace

ReplacedCores replace_cores(std::span<const CatalogueStar> stars, const CoreOptions& options,
                            ImageView<float> image, ImageView<std::uint16_t> mask) {
  return CoreReplacement(stars, options, image, mask).run();
}

}  // namespace skyloom::skycells
