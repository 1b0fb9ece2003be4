#include "pipelines/skycells/combine/kernel_pads.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace skyloom::skycells {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr double kRadian = std::numbers::pi / 180.0;

using Matrix = std::array<double, 9>;

Matrix operator*(const Matrix& a, const Matrix& b) {
  Matrix out{};
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      for (std::size_t k = 0; k < 3; ++k) {
        out[3 * i + j] += a[3 * i + k] * b[3 * k + j];
      }
    }
  }
  return out;
}

Matrix transposed(const Matrix& m) {
  return {m[0], m[3], m[6], m[1], m[4], m[7], m[2], m[5], m[8]};
}

/// Columns: unit vectors to the east, to the north and to the tangent point.
Matrix tangent_frame(const GnomonicGrid& grid) {
  const double ra = grid.crval_deg[0] * kRadian;
  const double dec = grid.crval_deg[1] * kRadian;
  return {-std::sin(ra),
          -std::sin(dec) * std::cos(ra),
          std::cos(dec) * std::cos(ra),
          std::cos(ra),
          -std::sin(dec) * std::sin(ra),
          std::cos(dec) * std::sin(ra),
          0.0,
          std::cos(dec),
          std::sin(dec)};
}

/// Pixel (x, y, 1) to tangent plane (east, north, 1), radians.
Matrix to_plane(const GnomonicGrid& grid) {
  std::array<double, 4> cd{};
  std::transform(grid.cd.begin(), grid.cd.end(), cd.begin(),
                 [](double value) { return value * kRadian; });
  const double x = grid.crpix[0] - 1.0;
  const double y = grid.crpix[1] - 1.0;
  return {cd[0], cd[1], -(cd[0] * x + cd[1] * y), cd[2], cd[3], -(cd[2] * x + cd[3] * y), 0.0,
          0.0,   1.0};
}

Matrix to_pixels(const GnomonicGrid& grid) {
  const Matrix m = to_plane(grid);
  const double det = m[0] * m[4] - m[1] * m[3];
  return {m[4] / det,  -m[1] / det, grid.crpix[0] - 1.0,
          -m[3] / det, m[0] / det,  grid.crpix[1] - 1.0,
          0.0,         0.0,         1.0};
}

/// Where interpolation happens along one axis: pixel and the weight of the next one.
struct Between {
  std::ptrdiff_t pixel;
  double next;
};

Between between(double position) {
  constexpr double kOnPixel = 1e-6;
  const double nearest = std::round(position);
  const double at = std::abs(position - nearest) < kOnPixel ? nearest : position;
  const double below = std::floor(at);
  return {static_cast<std::ptrdiff_t>(below), at - below};
}

}  // namespace

GridMapping::GridMapping(const GnomonicGrid& from, const GnomonicGrid& to)
    : h_(to_pixels(to) * (transposed(tangent_frame(to)) * tangent_frame(from)) * to_plane(from)) {}

float bilinear(ImageView<const float> image, const Box& origin, PixelPosition at) {
  // Also false for NaN; keeps far positions out of integers.
  if (!(at.x > origin.x0 - 1.0 && at.x < origin.x0 + image.width() && at.y > origin.y0 - 1.0 &&
        at.y < origin.y0 + image.height())) {
    return kNan;
  }
  const Between column = between(at.x - origin.x0);
  const Between row = between(at.y - origin.y0);
  const std::ptrdiff_t more_columns = column.next > 0.0 ? 1 : 0;
  const std::ptrdiff_t more_rows = row.next > 0.0 ? 1 : 0;
  if (column.pixel < 0 || row.pixel < 0 || column.pixel + more_columns >= image.width() ||
      row.pixel + more_rows >= image.height()) {
    return kNan;
  }
  const float* const corner = image.data() + row.pixel * image.stride() + column.pixel;
  const auto along = [&](const float* from) {
    const double first = static_cast<double>(from[0]);
    return more_columns == 0
               ? first
               : (1.0 - column.next) * first + column.next * static_cast<double>(from[1]);
  };
  const double low = along(corner);
  return static_cast<float>(
      more_rows == 0 ? low : (1.0 - row.next) * low + row.next * along(corner + image.stride()));
}

PadRows::PadRows(std::vector<CellPad> pads, int first_column, int last_column)
    : pads_(std::move(pads)),
      first_column_(first_column),
      first_row_(std::numeric_limits<int>::min()),
      overlay_(last_column - first_column, kRows) {}

void PadRows::extend(int row, std::span<float> values) {
  if (std::none_of(pads_.begin(), pads_.end(), [&](const CellPad& pad) {
        return row >= pad.window.y0 && row < pad.window.y1;
      })) {
    return;
  }
  if (first_row_ == std::numeric_limits<int>::min() || row >= first_row_ + kRows) {
    fill(row);
  }
  const std::span<const float> over = overlay_.view().row(row - first_row_);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = std::isnan(over[i]) ? values[i] : over[i];
  }
}

void PadRows::fill(int first_row) {
  first_row_ = first_row;
  std::fill(overlay_.pixels().begin(), overlay_.pixels().end(), kNan);
  const Box block{first_column_, first_column_ + overlay_.width(), first_row, first_row + kRows};
  for (const CellPad& pad : pads_) {
    const Box window = pad.window.intersect(block);
    for (int x0 = window.x0; x0 < window.x1 && !window.empty(); x0 += kColumns) {
      fill_piece(pad, {x0, std::min(window.x1, x0 + kColumns), window.y0, window.y1});
    }
  }
}

void PadRows::fill_piece(const CellPad& pad, const Box& piece) {
  // Straight lines stay straight, so the corners bound the piece in the source.
  constexpr double kFar = std::numeric_limits<double>::infinity();
  double low[2] = {kFar, kFar};
  double high[2] = {-kFar, -kFar};
  for (const int x : {piece.x0, piece.x1 - 1}) {
    for (const int y : {piece.y0, piece.y1 - 1}) {
      const PixelPosition at = pad.to_source(x, y);
      if (std::isnan(at.x)) {
        return;
      }
      low[0] = std::min(low[0], at.x);
      high[0] = std::max(high[0], at.x);
      low[1] = std::min(low[1], at.y);
      high[1] = std::max(high[1], at.y);
    }
  }
  constexpr double kMargin = 2.0;
  const auto pixel = [](double value, int least, int most) {
    return static_cast<int>(
        std::clamp(value, static_cast<double>(least), static_cast<double>(most)));
  };
  const Box& all = pad.usable;
  const Box needed{pixel(std::floor(low[0] - kMargin), all.x0, all.x1),
                   pixel(std::ceil(high[0] + kMargin), all.x0, all.x1),
                   pixel(std::floor(low[1] - kMargin), all.y0, all.y1),
                   pixel(std::ceil(high[1] + kMargin), all.y0, all.y1)};
  if (needed.empty()) {
    return;
  }
  const Image<float> pixels = pad.source->read(needed);
  if (pixels.empty()) {
    return;
  }
  for (int y = piece.y0; y < piece.y1; ++y) {
    const std::span<float> over = overlay_.view().row(y - first_row_);
    for (int x = piece.x0; x < piece.x1; ++x) {
      const float value = bilinear(pixels.view(), needed, pad.to_source(x, y));
      if (!std::isnan(value)) {
        over[static_cast<std::size_t>(x - first_column_)] = value;
      }
    }
  }
}

}  // namespace skyloom::skycells
