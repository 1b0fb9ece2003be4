#include "pipelines/photometry/epsf/frame.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "pipelines/photometry/epsf/stars.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::photometry::epsf {
namespace {

constexpr int kMaxTile = 1536;  // pixels: with its margins about 100 MB at work

/// Sides of tiles along one axis: equal multiples of the mesh's boxes, the last may be smaller.
int tile_side(int size, int mesh_box) {
  const int tiles = (size + kMaxTile - 1) / kMaxTile;
  const int side = (size + tiles - 1) / tiles;
  return (side + mesh_box - 1) / mesh_box * mesh_box;
}

std::vector<Box> make_tiles(const Box& band, int mesh_box) {
  const int step_x = tile_side(band.width(), mesh_box);
  const int step_y = tile_side(band.height(), mesh_box);
  std::vector<Box> tiles;
  for (int y = 0; y < band.y1; y += step_y) {
    for (int x = 0; x < band.x1; x += step_x) {
      tiles.push_back(Box{x, x + step_x, y, y + step_y}.intersect(band));
    }
  }
  return tiles;
}

/// The mesh of the whole band, collected tile by tile.
class Mesh {
 public:
  Mesh(const Band& band, int box_size)
      : input_(*band.input),
        box_(band.box),
        box_size_(box_size),
        masked_(input_.cells.size(), 0.0) {
    const int nx = (box_.width() + box_size - 1) / box_size;
    const int ny = (box_.height() + box_size - 1) / box_size;
    constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
    nodes_ = {Image<float>(nx, ny, kUnknown), Image<float>(nx, ny, kUnknown)};
  }

  /// @param frame the tile grown by what the mask may grow   @param sigma its noise
  void add(const Box& tile, const Frame& frame, double sigma, const Options& options) {
    const Image<std::uint8_t> mask = source_mask(frame.data, frame.mask, sigma, options);
    const Box inner{tile.x0 - frame.box.x0, tile.x1 - frame.box.x0, tile.y0 - frame.box.y0,
                    tile.y1 - frame.box.y0};
    count_masked(tile, mask.view().sub(inner));
    const sky::MeshNodes part =
        sky::mesh_nodes(frame.data.view().sub(inner), mask.view().sub(inner), box_size_);
    for (int j = 0; j < part.level.height(); ++j) {
      for (int i = 0; i < part.level.width(); ++i) {
        nodes_.level(tile.y0 / box_size_ + j, tile.x0 / box_size_ + i) = part.level(j, i);
        nodes_.rms(tile.y0 / box_size_ + j, tile.x0 / box_size_ + i) = part.rms(j, i);
      }
    }
  }

  [[nodiscard]] sky::MeshBackground finish(int filter_size) const {
    return {nodes_, box_size_, filter_size};
  }

  /// Statistics over a cell; the maps are smooth, so that every eighth pixel says it all.
  [[nodiscard]] BackgroundStats stats(const sky::MeshBackground& background,
                                      std::size_t cell) const {
    constexpr int kStep = 8;
    const Box area = input_.cells[cell].box.intersect(box_);
    BackgroundStats stats;
    stats.status = "ok";
    std::vector<double> level;
    std::vector<double> rms;
    for (int y = area.y0 + std::min(kStep, area.height()) / 2; y < area.y1; y += kStep) {
      const Image<float> levels = background.level({area.x0, area.x1, y, y + 1});
      const Image<float> noises = background.rms({area.x0, area.x1, y, y + 1});
      for (int x = std::min(kStep, area.width()) / 2; x < area.width(); x += kStep) {
        level.push_back(static_cast<double>(levels(0, x)));
        rms.push_back(static_cast<double>(noises(0, x)));
        stats.map_mean += level.back();
        stats.rms_mean += rms.back();
      }
    }
    const auto count = static_cast<double>(std::max<std::size_t>(level.size(), 1));
    stats.map_mean /= count;
    stats.rms_mean /= count;
    stats.map_median = median_of(std::move(level));
    stats.rms_median = median_of(std::move(rms));
    const double pixels = static_cast<double>(area.width()) * area.height();
    stats.masked_fraction = pixels > 0.0 ? masked_[cell] / pixels : 0.0;
    return stats;
  }

