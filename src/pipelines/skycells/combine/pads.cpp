#include "pipelines/skycells/combine/pads.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <list>
#include <map>
#include <optional>

#include "pipelines/skycells/combine/kernel_cell.hpp"
#include "pipelines/skycells/combine/stars.hpp"
#include "pipelines/skycells/row_source.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/sky/wcs.hpp"
#include "skyloom/surveys/skycell_rows.hpp"

namespace skyloom::skycells {
namespace {

/// A source, open to be read; or its pixels, where something happens to the cell as a whole.
struct OpenSource {
  OpenedCell files;
  Image<float> whole;
};

/// The last cells that were read stay open: more would cost memory, fewer would be opened again and
/// again where two meet.
class OpenCells {
 public:
  OpenCells(const Config& config, std::span<const surveys::GaiaStar> stars)
      : config_(&config), stars_(stars) {}

  OpenSource& get(const surveys::Skycell& cell) {
    const auto found = std::find_if(open_.begin(), open_.end(),
                                    [&](const auto& each) { return each.first == cell.id; });
    if (found != open_.end()) {
      open_.splice(open_.begin(), open_, found);
    } else {
      constexpr std::size_t kMost = 2;
      if (open_.size() == kMost) {
        open_.pop_back();
      }
      open_.emplace_front(cell.id, open(cell));
    }
    return open_.front().second;
  }

 private:
  [[nodiscard]] OpenSource open(const surveys::Skycell& cell) const {
    CellTask task;
    task.sources = config_->source_options();
    const bool is_whole = task.sources.any();
    OpenSource out{open_cell(*config_, cell, {is_whole, config_->needs_variance()}), {}};
    if (is_whole) {
      task.width = cell.width;
      task.height = cell.height;
      task.weights = out.files.weights;
      task.missing_pixel = config_->missing_pixel();
      task.stars = stars_near(stars_, cell, task.sources.star_margin());
      out.whole = whole_cell(task, *out.files.source).pixels;
      out.files.source.reset();
    }
    return out;
  }

  const Config* config_;
  std::span<const surveys::GaiaStar> stars_;
  std::list<std::pair<surveys::SkycellId, OpenSource>> open_;  ///< the last used first
};

class SourceCell final : public PadPixels {
 public:
  SourceCell(const Config& config, const surveys::Skycell& cell, OpenCells& open)
      : cell_(&cell), missing_(config.missing_pixel()), open_(&open) {}

  [[nodiscard]] const surveys::Skycell& cell() const { return *cell_; }
  [[nodiscard]] bool has_failed() const { return has_failed_; }
  void fail() { has_failed_ = true; }

  Image<float> read(const Box& box) override {
    if (has_failed_) {
      return {};
    }
    try {
      return read_rows(open_->get(*cell_), box);
    } catch (const ConfigError&) {
      has_failed_ = true;
    } catch (const UnitError&) {
      has_failed_ = true;
    }
    return {};
  }

 private:
  Image<float> read_rows(OpenSource& source, const Box& box) const {
    Image<float> out(box.width(), box.height());
    if (!source.whole.empty()) {
      for (int y = box.y0; y < box.y1; ++y) {
        const auto row = source.whole.view().sub(box).row(y - box.y0);
        std::copy(row.begin(), row.end(), out.view().row(y - box.y0).begin());
      }
      return out;
    }
    OpenedCell& opened = source.files;
    const int step = opened.source->rows_per_read();
    for (int first = box.y0; first < box.y1;) {
      const int last = std::min(box.y1, (first / step + 1) * step);
      const RowBlock& block = opened.source->read(first, last - first);
      for (int i = 0; i < last - first; ++i) {
        sum_row(block, i, box.x0, opened.weights, missing_, out.view().row(first + i - box.y0));
      }
      first = last;
    }
    return out;
  }

