#include "effective_psf_fit.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <span>

#include "skyloom/numerics/dense.hpp"

namespace skyloom::sky {
namespace {

constexpr int kReach = 2;  // of the 5 x 5 box
// Where the grid is rough the steps converge linearly.
constexpr int kMaxSteps = 1000;
constexpr int kMinPixels = 4;
constexpr double kPositionTolerance = 1e-9;  // pixels
constexpr double kFluxTolerance = 1e-9;      // relative

struct Normal {
  std::array<double, 9> matrix{};
  std::array<double, 3> gradient{};
  double chi2 = 0.0;
  int pixels = 0;
};

Normal normal_equations(const StarStamp& stamp, int x0, int y0, const FittedStar& star,
                        const GridModel& model) {
  Normal out;
  for (int y = y0 - kReach; y <= y0 + kReach; ++y) {
    for (int x = x0 - kReach; x <= x0 + kReach; ++x) {
      const double weight = stamp.weight(y, x);
      if (!(weight > 0.0)) {
        continue;
      }
      const auto p = model.spline.at(model.oversamp * (x - star.x) + model.centre,
                                     model.oversamp * (y - star.y) + model.centre);
      const std::array<double, 3> slope = {p.value, -star.flux * model.oversamp * p.dx,
                                           -star.flux * model.oversamp * p.dy};
      const double residual = stamp.data(y, x) - star.flux * p.value;
      for (std::size_t a = 0; a < 3; ++a) {
        out.gradient[a] += weight * residual * slope[a];
        for (std::size_t b = 0; b < 3; ++b) {
          out.matrix[3 * a + b] += weight * slope[a] * slope[b];
        }
      }
      out.chi2 += weight * residual * residual;
      ++out.pixels;
    }
  }
  return out;
}

}  // namespace

FittedStar fit_star(const StarStamp& stamp, const FittedStar& start, const GridModel& model) {
  FittedStar failure;
  failure.failed = true;
  const auto x0 = static_cast<int>(std::lround(start.x));
  const auto y0 = static_cast<int>(std::lround(start.y));
  if (x0 < kReach || y0 < kReach || x0 + kReach >= stamp.data.width() ||
      y0 + kReach >= stamp.data.height()) {
    return failure;
  }
  FittedStar star = start;
  Normal normal = normal_equations(stamp, x0, y0, star, model);
  if (normal.pixels < kMinPixels) {
    return failure;
  }
  double damping = 1e-3;
  numerics::SmallCholesky factor;
  for (int step = 0; step < kMaxSteps; ++step) {
    std::array<double, 3> move = normal.gradient;
    if (!factor.factor(normal.matrix, 3, damping)) {
      return failure;
    }
    factor.solve(move);
    FittedStar next = star;
    next.flux += move[0];
    next.x += move[1];
    next.y += move[2];
    const bool inside =
        std::abs(next.x - start.x) < kReach + 0.5 && std::abs(next.y - start.y) < kReach + 0.5;
    const Normal there = normal_equations(stamp, x0, y0, next, model);
    const bool small = std::abs(move[0]) < kFluxTolerance * std::abs(star.flux) &&
                       std::hypot(move[1], move[2]) < kPositionTolerance;
    if (inside && there.chi2 <= normal.chi2) {
      star = next;
      normal = there;
      damping *= 0.1;
    } else {
      damping *= 10.0;
    }
    if (small) {
      star.chi2 = normal.chi2 / normal.pixels;
      star.failed = !(star.flux > 0.0) || !std::isfinite(star.flux);
      return star.failed ? failure : star;
    }
  }
  return failure;
}

}  // namespace skyloom::sky
