#include <algorithm>

#include "pipelines/photometry/epsf/stage.hpp"

namespace skyloom::photometry {

std::vector<std::size_t> frames_without_psf(const Config& config, const Survey& survey,
                                            const Table& sources) {
  std::vector<std::size_t> out;
  for (const Field& field : survey.fields) {
    if (config.epsf.skip_empty_epsf_patches && active_positions(survey, field, sources).x.empty()) {
      continue;
    }
    for (std::size_t i = 0; i < field.size(); ++i) {
      if (field.specs[i].psf.empty()) {
        out.push_back(field.first_frame + i);
      }
    }
  }
  return out;
}

ActivePositions active_positions(const Survey& survey, const Field& field, const Table& sources) {
  const auto rows = survey.rows(sources, field);
  const std::vector<std::uint8_t> active = active_sources(sources, rows, field.box());
  const auto& x = sources.get<double>("x_pix_white");
  const auto& y = sources.get<double>("y_pix_white");
  ActivePositions out;
  for (std::size_t i = 0; i < active.size(); ++i) {
    if (active[i] != 0) {
      out.x.push_back(x[rows.first + i]);
      out.y.push_back(y[rows.first + i]);
    }
  }
  return out;
}

std::vector<epsf::Cell> active_cells(const Config& config, const Box& frame,
                                     const std::vector<double>& x, const std::vector<double>& y) {
  const int n = config.epsf.epsf_ngrid;
  const std::vector<Box> boxes = grid_boxes(frame, n);
  std::vector<std::uint8_t> occupied(boxes.size(), config.epsf.skip_empty_epsf_patches ? 0 : 1);
  const int step_x = std::max(1, frame.width() / n);
  const int step_y = std::max(1, frame.height() / n);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (frame.contains(x[i], y[i])) {
      const int column = std::min(static_cast<int>(x[i]) / step_x, n - 1);
      const int row = std::min(static_cast<int>(y[i]) / step_y, n - 1);
      occupied[static_cast<std::size_t>(row * n + column)] = 1;
    }
  }
  std::vector<epsf::Cell> cells;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    if (occupied[i] != 0 && !boxes[i].empty()) {
      const int index = static_cast<int>(i);
      cells.push_back({cell_tag(index / n, index % n), boxes[i]});
    }
  }
  return cells;
}

std::vector<std::string> EpsfStage::inputs(const Config& config) {
  std::vector<std::string> files;
  for (const FieldEntry& entry : config.field_entries()) {
    if (config.epsf.use_gaiaxp && !entry.gaiaxp_synphot_csv.empty()) {
      files.push_back(entry.gaiaxp_synphot_csv);
    }
  }
  return files;
}

engine::Plan EpsfStage::plan(const Config& config, const engine::Products& before) {
  const Survey survey = survey_from_product(config, before);
  const Table& sources = before.table("frames", "sources");
  engine::Plan plan;
  plan.schema = epsf_schema(config, survey);
  const std::vector<std::size_t> frames = frames_without_psf(config, survey, sources);
  if (!frames.empty()) {
    require_images(survey);
  }
  for (const std::size_t frame : frames) {
    const auto [index, number] = survey.frame_at(frame);
    const Field& field = survey.fields[index];
    const Box used = field.used_box(number);
    plan.add(survey.key(field, frame_key(field, number)),
             static_cast<double>(used.width()) * used.height());
  }
  return plan;
}

}  // namespace skyloom::photometry
