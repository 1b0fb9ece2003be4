#include "pipelines/photometry/epsf/cell_report.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>

#include "pipelines/photometry/epsf/stars.hpp"

namespace skyloom::photometry::epsf {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

double growth_radius(const std::vector<double>& growth, double fraction) {
  for (std::size_t r = 0; r < growth.size(); ++r) {
    if (growth[r] >= fraction * growth.back()) {
      return static_cast<double>(r);
    }
  }
  return std::numeric_limits<double>::quiet_NaN();
}

/// Used stars whose pixels are kept: the first of every cell, then the second of every cell, ...
std::vector<std::size_t> pictured(const Input& input, const Options& options,
                                  const std::vector<StarRow>& stars) {
  std::vector<int> taken(input.cells.size() + 1, 0);
  std::vector<std::pair<int, std::size_t>> turns;
  for (std::size_t s = 0; s < stars.size(); ++s) {
    if (stars[s].used && !stars[s].wing) {
      const int turn = taken[static_cast<std::size_t>(stars[s].cell + 1)]++;
      if (turn < options.save_star_montage_max) {
        turns.emplace_back(turn, s);
      }
    }
  }
  std::sort(turns.begin(), turns.end());
  turns.resize(
      std::min(turns.size(), static_cast<std::size_t>(options.save_star_montage_max_image)));
  std::vector<std::size_t> out;
  for (const auto& [turn, s] : turns) {
    out.push_back(s);
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

void describe_array(const Options& options, CellResult& cell) {
  const Image<double>& psf = cell.epsf;
  cell.growth = sky::growth_curve(psf);
  cell.r50_pix = growth_radius(cell.growth, 0.5);
  cell.r80_pix = growth_radius(cell.growth, 0.8);
  cell.r90_pix = growth_radius(cell.growth, 0.9);
  cell.ee_edge = cell.growth[static_cast<std::size_t>(psf.width() / 2)];
  if (!options.save_growth_curve) {
    cell.growth.clear();
  }
  std::vector<double> edge;
  for (int y = 0; y < psf.height(); ++y) {
    const bool whole_row = y == 0 || y == psf.height() - 1;
    for (int x = 0; x < psf.width(); x += whole_row ? 1 : psf.width() - 1) {
      edge.push_back(psf(y, x));
    }
  }
  cell.edge_mean = 0.0;
  for (const double value : edge) {
    cell.edge_mean += value / static_cast<double>(edge.size());
  }
  cell.edge_median = median_of(std::move(edge));
  const auto [low, high] = std::minmax_element(psf.pixels().begin(), psf.pixels().end());
  cell.epsf_min = *low;
  cell.epsf_max = *high;
}

std::vector<StarCutout> star_cutouts(const Band& band, const Options& options,
                                     const std::vector<StarRow>& stars) {
  const Input& input = *band.input;
  const int size = options.cutout_size;
  std::vector<StarCutout> out;
  for (const std::size_t s : pictured(input, options, stars)) {
    const StarRow& star = stars[s];
    StarCutout cutout;
    cutout.star = static_cast<int>(s);
    cutout.x0 = static_cast<int>(std::lround(star.x)) - size / 2;
    cutout.y0 = static_cast<int>(std::lround(star.y)) - size / 2;
    cutout.x = star.x;
    cutout.y = star.y;
    cutout.background = band.background_at(star.x, star.y) + star.sky;
    cutout.background_status = "fitted";
    cutout.raw = Image<float>(size, size, kNaN);
    out.push_back(std::move(cutout));
  }
  // From bottom to top, as the reader wants it.
  std::vector<std::size_t> order(out.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return out[a].y0 < out[b].y0; });
  for (const std::size_t k : order) {
    StarCutout& cutout = out[k];
    const Box box =
        Box{cutout.x0, cutout.x0 + size, cutout.y0, cutout.y0 + size}.intersect(band.box);
    const Pixels pixels = input.read(box);
    for (int y = 0; y < box.height(); ++y) {
      for (int x = 0; x < box.width(); ++x) {
        if (pixels.bad(y, x) == 0) {
          cutout.raw(y + box.y0 - cutout.y0, x + box.x0 - cutout.x0) = pixels.data(y, x);
        }
      }
    }
  }
  return out;
}

CellPicture cell_picture(ImageView<const float> raw, ImageView<const std::uint8_t> mask,
                         ImageView<const float> background) {
  CellPicture picture;
  const int side = std::max({raw.width(), raw.height(), 1});
  picture.binning = (side + kCellPictureSide - 1) / kCellPictureSide;
  const int b = picture.binning;
  const int width = (raw.width() + b - 1) / b;
  const int height = (raw.height() + b - 1) / b;
  picture.raw = Image<float>(width, height, kNaN);
  if (!background.empty()) {
    picture.background = Image<float>(width, height, kNaN);
  }
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const Box block = Box{x * b, (x + 1) * b, y * b, (y + 1) * b}.intersect(raw.box());
      double good = 0.0;
      double light = 0.0;
      double level = 0.0;
      for (int j = block.y0; j < block.y1; ++j) {
        for (int i = block.x0; i < block.x1; ++i) {
          if (mask(j, i) == 0) {
            good += 1.0;
            light += raw(j, i);
          }
          level += background.empty() ? 0.0 : background(j, i);
        }
      }
      if (good > 0.0) {
        picture.raw(y, x) = static_cast<float>(light / good);
      }
      if (!background.empty()) {
        picture.background(y, x) = static_cast<float>(level / (block.width() * block.height()));
      }
    }
  }
  return picture;
}

}  // namespace skyloom::photometry::epsf
