#include "skyloom/sky/background.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

extern "C" {
#include <sep.h>
}

#include "skyloom/core/errors.hpp"

namespace skyloom::sky {
namespace {

struct FreeBackground {
  void operator()(sep_bkg* map) const noexcept { sep_bkg_free(map); }
};

[[noreturn]] void fail(int status) {
  char text[80] = {};
  sep_get_errmsg(status, text);
  throw UnitError(Reason::numerical, std::string("mesh background: ") + text);
}

void check(int status) {
  if (status != 0) {
    fail(status);
  }
}

/// Fewer good pixels than this part of a box say nothing about its background.
constexpr double kMinGoodPart = 0.5;

/// Part of every box that is not masked.
Image<float> good_part(const std::vector<std::uint8_t>& masked, int width, int height, int box) {
  const int nx = (width + box - 1) / box;
  const int ny = (height + box - 1) / box;
  Image<float> part(nx, ny, 0.0F);
  for (int j = 0; j < ny; ++j) {
    for (int i = 0; i < nx; ++i) {
      const int across = std::min(box, width - i * box);
      const int up = std::min(box, height - j * box);
      int bad = 0;
      for (int y = j * box; y < j * box + up; ++y) {
        const auto row = masked.begin() + static_cast<std::ptrdiff_t>(y) * width + i * box;
        bad += std::accumulate(row, row + across, 0);
      }
      part(j, i) = 1.0F - static_cast<float>(bad) / static_cast<float>(across * up);
    }
  }
  return part;
}

/// Replaces NaN by the mean of the nearest finite nodes. @return false when there is none
bool fill_gaps(Image<float>& nodes) {
  const Image<float> known = nodes;
  for (int y = 0; y < known.height(); ++y) {
    for (int x = 0; x < known.width(); ++x) {
      if (std::isfinite(known(y, x))) {
        continue;
      }
      long nearest = std::numeric_limits<long>::max();
      double sum = 0.0;
      int count = 0;
      for (int j = 0; j < known.height(); ++j) {
        for (int i = 0; i < known.width(); ++i) {
          const long distance =
              static_cast<long>(i - x) * (i - x) + static_cast<long>(j - y) * (j - y);
          if (!std::isfinite(known(j, i)) || distance > nearest) {
            continue;
          }
          if (distance < nearest) {
            nearest = distance;
            sum = 0.0;
            count = 0;
          }
          sum += static_cast<double>(known(j, i));
          ++count;
        }
      }
      if (count == 0) {
        return false;
      }
      nodes(y, x) = static_cast<float>(sum / count);
    }
  }
  return true;
}

Image<float> median_filtered(const Image<float>& nodes, int size) {
  const int reach = size / 2;
  Image<float> result(nodes.width(), nodes.height());
  std::vector<float> values;
  for (int y = 0; y < nodes.height(); ++y) {
    for (int x = 0; x < nodes.width(); ++x) {
      const Box window =
          Box{x - reach, x + reach + 1, y - reach, y + reach + 1}.intersect(nodes.box());
      values.clear();
      for (int j = window.y0; j < window.y1; ++j) {
        for (int i = window.x0; i < window.x1; ++i) {
          values.push_back(nodes(j, i));
        }
      }
      const auto half = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
      std::nth_element(values.begin(), half, values.end());
      result(y, x) =
          values.size() % 2 == 1 ? *half : 0.5F * (*std::max_element(values.begin(), half) + *half);
    }
  }
  return result;
}

/// Second derivatives over six of the natural cubic spline through unit-spaced values.
std::vector<double> spline_bend(const std::vector<double>& value) {
  const std::size_t n = value.size();
  std::vector<double> bend(n, 0.0);
  std::vector<double> factor(n, 0.0);
  for (std::size_t k = 1; k + 1 < n; ++k) {
    const double pivot = 4.0 - factor[k - 1];
    factor[k] = 1.0 / pivot;
    bend[k] = (value[k + 1] - 2.0 * value[k] + value[k - 1] - bend[k - 1]) / pivot;
  }
  for (std::size_t k = n > 1 ? n - 2 : 0; k > 0; --k) {
    bend[k] -= factor[k] * bend[k + 1];
  }
  return bend;
}

Image<float> bend_along_y(const Image<float>& nodes) {
  Image<float> bend(nodes.width(), nodes.height(), 0.0F);
  std::vector<double> column(static_cast<std::size_t>(nodes.height()));
  for (int x = 0; x < nodes.width(); ++x) {
    for (int y = 0; y < nodes.height(); ++y) {
      column[static_cast<std::size_t>(y)] = static_cast<double>(nodes(y, x));
    }
    const std::vector<double> bent = spline_bend(column);
    for (int y = 0; y < nodes.height(); ++y) {
      bend(y, x) = static_cast<float>(bent[static_cast<std::size_t>(y)]);
    }
  }
  return bend;
}

/// Where a pixel lies between nodes: the interval, and the weights of values and bends at its ends.
struct Place {
  std::size_t first = 0;
  std::size_t second = 0;
  double low = 1.0;
  double high = 0.0;

