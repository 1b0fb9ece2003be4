#include "pipelines/photometry/epsf/frame.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>

#include "pipelines/photometry/epsf/stars.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::photometry::epsf {
namespace {

/// Bits of a float in an order that is that of the numbers.
std::uint32_t ordered_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
}

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
  constexpr int kLow = 16;  // bits that do not choose the class
  const float* value = values.pixels().data();
  const std::uint8_t* bad = mask.pixels().data();
  const std::size_t size = mask.pixels().size();
  std::vector<std::uint32_t> members(std::size_t{1} << (32 - kLow), 0);
  for (std::size_t k = 0; k < size; ++k) {
    members[ordered_bits(value[k]) >> kLow] += bad[k] == 0 ? 1 : 0;
  }
  const std::size_t count = std::accumulate(members.begin(), members.end(), std::size_t{0});
  if (count == 0) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  // The classes of the two numbers in the middle, which may be the same.
  const auto class_of = [&](std::size_t rank, std::size_t& before) {
    before = 0;
    std::uint32_t k = 0;
    while (before + members[k] <= rank) {
      before += members[k++];
    }
    return k;
  };
  std::size_t before = 0;
  std::size_t unused = 0;
  const std::uint32_t low = class_of((count - 1) / 2, before);
  const std::uint32_t high = class_of(count / 2, unused);
  std::vector<float> middle;
  for (std::size_t k = 0; k < size; ++k) {
    const std::uint32_t own = ordered_bits(value[k]) >> kLow;
    if (bad[k] == 0 && (own == low || own == high)) {
      middle.push_back(value[k]);
    }
  }
  const auto lower = middle.begin() + static_cast<std::ptrdiff_t>((count - 1) / 2 - before);
  std::nth_element(middle.begin(), lower, middle.end());
  const auto first = static_cast<double>(*lower);
  return count % 2 == 1
             ? first
             : 0.5 * (first + static_cast<double>(*std::min_element(lower + 1, middle.end())));
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

Frame as_frame(Pixels pixels, const Box& box, float sigma) {
  Frame frame{box, std::move(pixels.data), std::move(pixels.sigma_sky), std::move(pixels.bad), {}};
  const Box size{0, box.width(), 0, box.height()};
  if (frame.data.box() != size || frame.sigma.box() != size || frame.bad.box() != size) {
    throw UnitError(Reason::bad_input, "image, noise and mask differ in size");
  }
  frame.mask = Image<std::uint8_t>(size.x1, size.y1);
  constexpr float kLargest = std::numeric_limits<float>::max();
  float* data = frame.data.pixels().data();
  float* noise = frame.sigma.pixels().data();
  std::uint8_t* bad = frame.bad.pixels().data();
  std::uint8_t* mask = frame.mask.pixels().data();
  const std::size_t count = frame.data.pixels().size();
  for (std::size_t k = 0; k < count; ++k) {
    const bool finite = std::abs(data[k]) <= kLargest;
    bad[k] = static_cast<std::uint8_t>(bad[k] | (finite ? 0 : kBadNotFinite));
    mask[k] = bad[k] == 0 && noise[k] > 0.0F && noise[k] <= kLargest ? 0 : 1;
    data[k] = mask[k] == 0 ? data[k] : 0.0F;
    noise[k] = mask[k] == 0 ? noise[k] : sigma;
  }
  return frame;
}

Frame Band::prepare(Pixels pixels, const Box& part) const {
  Frame frame = as_frame(std::move(pixels), part, static_cast<float>(sigma_median));
  if (background) {
    const Image<float> level = background->level(part);
    float* data = frame.data.pixels().data();
    const float* under = level.pixels().data();
    const std::uint8_t* mask = frame.mask.pixels().data();
    const std::size_t count = level.pixels().size();
    for (std::size_t k = 0; k < count; ++k) {
      data[k] -= mask[k] == 0 ? under[k] : 0.0F;
    }
  }
  return frame;
}

Frame Band::read(const Box& part) const {
  return prepare(input->read(part), part);
}

BackgroundStats Band::stats(const Box& cell, const Options& options) const {
  BackgroundStats out;
  if (!options.background_subtract_patch) {
    return out;
  }
  if (!background) {
    out.status = "error";
    out.text = failure;
    return out;
  }
  // The maps are smooth, so that a few of their pixels per box say it all.
  const int side = background::box_size(options);
  const int step = std::max(1, side / 4);
  const Box area = cell.intersect(box);
  out.status = "ok";
  std::vector<double> level;
  std::vector<double> rms;
  for (int y = area.y0 + std::min(step, area.height()) / 2; y < area.y1; y += step) {
    const Image<float> levels = background->level({area.x0, area.x1, y, y + 1});
    const Image<float> noises = background->rms({area.x0, area.x1, y, y + 1});
    for (int x = std::min(step, area.width()) / 2; x < area.width(); x += step) {
      level.push_back(static_cast<double>(levels(0, x)));
      rms.push_back(static_cast<double>(noises(0, x)));
      out.map_mean += level.back();
      out.rms_mean += rms.back();
    }
  }
  const auto count = static_cast<double>(std::max<std::size_t>(level.size(), 1));
  out.map_mean /= count;
  out.rms_mean /= count;
  out.map_median = median_of(std::move(level));
  out.rms_median = median_of(std::move(rms));
  double spoilt = 0.0;
  double pixels = 0.0;
  for (int j = area.y0 / side; j * side < area.y1; ++j) {
    for (int i = area.x0 / side; i * side < area.x1; ++i) {
      const Box part = Box{i * side, (i + 1) * side, j * side, (j + 1) * side}.intersect(area);
      const double shared = static_cast<double>(part.width()) * part.height();
      spoilt += shared * static_cast<double>(masked(j, i));
      pixels += shared;
    }
  }
  out.masked_fraction = pixels > 0.0 ? spoilt / pixels : 0.0;
  return out;
}

Band make_band(const Input& input, const Options& options,
               const std::vector<background::Node>& nodes) {
  Band band;
  band.input = &input;
  band.box = {0, input.width, 0, input.height};
  band.gain = input.gain_e_per_flux;
  if (nodes.empty()) {
    throw UnitError(Reason::no_good_data, "all pixels masked");
  }
  std::vector<double> sigmas;
  sigmas.reserve(nodes.size());
  for (const background::Node& node : nodes) {
    sigmas.push_back(static_cast<double>(node.sigma));
  }
  band.sigma_median = median_of(std::move(sigmas));
  if (!options.background_subtract_patch) {
    return band;
  }
  const int side = background::box_size(options);
  const int nx = (input.width + side - 1) / side;
  const int ny = (input.height + side - 1) / side;
  constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
  sky::MeshNodes mesh{Image<float>(nx, ny, kUnknown), Image<float>(nx, ny, kUnknown)};
  band.masked = Image<float>(nx, ny, 1.0F);
  for (const background::Node& node : nodes) {
    mesh.level(node.row, node.column) = node.level;
    mesh.rms(node.row, node.column) = node.rms;
    band.masked(node.row, node.column) = node.masked;
  }
  try {
    band.background.emplace(std::move(mesh), side, options.background_filtersize);
  } catch (const UnitError& error) {
    band.failure = error.what();
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
