#include "pipelines/skycells/combine/kernel_zones.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace skyloom::skycells {

namespace {

constexpr RowZone kRowZones[] = {RowZone::pad_bottom, RowZone::bottom,  RowZone::middle,
                                 RowZone::top,        RowZone::pad_top, RowZone::down,
                                 RowZone::up};
constexpr ColumnZone kColumnZones[] = {ColumnZone::pad_left, ColumnZone::left, ColumnZone::middle,
                                       ColumnZone::right, ColumnZone::pad_right};

bool is_made(RowZone zone, PaddedSides padded) {
  return zone == RowZone::pad_bottom ? padded.bottom : zone != RowZone::pad_top || padded.top;
}

bool is_made(ColumnZone zone, PaddedSides padded) {
  return zone == ColumnZone::pad_left ? padded.left : zone != ColumnZone::pad_right || padded.right;
}

/// @return how many of the values are NaN
std::int64_t mark_missing(std::span<const float> values, std::span<std::uint64_t> bits) {
  std::int64_t count = 0;
  for (std::size_t word = 0; word < bits.size(); ++word) {
    const std::span<const float> part =
        values.subspan(64 * word, std::min<std::size_t>(64, values.size() - 64 * word));
    // Nearly all words are whole; asking first is what vectorises.
    int any = 0;
    for (const float v : part) {
      any |= v != v ? 1 : 0;
    }
    for (std::size_t i = 0; any != 0 && i < part.size(); ++i) {
      const auto missing = static_cast<std::uint64_t>(std::isnan(part[i]) ? 1 : 0);
      bits[word] |= missing << i;
      count += static_cast<std::int64_t>(missing);
    }
  }
  return count;
}

}  // namespace

PixelRange rows_of(RowZone zone, const CellGeometry& g) {
  switch (zone) {
    case RowZone::pad_bottom:
      return {-g.pad, 0};
    case RowZone::bottom:
      return {0, g.edge};
    case RowZone::middle:
      return {g.edge, g.height - g.edge};
    case RowZone::top:
      return {g.height - g.edge, g.height};
    case RowZone::pad_top:
      return {g.height, g.height + g.pad};
    case RowZone::down:
      return {g.overlap - g.edge, g.overlap + g.pad};
    case RowZone::up:
      return {g.height - g.overlap - g.pad, g.height - g.overlap + g.edge};
  }
  return {};
}

PixelRange columns_of(ColumnZone zone, const CellGeometry& g) {
  switch (zone) {
    case ColumnZone::pad_left:
      return {-g.pad, 0};
    case ColumnZone::left:
      return {0, g.overlap - g.edge};
    case ColumnZone::middle:
      return {g.overlap - g.edge, g.width - g.edge};
    case ColumnZone::right:
      return {g.width - g.edge, g.width};
    case ColumnZone::pad_right:
      return {g.width, g.width + g.pad};
  }
  return {};
}

PixelRange low_rim(const CellGeometry& g) {
  return {g.overlap - g.edge, g.overlap};
}

PixelRange high_rim(const CellGeometry& g) {
  return {g.step_y(), g.step_y() + g.edge};
}