  Place(int pixel, int box, int nodes) {
    if (nodes > 1) {
      const double position = (pixel + 0.5) / box - 0.5;
      first = static_cast<std::size_t>(
          std::clamp(static_cast<int>(std::floor(position)), 0, nodes - 2));
      second = first + 1;
      high = position - static_cast<double>(first);
      low = 1.0 - high;
    }
  }
  [[nodiscard]] double between(double a, double b, double bend_a, double bend_b) const {
    return low * a + high * b + (low * low * low - low) * bend_a +
           (high * high * high - high) * bend_b;
  }
};

}  // namespace

MeshNodes mesh_nodes(ImageView<const float> image, ImageView<const std::uint8_t> mask,
                     int box_size_pix) {
  // libsep wants contiguous arrays and non-masked finite values.
  const auto width = static_cast<std::size_t>(image.width());
  const std::size_t size = width * static_cast<std::size_t>(image.height());
  std::vector<float> values(size);
  std::vector<std::uint8_t> masked(size);
  constexpr float kLargest = std::numeric_limits<float>::max();
  for (int y = 0; y < image.height(); ++y) {
    const float* from = image.row(y).data();
    const std::uint8_t* spoilt = mask.row(y).data();
    float* value = values.data() + static_cast<std::size_t>(y) * width;
    std::uint8_t* bad = masked.data() + static_cast<std::size_t>(y) * width;
    for (std::size_t x = 0; x < width; ++x) {
      bad[x] = spoilt[x] == 0 && std::abs(from[x]) <= kLargest ? 0 : 1;
      value[x] = bad[x] == 0 ? from[x] : 0.0F;
    }
  }
  sep_image sep = {};
  sep.data = values.data();
  sep.dtype = SEP_TFLOAT;
  sep.mask = masked.data();
  sep.mdtype = SEP_TBYTE;
  sep.w = image.width();
  sep.h = image.height();
  sep_bkg* raw = nullptr;
  const int status = sep_background(&sep, box_size_pix, box_size_pix, 1, 1, 0.0, &raw);
  const std::unique_ptr<sep_bkg, FreeBackground> map(raw);
  check(status);
  const Image<float> good = good_part(masked, image.width(), image.height(), box_size_pix);
  MeshNodes nodes{Image<float>(map->nx, map->ny), Image<float>(map->nx, map->ny)};
  for (std::size_t k = 0; k < nodes.level.pixels().size(); ++k) {
    const bool usable = good.pixels()[k] >= kMinGoodPart;
    nodes.level.pixels()[k] = usable ? map->back[k] : std::numeric_limits<float>::quiet_NaN();
    nodes.rms.pixels()[k] = usable ? map->sigma[k] : std::numeric_limits<float>::quiet_NaN();
  }
  return nodes;
}

MeshBackground::MeshBackground(MeshNodes nodes, int box_size_pix, int filter_size_boxes)
    : box_size_(box_size_pix) {
  if (!fill_gaps(nodes.level) || !fill_gaps(nodes.rms)) {
    throw UnitError(Reason::no_good_data, "mesh background: all pixels masked");
  }
  nodes_ = {median_filtered(nodes.level, filter_size_boxes),
            median_filtered(nodes.rms, filter_size_boxes)};
  bend_ = {bend_along_y(nodes_.level), bend_along_y(nodes_.rms)};
}

Image<float> MeshBackground::interpolate(const Image<float>& nodes, const Image<float>& bend,
                                         const Box& box) const {
  // Columns between the same two nodes follow each other.
  std::vector<Place> columns;
  for (int x = box.x0; x < box.x1; ++x) {
    columns.emplace_back(x, box_size_, nodes.width());
  }
  Image<float> result(box.width(), box.height());
  std::vector<double> line(static_cast<std::size_t>(nodes.width()));
  for (int y = box.y0; y < box.y1; ++y) {
    const Place row(y, box_size_, nodes.height());
    const auto a = static_cast<int>(row.first);
    const auto b = static_cast<int>(row.second);
    for (int i = 0; i < nodes.width(); ++i) {
      line[static_cast<std::size_t>(i)] =
          row.between(nodes(a, i), nodes(b, i), bend(a, i), bend(b, i));
    }
    const std::vector<double> bent = spline_bend(line);
    const auto out = result.view().row(y - box.y0);
    for (std::size_t k = 0; k < columns.size();) {
      const std::size_t first = columns[k].first;
      const std::size_t second = columns[k].second;
      const double from = line[first];
      const double to = line[second];
      const double bend_from = bent[first];
      const double bend_to = bent[second];
      for (; k < columns.size() && columns[k].first == first; ++k) {
        out[k] = static_cast<float>(columns[k].between(from, to, bend_from, bend_to));
      }
    }
  }
  return result;
}

Image<float> MeshBackground::level(const Box& box) const {
  return interpolate(nodes_.level, bend_.level, box);
}

Image<float> MeshBackground::rms(const Box& box) const {
  return interpolate(nodes_.rms, bend_.rms, box);
}

Image<std::uint8_t> dilated(ImageView<const std::uint8_t> mask, int times) {
  const int width = mask.width();
  const int height = mask.height();
  Image<std::uint8_t> result(width, height);
  // A square of side 2 times + 1 is separable: rows first, then columns.
  Image<std::uint8_t> rows(width, height);
  const auto add = [](const std::uint8_t* from, std::uint8_t* to, int count) {
    for (int x = 0; x < count; ++x) {
      to[x] = static_cast<std::uint8_t>(to[x] | static_cast<std::uint8_t>(from[x] != 0));
    }
  };
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* from = mask.row(y).data();
    std::uint8_t* to = rows.view().row(y).data();
    for (int k = 0; k <= std::min(times, width - 1); ++k) {
      add(from + k, to, width - k);
      add(from, to + k, width - k);
    }
  }
  for (int y = 0; y < height; ++y) {
    for (int k = std::max(0, y - times); k <= std::min(height - 1, y + times); ++k) {
      add(rows.view().row(k).data(), result.view().row(y).data(), width);
    }
  }
  return result;
}

}  // namespace skyloom::sky
