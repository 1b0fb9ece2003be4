#include <algorithm>
#include <cstddef>
#include <limits>

#include "pipelines/photometry/epsf/joint_fit.hpp"
#include "skyloom/numerics/lapack.hpp"

namespace skyloom::photometry::epsf {
namespace {

constexpr double kMaxChi2 = 25.0;
constexpr double kMinGain = 3.0;
constexpr std::array<double, 3> kIntrinsic = {0.02, 0.01, 0.01};

/// Shape of one star as if it were alone, and its scaled position. The components are treated as
/// independent, which their small correlations allow for a choice of order.
struct ShapePoint {
  double x = 0.0;
  double y = 0.0;
  std::array<double, 3> value{};
  std::array<double, 3> weight{};
};

struct Regression {
  bool ok = false;
  double loo_chi2 = 0.0;
  std::array<std::vector<double>, 3> coefficients;
};

Regression regress(const std::vector<ShapePoint>& points, int order) {
  const int terms = sky::shape_terms(order);
  const auto n = static_cast<std::size_t>(terms);
  Regression result;
  std::vector<double> star_chi2(points.size(), 0.0);
  for (std::size_t a = 0; a < 3; ++a) {
    std::vector<double> matrix(n * n, 0.0);
    std::vector<double> right(n, 0.0);
    const auto add = [&](const ShapePoint& point, double sign) {
      const std::array<double, 6> basis = sky::shape_basis(order, point.x, point.y);
      for (std::size_t i = 0; i < n; ++i) {
        right[i] += sign * point.weight[a] * basis[i] * point.value[a];
        for (std::size_t j = 0; j < n; ++j) {
          matrix[i * n + j] += sign * point.weight[a] * basis[i] * basis[j];
        }
      }
    };
    const auto solved = [&]() {
      const auto factor = numerics::LapackCholesky::factor(matrix, terms);
      std::vector<double> solution;
      if (factor) {
        solution = right;
        factor->solve(solution);
      }
      return solution;
    };
    for (const ShapePoint& point : points) {
      add(point, 1.0);
    }
    result.coefficients[a] = solved();
    if (result.coefficients[a].empty()) {
      return result;
    }
    for (std::size_t k = 0; k < points.size(); ++k) {
      add(points[k], -1.0);
      const std::vector<double> without = solved();
      add(points[k], 1.0);
      if (without.empty()) {
        return result;
      }
      const std::array<double, 6> basis = sky::shape_basis(order, points[k].x, points[k].y);
      double error = points[k].value[a];
      for (std::size_t i = 0; i < n; ++i) {
        error -= without[i] * basis[i];
      }
      star_chi2[k] += error * error * points[k].weight[a];
    }
  }
  for (const double chi2 : star_chi2) {
    result.loo_chi2 += std::min(chi2, kMaxChi2);
  }
  result.ok = true;
  return result;
}

}  // namespace

OrderChoice choose_order(const sky::FieldPsfModel& model, const std::vector<Star>& stars,
                         int max_order) {
  const sky::FieldPsf psf(model, 1, 1);
  std::vector<ShapePoint> points;
  for (const Star& star : stars) {
    if (!star.row.used || star.row.wing) {
      continue;
    }
    ShapePoint point;
    point.x = 2.0 * star.row.x / model.width - 1.0;
    point.y = 2.0 * star.row.y / model.height - 1.0;
    const sky::PsfShape shape = psf.shape(star.row.x, star.row.y);
    const std::array<double, 3> fitted = {shape.lambda, shape.g1, shape.g2};
    for (std::size_t a = 0; a < 3; ++a) {
      point.value[a] = fitted[a] + star.excess[a];
      point.weight[a] =
          1.0 / (star.excess_error[a] * star.excess_error[a] + kIntrinsic[a] * kIntrinsic[a]);
    }
    points.push_back(point);
  }
  OrderChoice choice;
  choice.order = model.order;
  choice.model = model;
  choice.loo_chi2.fill(std::numeric_limits<double>::quiet_NaN());
  double best = std::numeric_limits<double>::infinity();
  for (int order = 0; order <= std::min(max_order, 2); ++order) {
    if (order > 0 && static_cast<double>(points.size()) < 2.5 * sky::shape_terms(order)) {
      break;
    }
    const Regression regression = regress(points, order);
    if (!regression.ok) {
      break;
    }
    choice.loo_chi2[static_cast<std::size_t>(order)] =
        regression.loo_chi2 / static_cast<double>(points.size());
    if (order == 0 || regression.loo_chi2 < best - kMinGain) {
      best = regression.loo_chi2;
      choice.order = order;
      choice.model.order = order;
      choice.model.lambda = regression.coefficients[0];
      choice.model.g1 = regression.coefficients[1];
      choice.model.g2 = regression.coefficients[2];
    }
  }
  return choice;
}

}  // namespace skyloom::photometry::epsf