CellDecimation::CellDecimation(const numerics::MultirateGaussian& gaussian,
                               const CellGeometry& geometry, int x, int y, PaddedSides padded,
                               bool with_weight)
    : gaussian_(&gaussian),
      geometry_(geometry),
      columns_{padded.left ? -geometry.pad : 0, geometry.width + (padded.right ? geometry.pad : 0)},
      rows_{padded.bottom ? -geometry.pad : 0, geometry.height + (padded.top ? geometry.pad : 0)},
      with_weight_(with_weight) {
  const int least = 2 * (geometry.overlap + geometry.edge);
  if (geometry.edge < 0 || geometry.edge > geometry.overlap || geometry.pad < 0 ||
      geometry.width <= least || geometry.height <= least ||
      geometry.height < geometry.overlap + geometry.pad) {
    throw std::invalid_argument("cells of " + std::to_string(geometry.width) + " x " +
                                std::to_string(geometry.height) +
                                " pixels: expected more than twice overlap and edge");
  }
  cell_.x = x;
  cell_.y = y;
  cell_.missing = MissingBits(geometry.width, geometry.height);
  const int x0 = x * geometry.step_x();
  const int y0 = y * geometry.step_y();
  for (const RowZone row_zone : kRowZones) {
    for (const ColumnZone column_zone : kColumnZones) {
      const PixelRange rows = rows_of(row_zone, geometry);
      const PixelRange columns = columns_of(column_zone, geometry);
      if (is_made(row_zone, padded) && is_made(column_zone, padded) && rows.first < rows.last &&
          columns.first < columns.last) {
        const auto node_rows = gaussian.nodes_reached(y0 + rows.first, y0 + rows.last);
        const auto node_columns = gaussian.nodes_reached(x0 + columns.first, x0 + columns.last);
        light_.push_back({row_zone, column_zone, node_rows, node_columns,
                          Image<double>(node_columns.count, node_rows.count)});
      }
    }
  }
  if (with_weight) {
    weight_ = light_;
  }
  const auto width = static_cast<std::size_t>(columns_.last - columns_.first);
  finite_.resize(width);
  zone_row_.resize(width + 2 * static_cast<std::size_t>(gaussian.row_margin()));
}

void CellDecimation::add_zones(int row, std::vector<Sums>& zones) {
  const int margin = gaussian_->row_margin();
  const int y = cell_.y * geometry_.step_y() + row;
  for (const ColumnZone column_zone : kColumnZones) {
    bool done = false;
    for (Sums& zone : zones) {
      if (zone.column_zone != column_zone || !rows_of(zone.row_zone, geometry_).contains(row)) {
        continue;
      }
      if (!done) {
        // The zone's columns alone, between zeros; several zones of rows share what they give.
        const PixelRange columns = columns_of(column_zone, geometry_);
        const int count = columns.last - columns.first;
        std::fill_n(zone_row_.begin(), margin, 0.0F);
        std::copy_n(finite_.begin() + (columns.first - columns_.first), count,
                    zone_row_.begin() + margin);
        std::fill_n(zone_row_.begin() + margin + count, margin, 0.0F);
        decimated_.resize(static_cast<std::size_t>(zone.columns.count));
        gaussian_->decimate_row(zone_row_.data() + margin,
                                cell_.x * geometry_.step_x() + columns.first, zone.columns,
                                decimated_.data());
        done = true;
      }
      gaussian_->add_row(decimated_.data(), y, zone.rows, zone.nodes.view());
    }
  }
}

void CellDecimation::add_row(int row, std::span<const float> values) {
  const bool own = row >= 0 && row < geometry_.height;
  for (std::size_t i = 0; i < values.size(); ++i) {
    finite_[i] = std::isnan(values[i]) ? 0.0F : values[i];
  }
  if (own) {
    cell_.missing_pixels += mark_missing(values.subspan(static_cast<std::size_t>(-columns_.first),
                                                        static_cast<std::size_t>(geometry_.width)),
                                         cell_.missing.row(row));
  }
  add_zones(row, light_);
  if (with_weight_) {
    std::transform(values.begin(), values.end(), finite_.begin(),
                   [](float value) { return std::isnan(value) ? 0.0F : 1.0F; });
    add_zones(row, weight_);
  }
}

std::vector<Patch> CellDecimation::rounded(std::vector<Sums>& zones) {
  std::vector<Patch> patches;
  patches.reserve(zones.size());
  for (const Sums& zone : zones) {
    Image<float> nodes(zone.columns.count, zone.rows.count);
    std::transform(zone.nodes.pixels().begin(), zone.nodes.pixels().end(), nodes.pixels().begin(),
                   [](double value) { return static_cast<float>(value); });
    patches.push_back({zone.row_zone, zone.column_zone, zone.rows, zone.columns, std::move(nodes)});
  }
  zones.clear();
  return patches;
}

CombinedCell CellDecimation::finish() {
  cell_.light = rounded(light_);
  cell_.weight = rounded(weight_);
  return std::move(cell_);
}

}  // namespace skyloom::skycells
