#include <algorithm>
#include <cmath>
#include <type_traits>

#include "pipelines/photometry/patches/stage.hpp"

namespace skyloom::photometry {

PatchesStage::Result PatchesStage::compute(const Config& /*config*/, const Input& input,
                                           const Rng& /*rng*/) {
  Result result;
  result.input = &input;
  if (!input.payload) {
    return result;
  }
  for (const Payload::Frame& frame : input.payload->frames) {
    const surveys::FramePixels& pixels = frame.pixels;
    Noise noise{Image<float>(pixels.data.width(), pixels.data.height()),
                Image<float>(pixels.data.width(), pixels.data.height())};
    for (std::size_t i = 0; i < pixels.data.pixels().size(); ++i) {
      const float sky = surveys::sigma_of_invvar(pixels.invvar.pixels()[i]);
      const auto s = static_cast<double>(sky);
      const double light = std::max(0.0, static_cast<double>(pixels.data.pixels()[i]));
      noise.sky.pixels()[i] = sky;
      noise.total.pixels()[i] =
          static_cast<float>(std::sqrt(s * s + light * frame.flux_per_electron));
    }
    result.noise.push_back(std::move(noise));
  }
  return result;
}

namespace {

void append_cell(const Config& config, const PatchesStage::Cell& cell, Table& table) {
  const int halo = patches::halo_pix(config.epsf.kernel.final_psf_size, config.halo_pix_min);
  for (std::size_t i = 0; i < cell.patches.size(); ++i) {
    const patches::Patch& patch = cell.patches[i].patch;
    const std::size_t row = table.add_row();
    table.set(row, "epsf_r", cell.row);
    table.set(row, "epsf_c", cell.column);
    table.set(row, "patch_r", patch.row);
    table.set(row, "patch_c", patch.column);
    table.set(row, "epsf_tag", cell.cell.tag);
    table.set(row, "patch_tag", patch.tag);
    table.set(row, "x0_base", patch.base.x0);
    table.set(row, "x1_base", patch.base.x1);
    table.set(row, "y0_base", patch.base.y0);
    table.set(row, "y1_base", patch.base.y1);
    table.set(row, "x0_roi", patch.roi.x0);
    table.set(row, "x1_roi", patch.roi.x1);
    table.set(row, "y0_roi", patch.roi.y0);
    table.set(row, "y1_roi", patch.roi.y1);
    table.set(row, "halo_pix", halo);
    table.set(row, "n_sources", static_cast<std::int64_t>(cell.patches[i].sources.size()));
    if (table.has("pixel_offset")) {
      table.set(row, "pixel_offset", static_cast<std::int64_t>(cell.patches[i].offset));
    }
    if (table.has("wcs")) {
      table.set(row, "wcs", cell.wcs[i]);
    }
  }
}

void append_place(std::int64_t patch, const PatchesStage::Payload::Frame& frame, Table& table) {
  const Footprint& at = frame.place.at;
  const std::size_t row = table.add_row();
  table.set(row, "patch", patch);
  table.set(row, "frame", frame.row);
  table.set(row, "offset", static_cast<std::int64_t>(frame.place.offset));
  table.set(row, "x0", at.box.x0);
  table.set(row, "y0", at.box.y0);
  table.set(row, "width", at.box.empty() ? 0 : at.box.width());
  table.set(row, "height", at.box.empty() ? 0 : at.box.height());
  table.set(row, "m_xx", at.matrix[0]);
  table.set(row, "m_xy", at.matrix[1]);
  table.set(row, "m_yx", at.matrix[2]);
  table.set(row, "m_yy", at.matrix[3]);
  table.set(row, "dx", at.dx);
  table.set(row, "dy", at.dy);
}

/// The patch's rows of /sources in the columns that the table has of them.
void append_sources(const PatchesStage::Payload& payload, Table& table) {
  const FieldPatch& patch = payload.patch;
  const Table& sources = *payload.sources;
  const std::size_t first = table.rows();
  table.add_rows(patch.sources.size());
  for (std::size_t c = 0; c < table.columns().size(); ++c) {
    const Column& column = table.columns()[c];
    if (!sources.has(column.name)) {
      continue;
    }
    const std::size_t n = column.elements();
    std::visit(
        [&](auto& target) {
          const auto& from = std::get<std::decay_t<decltype(target)>>(sources.data(column.name));
          for (std::size_t i = 0; i < patch.sources.size() * n; ++i) {
            target[first * n + i] = from[patch.sources[i / n] * n + i % n];
          }
        },
        table.data(c));
  }
  const auto& x = sources.get<double>("x_pix_white");
  const auto& y = sources.get<double>("y_pix_white");
  for (std::size_t i = 0; i < patch.sources.size(); ++i) {
    const std::size_t source = patch.sources[i];
    table.set(first + i, "patch_tag", patch.patch.tag);
    table.set(first + i, "source_row", static_cast<std::int64_t>(payload.first_row + source));
    table.set(first + i, "x_pix_patch", x[source] - patch.patch.roi.x0);
    table.set(first + i, "y_pix_patch", y[source] - patch.patch.roi.y0);
  }
}

template <class T>
void add_pixels(const PatchesStage::Payload::Frame& frame, const char* name, const Image<T>& values,
                engine::Rows& rows) {
  const auto bytes = std::as_bytes(std::span(values.pixels()));
  engine::SlabPart part;
  part.start = {static_cast<std::size_t>(frame.place.offset)};
  part.count = {values.pixels().size()};
  part.bytes.assign(bytes.begin(), bytes.end());
  rows.add_slab(frame.group + "/" + name, std::move(part));
}

}  // namespace

void PatchesStage::append(const Config& config, const Result& result, engine::Rows& rows) {
  const Input& input = *result.input;
  if (input.cell) {
    append_cell(config, *input.cell, rows.table("patches"));
  }
  for (std::size_t i = 0; input.payload && i < input.payload->frames.size(); ++i) {
    const Payload::Frame& frame = input.payload->frames[i];
    append_place(input.payload->row, frame, rows.table("patch_pixels"));
    if (!frame.pixels.data.empty()) {
      add_pixels(frame, "img", frame.pixels.data, rows);
      add_pixels(frame, "sigma_sky", result.noise[i].sky, rows);
      add_pixels(frame, "sigma_total", result.noise[i].total, rows);
      add_pixels(frame, "bad", frame.pixels.bad, rows);
    }
  }
  if (input.payload) {
    append_sources(*input.payload, rows.table("patch_sources"));
  }
  set_field(rows, input.field);
}

}  // namespace skyloom::photometry
