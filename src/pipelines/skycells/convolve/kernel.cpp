#include "pipelines/skycells/convolve/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace skyloom::skycells {

using numerics::MissingData;
using numerics::NodeRange;

namespace {

const CombinedCell* find(const Surroundings& around, int x, int y) {
  const auto found = std::find_if(around.cells.begin(), around.cells.end(),
                                  [&](const CombinedCell* c) { return c->x == x && c->y == y; });
  return found == around.cells.end() ? nullptr : *found;
}

/// Whether the rows of a zone of cell row `y` stand in the assembled row of `around`.
bool counts(RowZone zone, int y, const Surroundings& around, const RimRules& rules) {
  if (y != around.y) {
    return zone == (y < around.y ? RowZone::up : RowZone::down);
  }
  switch (zone) {
    case RowZone::pad_bottom:
    case RowZone::bottom:
      return !around.row_below;
    case RowZone::middle:
      return true;
    case RowZone::top:
      return !around.row_above && !rules.void_top;
    case RowZone::pad_top:
      return !around.row_above;
    case RowZone::down:
    case RowZone::up:
      return false;
  }
  return false;
}

bool counts(ColumnZone zone, const CombinedCell& cell, const Surroundings& around,
            const RimRules& rules) {
  switch (zone) {
    case ColumnZone::pad_left:
      return find(around, cell.x - 1, cell.y) == nullptr;
    case ColumnZone::left:
      return find(around, cell.x - 1, cell.y) == nullptr &&
             !(rules.strict_slots && cell.x != rules.first_column);
    case ColumnZone::middle:
      return true;
    case ColumnZone::right:
    case ColumnZone::pad_right:
      return find(around, cell.x + 1, cell.y) == nullptr;
  }
  return false;
}

void add_patch(const Patch& patch, NodeRange rows, NodeRange columns, Image<double>& sum) {
  const NodeRange m = patch.rows.intersect(rows);
  const NodeRange n = patch.columns.intersect(columns);
  for (int i = m.first; i < m.end(); ++i) {
    for (int j = n.first; j < n.end(); ++j) {
      sum(i - rows.first, j - columns.first) +=
          static_cast<double>(patch.nodes(i - patch.rows.first, j - patch.columns.first));
    }
  }
}

/// Bits first .. last - 1 of a row, moved `shift` places on, into another.
void copy_bits(std::span<const std::uint64_t> from, int first, int last, int shift,
               std::span<std::uint64_t> to) {
  if (first >= last) {
    return;
  }
  const int begin = first + shift;
  const int end = last + shift;
  const auto word_of = [&](int w) {
    return w < 0 || w >= static_cast<int>(from.size()) ? std::uint64_t{0}
                                                       : from[static_cast<std::size_t>(w)];
  };
  for (int word = begin / 64; word <= (end - 1) / 64; ++word) {
    const int source = 64 * word - shift;
    const int low = source >= 0 ? source / 64 : -((63 - source) / 64);
    const int rest = source - 64 * low;
    const std::uint64_t bits =
        rest == 0 ? word_of(low) : word_of(low) >> rest | word_of(low + 1) << (64 - rest);
    std::uint64_t mask = ~std::uint64_t{0};
    mask &= begin > 64 * word ? ~std::uint64_t{0} << (begin - 64 * word) : mask;
    mask &= end < 64 * (word + 1) ? ~std::uint64_t{0} >> (64 * (word + 1) - end) : mask;
    std::uint64_t& target = to[static_cast<std::size_t>(word)];
    target = (target & ~mask) | (bits & mask);
  }
}

}  // namespace

ConvolvedCell::ConvolvedCell(const numerics::MultirateGaussian& gaussian,
                             const CellGeometry& geometry, const RimRules& rules,
                             const Surroundings& around)
    : geometry_(geometry),
      rules_(rules),
      x0_(around.x * geometry.step_x()),
      y0_(around.y * geometry.step_y()),
      node_rows_(gaussian.nodes_needed(y0_, y0_ + geometry.height)),
      node_columns_(gaussian.nodes_needed(x0_, x0_ + geometry.width)),
      missing_(geometry.width, geometry.height) {
  const CombinedCell* own = find(around, around.x, around.y);
  if (own == nullptr) {
    throw std::invalid_argument("ConvolvedCell: the cell itself is not there");
  }
  light_ = convolve(gaussian, around, &CombinedCell::light);
  if (rules.missing == MissingData::normalise) {
    if (own->weight.empty()) {
      throw std::invalid_argument("ConvolvedCell: the cells have no weights");
    }
    weight_ = convolve(gaussian, around, &CombinedCell::weight);
  }
  restore_missing(around);
}