 private:
  void count_masked(const Box& tile, ImageView<const std::uint8_t> mask) {
    for (std::size_t c = 0; c < masked_.size(); ++c) {
      const Box part = input_.cells[c].box.intersect(tile);
      for (int y = part.y0; y < part.y1; ++y) {
        for (int x = part.x0; x < part.x1; ++x) {
          masked_[c] += mask(y - tile.y0, x - tile.x0) != 0 ? 1.0 : 0.0;
        }
      }
    }
  }

  const Input& input_;
  Box box_;
  int box_size_;
  sky::MeshNodes nodes_;
  std::vector<double> masked_;
};

}  // namespace

double median_of(std::vector<double> values) {
  if (values.empty()) {
    return 0.0;
  }
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) {
    return *middle;
  }
  return 0.5 * (*middle + *std::max_element(values.begin(), middle));
}

double median_of_good(const Image<float>& values, const Image<std::uint8_t>& mask) {
  std::vector<float> good;
  good.reserve(mask.pixels().size());
  for (std::size_t k = 0; k < mask.pixels().size(); ++k) {
    if (mask.pixels()[k] == 0) {
      good.push_back(values.pixels()[k]);
    }
  }
  if (good.empty()) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const auto middle = good.begin() + static_cast<std::ptrdiff_t>(good.size() / 2);
  std::nth_element(good.begin(), middle, good.end());
  const double high = static_cast<double>(*middle);
  return good.size() % 2 == 1
             ? high
             : 0.5 * (high + static_cast<double>(*std::max_element(good.begin(), middle)));
}

Image<std::uint8_t> source_mask(const Image<float>& data, const Image<std::uint8_t>& bad,
                                double sigma, const Options& options) {
  const double limit = median_of_good(data, bad) + options.background_source_mask_sigma * sigma;
  Image<std::uint8_t> sources(data.width(), data.height());
  for (std::size_t k = 0; k < bad.pixels().size(); ++k) {
    sources.pixels()[k] = bad.pixels()[k] == 0 && data.pixels()[k] > limit ? 1 : 0;
  }
  Image<std::uint8_t> mask = sky::dilated(sources.view(), options.background_mask_dilate);
  for (std::size_t k = 0; k < bad.pixels().size(); ++k) {
    mask.pixels()[k] = mask.pixels()[k] != 0 || bad.pixels()[k] != 0 ? 1 : 0;
  }
  return mask;
}

double robust_sigma(std::vector<double> values, double centre) {
  for (double& value : values) {
    value = std::abs(value - centre);
  }
  return 1.4826 * median_of(std::move(values));
}

int cell_of(const std::vector<Cell>& cells, double x, double y) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells[i].box.contains(x, y)) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

double Band::background_at(double x, double y) const {
  if (!background) {
    return 0.0;
  }
  const int i = static_cast<int>(std::lround(x));
  const int j = static_cast<int>(std::lround(y));
  return static_cast<double>(background->level({i, i + 1, j, j + 1})(0, 0));
}

Frame Band::read(const Box& part) const {
  Pixels pixels = input->read(part);
  Frame frame{part, std::move(pixels.data), std::move(pixels.sigma_sky), std::move(pixels.bad), {}};
  const Box size{0, part.width(), 0, part.height()};
  if (frame.data.box() != size || frame.sigma.box() != size || frame.bad.box() != size) {
    throw UnitError(Reason::bad_input, "image, noise and mask differ in size");
  }
  frame.mask = Image<std::uint8_t>(size.x1, size.y1);
  for (std::size_t k = 0; k < frame.data.pixels().size(); ++k) {
    const float noise = frame.sigma.pixels()[k];
    if (!std::isfinite(frame.data.pixels()[k])) {
      frame.bad.pixels()[k] |= kBadNotFinite;
    }
    if (frame.bad.pixels()[k] != 0 || !std::isfinite(noise) || !(noise > 0.0F)) {
      frame.mask.pixels()[k] = 1;
      frame.data.pixels()[k] = 0.0F;
      frame.sigma.pixels()[k] = static_cast<float>(sigma_median);
    }
  }
  if (background) {
    const Image<float> level = background->level(part);
    for (std::size_t k = 0; k < level.pixels().size(); ++k) {
      if (frame.mask.pixels()[k] == 0) {
        frame.data.pixels()[k] -= level.pixels()[k];
      }
    }
  }
  return frame;
}