  const surveys::Skycell* cell_;
  MissingPixel missing_;
  OpenCells* open_;
  bool has_failed_ = false;
};

GnomonicGrid grid_of(const surveys::Skycell& cell) {
  return {cell.crval_deg, cell.crpix, cell.cd};
}

/// Whether WCSLIB finds the same pixels of the source at points all over a window. It does but for
/// numbers without meaning, such as pixels of 1e-12 degrees.
bool agrees_with_wcs(const GridMapping& mapping, const surveys::Skycell& cell,
                     const surveys::Skycell& source, const Box& window) {
  constexpr int kPoints = 5;
  constexpr double kClose = 1e-6;
  std::vector<double> x;
  std::vector<double> y;
  for (int row = 0; row < kPoints; ++row) {
    for (int column = 0; column < kPoints; ++column) {
      x.push_back(window.x0 + (window.width() - 1.0) * column / (kPoints - 1));
      y.push_back(window.y0 + (window.height() - 1.0) * row / (kPoints - 1));
    }
  }
  std::vector<double> ra(x.size());
  std::vector<double> dec(x.size());
  std::vector<double> u(x.size());
  std::vector<double> v(x.size());
  sky::Wcs(cell.wcs_cards(), cell.id.name()).to_sky(x, y, ra, dec);
  sky::Wcs(source.wcs_cards(), source.id.name()).to_pixel(ra, dec, u, v);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const PixelPosition at = mapping(x[i], y[i]);
    if (!(std::abs(at.x - u[i]) < kClose && std::abs(at.y - v[i]) < kClose)) {
      return false;
    }
  }
  return true;
}

PaddedSides sides_of(const std::vector<surveys::PadSide>& filled) {
  using surveys::PadSide;
  const auto any = [&](PadSide a, PadSide b, PadSide c) {
    return std::any_of(filled.begin(), filled.end(),
                       [&](PadSide side) { return side == a || side == b || side == c; });
  };
  return {any(PadSide::left, PadSide::top_left, PadSide::bottom_left),
          any(PadSide::right, PadSide::top_right, PadSide::bottom_right),
          any(PadSide::bottom, PadSide::bottom_left, PadSide::bottom_right),
          any(PadSide::top, PadSide::top_left, PadSide::top_right)};
}

}  // namespace

struct CellPaddings::Parts {
  Parts(const Config& config, std::span<const surveys::GaiaStar> stars) : open(config, stars) {}

  OpenCells open;
  std::vector<std::unique_ptr<SourceCell>> sources;
  PaddedSides sides;
  std::optional<PadRows> rows;

  SourceCell& source(const Config& config, const surveys::Skycell& cell) {
    for (const auto& each : sources) {
      if (each->cell().id == cell.id) {
        return *each;
      }
    }
    return *sources.emplace_back(std::make_unique<SourceCell>(config, cell, open));
  }
};

CellPaddings::CellPaddings(const Config& config, const Survey& survey, const surveys::Skycell& cell,
                           std::span<const surveys::GaiaStar> stars)
    : parts_(std::make_unique<Parts>(config, stars)) {
  if (!config.geometry.cross_projection) {
    return;
  }
  const surveys::ProjectionRows& projection = survey.projection(cell.id.projection);
  const surveys::RowRules rules = config.row_rules();
  surveys::RowCell place;
  place.placed = {0, cell.width, 0, cell.height};
  std::vector<CellPad> pads;
  std::vector<surveys::PadSide> filled;
  for (const surveys::SkycellPad& pad : cell.pads) {
    if (!surveys::pad_applies(projection, cell.id, pad.side)) {
      continue;
    }
    filled.push_back(pad.side);
    const Box window = surveys::pad_window(place, pad.side, rules);
    for (const surveys::SkycellId& id : pad.sources) {
      const surveys::Skycell& other = *survey.list.find_source(id);
      SourceCell& source = parts_->source(config, other);
      const GridMapping mapping(grid_of(cell), grid_of(other));
      if (!agrees_with_wcs(mapping, cell, other, window)) {
        source.fail();
      }
      pads.push_back(
          {window, mapping, Box{0, other.width, 0, other.height}.grown(-rules.edge), &source});
    }
  }
  if (pads.empty()) {
    return;
  }
  parts_->sides = sides_of(filled);
  const CellGeometry g = config.cell_geometry(projection.cell_width, projection.cell_height);
  parts_->rows.emplace(std::move(pads), parts_->sides.left ? -g.pad : 0,
                       g.width + (parts_->sides.right ? g.pad : 0));
}

CellPaddings::~CellPaddings() = default;
CellPaddings::CellPaddings(CellPaddings&&) noexcept = default;
CellPaddings& CellPaddings::operator=(CellPaddings&&) noexcept = default;

PaddedSides CellPaddings::sides() const {
  return parts_->sides;
}

PadRows* CellPaddings::rows() const {
  return parts_->rows ? &*parts_->rows : nullptr;
}

std::vector<std::string> CellPaddings::sources() const {
  std::vector<std::string> names;
  for (const auto& source : parts_->sources) {
    names.push_back(source->cell().id.name());
  }
  return names;
}

std::vector<std::string> CellPaddings::failed() const {
  std::vector<std::string> names;
  for (const auto& source : parts_->sources) {
    if (source->has_failed()) {
      names.push_back(source->cell().id.name());
    }
  }
  return names;
}

}  // namespace skyloom::skycells
