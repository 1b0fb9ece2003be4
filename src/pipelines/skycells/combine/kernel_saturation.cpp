#include "pipelines/skycells/combine/kernel_saturation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace skyloom::skycells {
namespace {

constexpr int kNowhere = std::numeric_limits<std::int32_t>::max();

/// Row of the nearest pixel of a segment in the same column; the lower of two.
Image<std::int32_t> nearest_in_columns(const Image<std::int32_t>& segments) {
  const int width = segments.width();
  const int height = segments.height();
  Image<std::int32_t> nearest(width, height, kNowhere);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      nearest(y, x) = segments(y, x) != 0 ? y : y > 0 ? nearest(y - 1, x) : kNowhere;
    }
  }
  for (int y = height - 2; y >= 0; --y) {
    for (int x = 0; x < width; ++x) {
      const std::int32_t above = nearest(y + 1, x);
      const std::int32_t below = nearest(y, x);
      if (above != kNowhere && (below == kNowhere || above - y < y - below)) {
        nearest(y, x) = above;
      }
    }
  }
  return nearest;
}

/// The parabolas (x - column)^2 + distance^2 that are lowest somewhere along one row.
class LowerEnvelope {
 public:
  void clear() {
    columns_.clear();
    squares_.clear();
    begins_.clear();
  }

  /// In ascending order of columns.
  void add(int column, std::int64_t square) {
    double begin = -std::numeric_limits<double>::infinity();
    while (!columns_.empty()) {
      const std::int64_t other = columns_.back();
      // Where the new parabola comes to lie below the last one.
      begin = static_cast<double>((square + std::int64_t{column} * column) -
                                  (squares_.back() + other * other)) /
              static_cast<double>(2 * (column - other));
      if (begin > begins_.back()) {
        break;
      }
      columns_.pop_back();
      squares_.pop_back();
      begins_.pop_back();
      begin = -std::numeric_limits<double>::infinity();
    }
    columns_.push_back(column);
    squares_.push_back(square);
    begins_.push_back(begin);
  }

  [[nodiscard]] bool empty() const { return columns_.empty(); }
  /// Column of the lowest parabola at x; of two the left one.
  [[nodiscard]] int at(int x) const {
    const auto after = std::lower_bound(begins_.begin() + 1, begins_.end(), static_cast<double>(x));
    return static_cast<int>(columns_[static_cast<std::size_t>(after - begins_.begin()) - 1]);
  }

 private:
  std::vector<std::int64_t> columns_;
  std::vector<std::int64_t> squares_;
  std::vector<double> begins_;
};

/// What is known about the domain of a segment.
struct Domain {
  double flux = 0.0;
  double weight = 0.0;  ///< flux above 0
  double weight_x = 0.0;
  double weight_y = 0.0;
  double pixels = 0.0;
  double sum_x = 0.0;
  double sum_y = 0.0;
  bool saturated = false;
  bool bright_star = false;
  std::vector<std::size_t> stars;
};

std::vector<Domain> measure(const Image<std::int32_t>& domains, int count,
                            ImageView<const std::uint16_t> mask, ImageView<const float> image) {
  std::vector<Domain> out(static_cast<std::size_t>(count));
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      if (domains(y, x) == 0) {
        continue;
      }
      Domain& domain = out[static_cast<std::size_t>(domains(y, x) - 1)];
      domain.pixels += 1.0;
      domain.sum_x += x;
      domain.sum_y += y;
      const bool saturated = (mask(y, x) & kSaturatedBit) != 0 && (mask(y, x) & kStarCoreBit) != 0;
      domain.saturated = domain.saturated || saturated;
      if (std::isfinite(image(y, x))) {
        const double value = image(y, x);
        const double weight = std::max(0.0, value);
        domain.flux += value;
        domain.weight += weight;
        domain.weight_x += weight * x;
        domain.weight_y += weight * y;
      }
    }
  }
  return out;
}