Band survey_band(const Input& input, const Options& options, std::vector<std::string>& warnings) {
  Band band;
  band.input = &input;
  band.box = {0, input.width, 0, input.height};
  band.gain = input.gain_e_per_flux;
  band.cell_background.resize(input.cells.size());
  const int mesh_box = std::max(8, options.background_boxsize);
  band.tiles = make_tiles(band.box, mesh_box);
  Mesh mesh(band, mesh_box);
  std::string failure;
  std::vector<double> sigmas;
  for (const Box& tile : band.tiles) {
    const Frame frame = band.read(tile.grown(options.background_mask_dilate).intersect(band.box));
    const double sigma = median_of_good(frame.sigma, frame.mask);
    if (std::isnan(sigma)) {
      continue;
    }
    sigmas.push_back(sigma);
    if (options.background_subtract_patch && failure.empty()) {
      try {
        mesh.add(tile, frame, sigma, options);
      } catch (const UnitError& error) {
        failure = error.what();
      }
    }
  }
  if (sigmas.empty()) {
    throw UnitError(Reason::no_good_data, "all pixels masked");
  }
  band.sigma_median = median_of(std::move(sigmas));
  if (!options.background_subtract_patch) {
    return band;
  }
  if (failure.empty()) {
    try {
      band.background = mesh.finish(options.background_filtersize);
    } catch (const UnitError& error) {
      failure = error.what();
    }
  }
  for (std::size_t i = 0; i < input.cells.size(); ++i) {
    if (failure.empty()) {
      band.cell_background[i] = mesh.stats(*band.background, i);
    } else {
      band.cell_background[i].status = "error";
      band.cell_background[i].text = failure;
    }
  }
  if (!failure.empty()) {
    warnings.push_back("background not subtracted: " + failure);
  }
  return band;
}

NearPixels::NearPixels(const Box& band)
    : band_(band), columns_(static_cast<std::size_t>((band.x1 + kBlock - 1) / kBlock)) {
  blocks_.assign(columns_ * static_cast<std::size_t>((band.y1 + kBlock - 1) / kBlock), -1);
}

void NearPixels::want(const Box& box) {
  const Box inside = box.intersect(band_);
  if (inside.empty()) {
    return;
  }
  for (int j = inside.y0 / kBlock; j <= (inside.y1 - 1) / kBlock; ++j) {
    for (int i = inside.x0 / kBlock; i <= (inside.x1 - 1) / kBlock; ++i) {
      blocks_[static_cast<std::size_t>(j) * columns_ + static_cast<std::size_t>(i)] = 0;
    }
  }
}

void NearPixels::fill(const Band& band) {
  std::int32_t count = 0;
  for (std::int32_t& block : blocks_) {
    block = block < 0 ? -1 : count++;
  }
  const std::size_t size = static_cast<std::size_t>(count) * kBlock * kBlock;
  data_.assign(size, 0.0F);
  sigma_.assign(size, static_cast<float>(band.sigma_median));
  mask_.assign(size, 1);
  const auto rows = static_cast<int>(blocks_.size() / columns_);
  for (int j = 0; j < rows; ++j) {
    const std::int32_t* line = blocks_.data() + static_cast<std::size_t>(j) * columns_;
    for (std::size_t i = 0; i < columns_;) {
      std::size_t end = i;
      while (end < columns_ && line[end] >= 0) {
        ++end;
      }
      if (end > i) {
        copy(band.read(Box{static_cast<int>(i) * kBlock, static_cast<int>(end) * kBlock, j * kBlock,
                           (j + 1) * kBlock}
                           .intersect(band_)));
      }
      i = std::max(end, i + 1);
    }
  }
}

void NearPixels::copy(const Frame& frame) {
  for (int y = frame.box.y0; y < frame.box.y1; ++y) {
    for (int x = frame.box.x0; x < frame.box.x1; ++x) {
      const auto k = static_cast<std::size_t>(offset(y, x));
      data_[k] = frame.data(y - frame.box.y0, x - frame.box.x0);
      sigma_[k] = frame.sigma(y - frame.box.y0, x - frame.box.x0);
      mask_[k] = frame.mask(y - frame.box.y0, x - frame.box.x0);
    }
  }
}

}  // namespace skyloom::photometry::epsf
