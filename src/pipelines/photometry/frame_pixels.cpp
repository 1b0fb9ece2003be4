#include "pipelines/photometry/frame_pixels.hpp"

#include <algorithm>
#include <cmath>

namespace skyloom::photometry {

std::function<epsf::Pixels(const Box&)> box_reader(const surveys::FrameSpec& spec,
                                                   const surveys::FrameInfo& info,
                                                   const Box& used) {
  auto reader = std::make_shared<surveys::FrameReader>(spec, info);
  return [reader, used](const Box& box) {
    surveys::FramePixels pixels =
        reader->read({box.x0 + used.x0, box.x1 + used.x0, box.y0 + used.y0, box.y1 + used.y0});
    for (float& w : pixels.invvar.pixels()) {
      w = w > 0.0F ? 1.0F / std::sqrt(w) : 0.0F;
    }
    return epsf::Pixels{std::move(pixels.data), std::move(pixels.invvar), std::move(pixels.bad)};
  };
}

OpenFrame::OpenFrame(const Survey& survey, std::size_t row) {
  const auto [index, frame] = survey.frame_at(row);
  const Field& field = survey.fields[index];
  used = field.used_box(frame);
  fwhm_pix = field.infos[frame].fwhm_pix;
  read = box_reader(field.specs[frame], field.infos[frame], used);
}

std::vector<std::size_t> frames_to_measure(const Config& config, const Survey& survey,
                                           const engine::Products& before, const Field& field) {
  std::vector<std::size_t> out;
  if (config.epsf.skip_empty_epsf_patches) {
    const FieldRows sources =
        field_rows(survey, before, "frames", "sources", field, position_columns());
    const std::vector<std::uint8_t> active = active_sources(sources.table, field.box());
    if (std::find(active.begin(), active.end(), 1) == active.end()) {
      return out;
    }
  }
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field.specs[i].psf.empty()) {
      out.push_back(i);
    }
  }
  return out;
}

std::pair<std::size_t, std::size_t> frame_and_part(const engine::Unit& unit) {
  std::size_t end = 0;
  const std::size_t row = std::stoull(unit.source, &end);
  return {row, std::stoull(unit.source.substr(end))};
}

std::pair<std::size_t, std::size_t> rows_of_frame(const engine::Products& before,
                                                  std::string_view stage, std::string_view table,
                                                  int frame) {
  const std::vector<std::string> column{"frame"};
  const std::size_t n = before.n_rows(stage, table);
  /// The first row from `first` on of this frame or a later one.
  const auto begin_of = [&](int wanted, std::size_t first) {
    std::size_t last = n;
    while (first < last) {
      const std::size_t middle = first + (last - first) / 2;
      const Table row = before.rows(stage, table, middle, middle + 1, column);
      if (row.get<std::int32_t>("frame").front() < wanted) {
        first = middle + 1;
      } else {
        last = middle;
      }
    }
    return first;
  };
  const std::size_t first = begin_of(frame, 0);
  return {first, begin_of(frame + 1, first)};
}

}  // namespace skyloom::photometry