RemovedStar record(const Domain& domain, int segment, RemovalReason reason) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  RemovedStar out;
  out.star = {0, kNone, kNone, kNone, kNone, kNone, kNone, kNone};
  out.reason = reason;
  out.segment = segment;
  const bool weighted = domain.weight > 0.0;
  const double all = weighted ? domain.weight : domain.pixels;
  out.centroid_x = (weighted ? domain.weight_x : domain.sum_x) / all;
  out.centroid_y = (weighted ? domain.weight_y : domain.sum_y) / all;
  out.flux = domain.flux;
  return out;
}

}  // namespace

double tess_magnitude(const CatalogueStar& star) {
  const double c = star.bp_mag - star.rp_mag;
  if (!std::isfinite(c)) {
    return star.g_mag - 0.430;
  }
  return star.g_mag + ((-0.00522555 * c + 0.0891337) * c - 0.633923) * c + 0.0324473;
}

std::string name_of(RemovalReason reason) {
  switch (reason) {
    case RemovalReason::catalog_bright_star:
      return "catalog_bright_star";
    case RemovalReason::catalog_neighbor:
      return "catalog_neighbor";
    case RemovalReason::quality_flag_star:
      return "quality_flag_star";
    case RemovalReason::quality_flag_no_star:
      return "quality_flag_no_star";
  }
  return "";
}

Image<std::int32_t> segment_domains(const SourceMap& sources) {
  const Image<std::int32_t> nearest = nearest_in_columns(sources.segments);
  Image<std::int32_t> out = sources.segments;
  LowerEnvelope envelope;
  for (int y = 0; y < out.height(); ++y) {
    const auto bright = sources.bright.view().row(y);
    if (std::none_of(bright.begin(), bright.end(), [](std::uint8_t b) { return b != 0; })) {
      continue;
    }
    envelope.clear();
    for (int x = 0; x < out.width(); ++x) {
      if (nearest(y, x) != kNowhere) {
        const std::int64_t distance = nearest(y, x) - y;
        envelope.add(x, distance * distance);
      }
    }
    for (int x = 0; x < out.width() && !envelope.empty(); ++x) {
      if (bright[static_cast<std::size_t>(x)] != 0) {
        const int column = envelope.at(x);
        out(y, x) = sources.segments(nearest(y, column), column);
      }
    }
  }
  return out;
}

std::vector<RemovedStar> remove_stars(const Image<std::int32_t>& domains, int count,
                                      ImageView<const std::uint16_t> mask,
                                      std::span<const CatalogueStar> stars, double limit_mag,
                                      ImageView<float> image) {
  std::vector<Domain> all = measure(domains, count, mask, image);
  for (std::size_t i = 0; i < stars.size(); ++i) {
    const double x = std::round(stars[i].x);
    const double y = std::round(stars[i].y);
    if (!domains.box().contains(x, y)) {
      continue;
    }
    const std::int32_t segment = domains(static_cast<int>(y), static_cast<int>(x));
    if (segment != 0) {
      Domain& domain = all[static_cast<std::size_t>(segment - 1)];
      domain.stars.push_back(i);
      domain.bright_star = domain.bright_star || tess_magnitude(stars[i]) < limit_mag;
    }
  }
  std::vector<RemovedStar> removed;
  for (const bool by_catalogue : {true, false}) {
    for (int i = 0; i < count; ++i) {
      const Domain& domain = all[static_cast<std::size_t>(i)];
      if (by_catalogue ? !domain.bright_star : domain.bright_star || !domain.saturated) {
        continue;
      }
      for (const std::size_t star : domain.stars) {
        const bool bright = tess_magnitude(stars[star]) < limit_mag;
        removed.push_back(record(domain, i + 1,
                                 !by_catalogue ? RemovalReason::quality_flag_star
                                 : bright      ? RemovalReason::catalog_bright_star
                                               : RemovalReason::catalog_neighbor));
        removed.back().star = stars[star];
      }
      if (domain.stars.empty()) {
        removed.push_back(record(domain, i + 1, RemovalReason::quality_flag_no_star));
      }
    }
  }
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      if (domains(y, x) != 0 && !std::isnan(image(y, x))) {
        const Domain& domain = all[static_cast<std::size_t>(domains(y, x) - 1)];
        image(y, x) = domain.bright_star || domain.saturated ? 0.0F : image(y, x);
      }
    }
  }
  return removed;
}

}  // namespace skyloom::skycells