ConvolvedCell::Channel ConvolvedCell::convolve(const numerics::MultirateGaussian& gaussian,
                                               const Surroundings& around,
                                               std::vector<Patch> CombinedCell::*channel) const {
  const NodeRange rows = node_rows_.grown(gaussian.coarse_radius());
  const NodeRange columns = node_columns_.grown(gaussian.coarse_radius());
  Image<double> sum(columns.count, rows.count);
  for (const CombinedCell* cell : around.cells) {
    for (const Patch& patch : cell->*channel) {
      if (counts(patch.row_zone, cell->y, around, rules_) &&
          counts(patch.column_zone, *cell, around, rules_)) {
        add_patch(patch, rows, columns, sum);
      }
    }
  }
  Channel result;
  result.nodes = Image<float>(node_columns_.count, node_rows_.count);
  gaussian.convolve_nodes(sum.view(), result.nodes.view());
  result.interpolation.emplace_back(gaussian, result.nodes.view(),
                                    numerics::PixelOrigin{node_columns_.first, node_rows_.first},
                                    x0_, geometry_.width);
  return result;
}

void ConvolvedCell::restore_missing(const Surroundings& around) {
  const CellGeometry& g = geometry_;
  for (int row = 0; row < g.height; ++row) {
    // The outermost rows are the neighbouring row's, over their whole width.
    int from_y = around.y;
    int from_row = row;
    bool voided = false;
    if (row < g.edge && around.row_below) {
      from_y = around.y - 1;
      from_row = row + g.step_y();
    } else if (row >= g.height - g.edge) {
      voided = !around.row_above && rules_.void_top;
      if (around.row_above) {
        from_y = around.y + 1;
        from_row = row - g.step_y();
      }
    }
    const std::span<std::uint64_t> bits = missing_.row(row);
    std::fill(bits.begin(), bits.end(), ~std::uint64_t{0});
    for (const CombinedCell* cell : around.cells) {
      const int shift = (cell->x - around.x) * g.step_x();
      if (cell->y != from_y || voided || std::abs(shift) >= g.width) {
        continue;
      }
      const int left = counts(ColumnZone::left, *cell, around, rules_) ? 0 : g.overlap - g.edge;
      const int right = g.width - (counts(ColumnZone::right, *cell, around, rules_) ? 0 : g.edge);
      copy_bits(cell->missing.row(from_row), std::max(left, -shift),
                std::min(right, g.width - shift), shift, bits);
    }
  }
}

void ConvolvedCell::rows(int first, ImageView<float> out) const {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  light_.interpolation.front().rows(y0_ + first, out);
  if (!weight_.interpolation.empty()) {
    Image<float> weight(out.width(), out.height());
    weight_.interpolation.front().rows(y0_ + first, weight.view());
    for (int i = 0; i < out.height(); ++i) {
      for (int x = 0; x < out.width(); ++x) {
        const float w = weight(i, x);
        out(i, x) = static_cast<double>(w) < rules_.min_weight ? kNan : out(i, x) / w;
      }
    }
  }
  for (int i = 0; i < out.height(); ++i) {
    const std::span<const std::uint64_t> bits = missing_.row(first + i);
    for (int word = 0; word < missing_.words(); ++word) {
      const std::uint64_t set = bits[static_cast<std::size_t>(word)];
      const int end = std::min(geometry_.width, 64 * (word + 1));
      for (int x = 64 * word; set != 0 && x < end; ++x) {
        out(i, x) = (set >> (x % 64) & 1U) != 0 ? kNan : out(i, x);
      }
    }
  }
}

}  // namespace skyloom::skycells
