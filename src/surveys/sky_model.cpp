#include "skyloom/surveys/sky_model.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/fits.hpp"
#include "skyloom/numerics/cubic_spline.hpp"

namespace skyloom::surveys {
namespace {

double on_line(const std::vector<double>& x, std::span<const double> y, double at) {
  const auto upper = std::upper_bound(x.begin() + 1, x.end() - 1, at);
  const auto i = static_cast<std::size_t>(upper - x.begin()) - 1;
  const double part = (at - x[i]) / (x[i + 1] - x[i]);
  return y[i] + part * (y[i + 1] - y[i]);
}

/// Values of one grid line at the pixels first, first + 1, ..., held constant beyond the grid.
std::vector<double> along(const std::vector<double>& grid, std::span<const double> values,
                          int order, double first, int count) {
  std::vector<double> out;
  out.reserve(static_cast<std::size_t>(count));
  const auto fill = [&](const std::function<double(double)>& value) {
    for (int i = 0; i < count; ++i) {
      out.push_back(value(std::clamp(first + i, grid.front(), grid.back())));
    }
  };
  if (order == 1) {
    fill([&](double at) { return on_line(grid, values, at); });
  } else {
    fill(numerics::CubicSpline(grid, values));
  }
  return out;
}

std::vector<double> column_of(const Table& table, const std::string& path,
                              const std::string& name) {
  const std::size_t at = table.find_ignoring_case(name);
  if (at == Table::npos) {
    throw ConfigError(path, "has no column " + name, "a spline sky model (gridvals, xgrid, ygrid)");
  }
  std::vector<double> values = table.numbers(table.columns()[at].name);
  if (!std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); })) {
    throw ConfigError(path, "column " + name + " holds values that are no numbers", "numbers");
  }
  return values;
}

}  // namespace

SplineSky::SplineSky(const std::string& path) {
  const Table table = io::read_fits_table(path);
  if (table.rows() != 1) {
    throw ConfigError(path, "has " + std::to_string(table.rows()) + " rows",
                      "a spline sky model of one image");
  }
  values_ = column_of(table, path, "gridvals");
  x_grid_ = column_of(table, path, "xgrid");
  y_grid_ = column_of(table, path, "ygrid");
  const double order = column_of(table, path, "order").front();
  if (order != 1.0 && order != 3.0) {
    throw ConfigError(path, "spline of order " + shortest(order), "order 1 or 3");
  }
  order_ = static_cast<int>(order);
  x0_ = column_of(table, path, "x0").front();
  y0_ = column_of(table, path, "y0").front();
  for (const auto* grid : {&x_grid_, &y_grid_}) {
    const bool rises = std::is_sorted(grid->begin(), grid->end(), std::less_equal<>());
    if (!rises || grid->size() <= static_cast<std::size_t>(order_)) {
      throw ConfigError(path, "xgrid or ygrid is too short or does not increase",
                        "at least " + std::to_string(order_ + 1) + " increasing positions");
    }
  }
  if (values_.size() != x_grid_.size() * y_grid_.size()) {
    throw ConfigError(path, "gridvals has " + std::to_string(values_.size()) + " values",
                      std::to_string(y_grid_.size()) + " x " + std::to_string(x_grid_.size()));
  }
}

Image<float> SplineSky::at(const Box& box) const {
  Image<float> out(box.width(), box.height());
  const std::size_t columns = x_grid_.size();
  std::vector<std::vector<double>> rows;
  for (std::size_t j = 0; j < y_grid_.size(); ++j) {
    const std::span line(values_.data() + j * columns, columns);
    rows.push_back(along(x_grid_, line, order_, x0_ + box.x0, box.width()));
  }
  std::vector<double> line(y_grid_.size());
  for (int x = 0; x < box.width(); ++x) {
    for (std::size_t j = 0; j < line.size(); ++j) {
      line[j] = rows[j][static_cast<std::size_t>(x)];
    }
    const std::vector<double> sky = along(y_grid_, line, order_, y0_ + box.y0, box.height());
    for (int y = 0; y < box.height(); ++y) {
      out(y, x) = static_cast<float>(sky[static_cast<std::size_t>(y)]);
    }
  }
  return out;
}

}  // namespace skyloom::surveys
