#include "pipelines/photometry/patches/geometry.hpp"

#include <algorithm>
#include <cmath>

#include "pipelines/photometry/epsf/stage.hpp"

namespace skyloom::photometry {
namespace {

std::uint64_t area(const Box& box) {
  return static_cast<std::uint64_t>(box.width()) * static_cast<std::uint64_t>(box.height());
}

}  // namespace

FieldPatches patches_of_field(const Config& config, const Field& field, const Table& sources) {
  check_patch_grid(config, field);
  const auto& x = sources.get<double>("x_pix_white");
  const auto& y = sources.get<double>("y_pix_white");
  const std::vector<std::uint8_t> active = active_sources(sources, field.box());
  std::vector<double> active_x;
  std::vector<double> active_y;
  for (std::size_t i = 0; i < active.size(); ++i) {
    if (active[i] != 0) {
      active_x.push_back(x[i]);
      active_y.push_back(y[i]);
    }
  }
  FieldPatches out;
  out.cells = active_cells(config, field.box(), active_x, active_y);
  const int ngrid = config.epsf.ngrid;
  const int halo = patches::halo_pix(config.epsf.kernel.final_psf_size, config.halo_pix_min);
  // Cells by their place, since most surveys have many sources and few cells.
  const std::vector<Box> boxes = grid_boxes(field.box(), config.epsf.epsf_ngrid);
  std::vector<std::vector<std::size_t>> sources_of_box(boxes.size());
  for (std::size_t i = 0; i < active.size(); ++i) {
    if (active[i] != 0) {
      sources_of_box[patches::patch_at(field.box(), config.epsf.epsf_ngrid, x[i], y[i])].push_back(
          i);
    }
  }
  std::uint64_t offset = 0;
  for (std::size_t c = 0; c < out.cells.size(); ++c) {
    const epsf::Cell& cell = out.cells[c];
    std::vector<FieldPatch> all;
    for (patches::Patch& patch :
         patches::split_cell(cell.tag, cell.box, ngrid, halo, field.box())) {
      all.push_back({c, std::move(patch), {}, 0});
    }
    const auto box = std::find(boxes.begin(), boxes.end(), cell.box) - boxes.begin();
    for (const std::size_t i : sources_of_box[static_cast<std::size_t>(box)]) {
      all[patches::patch_at(cell.box, ngrid, x[i], y[i])].sources.push_back(i);
    }
    for (FieldPatch& patch : all) {
      if (!patch.sources.empty() || !config.patch_inputs.skip_empty_patch) {
        patch.offset = offset;
        offset += area(patch.patch.roi);
        out.patches.push_back(std::move(patch));
      }
    }
  }
  return out;
}

void check_patch_grid(const Config& config, const Field& field) {
  // The last cell takes what the others leave, so none is smaller than the first.
  const Box first = grid_boxes(field.box(), config.epsf.epsf_ngrid).front();
  (void)patches::split_cell(cell_tag(0, 0), first, config.epsf.ngrid, 0, first);
}

FrameGrids::FrameGrids(const Field& field) : field_(field) {
  for (std::size_t i = 0; i < field.size(); ++i) {
    own_.push_back(field.on_grid[i] != 0 ? nullptr
                                         : std::make_unique<sky::Wcs>(frame_wcs(field, i)));
    if (own_.back() != nullptr && white_ == nullptr) {
      white_ = std::make_unique<sky::Wcs>(frame_wcs(field, 0));
    }
  }
}

Footprint FrameGrids::footprint(std::size_t frame, const Box& roi) const {
  const int origin = field_.origin(frame);
  if (own_[frame] == nullptr) {
    return {{roi.x0 + origin, roi.x1 + origin, roi.y0 + origin, roi.y1 + origin}};
  }
  const double cx = 0.5 * (roi.x0 + roi.x1 - 1);
  const double cy = 0.5 * (roi.y0 + roi.y1 - 1);
  const double hx = 0.5 * roi.width();
  const double hy = 0.5 * roi.height();
  const std::vector<double> x{cx, cx - hx, cx + hx, cx, cx};
  const std::vector<double> y{cy, cy, cy, cy - hy, cy + hy};
  std::vector<double> ra(x.size());
  std::vector<double> dec(x.size());
  std::vector<double> u(x.size());
  std::vector<double> v(x.size());
  white_->to_sky(x, y, ra, dec);
  own_[frame]->to_pixel(ra, dec, u, v);
  Footprint out;
  if (!std::all_of(u.begin(), u.end(), [](double value) { return std::isfinite(value); })) {
    return out;  // not on this image
  }
  out.matrix = {(u[2] - u[1]) / (2.0 * hx), (u[4] - u[3]) / (2.0 * hy), (v[2] - v[1]) / (2.0 * hx),
                (v[4] - v[3]) / (2.0 * hy)};
  const double rx = 0.5 * (roi.width() - 1);
  const double ry = 0.5 * (roi.height() - 1);
  const double half_u = std::abs(out.matrix[0]) * hx + std::abs(out.matrix[1]) * hy;
  const double half_v = std::abs(out.matrix[2]) * hx + std::abs(out.matrix[3]) * hy;
  const Box around{
      static_cast<int>(std::floor(u[0] - half_u)), static_cast<int>(std::ceil(u[0] + half_u)) + 1,
      static_cast<int>(std::floor(v[0] - half_v)), static_cast<int>(std::ceil(v[0] + half_v)) + 1};
  out.box = around.intersect(field_.used_box(frame));
  out.dx = u[0] - out.matrix[0] * rx - out.matrix[1] * ry - out.box.x0;
  out.dy = v[0] - out.matrix[2] * rx - out.matrix[3] * ry - out.box.y0;
  return out;
}

std::pair<double, double> FrameGrids::frame_pixel(std::size_t frame, double x, double y) const {
  if (own_[frame] == nullptr) {
    return {x, y};
  }
  double ra = 0.0;
  double dec = 0.0;
  double u = 0.0;
  double v = 0.0;
  white_->to_sky({&x, 1}, {&y, 1}, {&ra, 1}, {&dec, 1});
  own_[frame]->to_pixel({&ra, 1}, {&dec, 1}, {&u, 1}, {&v, 1});
  return {u, v};
}

PixelLayout pixel_layout(const Field& field, const FieldPatches& patches) {
  const FrameGrids grids(field);
  PixelLayout out;
  out.sizes.assign(field.size(), 0);
  for (const FieldPatch& patch : patches.patches) {
    std::vector<PixelLayout::Place> places;
    for (std::size_t frame = 0; frame < field.size(); ++frame) {
      places.push_back({out.sizes[frame], grids.footprint(frame, patch.patch.roi)});
      out.sizes[frame] += area(places.back().at.box);
    }
    out.places.push_back(std::move(places));
  }
  return out;
}

std::string pixel_group(const Survey& survey, const Field& field, std::size_t frame) {
  const std::string& band = field.infos[frame].band;
  const auto frames =
      std::count_if(field.infos.begin(), field.infos.end(),
                    [&](const surveys::FrameInfo& info) { return info.band == band; });
  return survey.slab(field, "pixels/" + (frames == 1 ? band : frame_key(field, frame)));
}

}  // namespace skyloom::photometry
