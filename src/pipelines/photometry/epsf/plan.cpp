#include <algorithm>

#include "pipelines/photometry/epsf/stage.hpp"
#include "pipelines/photometry/frame_pixels.hpp"

namespace skyloom::photometry {

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

double epsf_cost(const Box& used) {
  constexpr double kManyStars = 1e7;  // pixels that usually have max_stars_image stars
  return std::min(static_cast<double>(used.width()) * used.height(), kManyStars);
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
  engine::Plan plan;
  plan.schema = epsf_schema(config, survey);
  for (const Field& field : survey.fields) {
    for (const std::size_t i : frames_to_measure(config, survey, before, field)) {
      const Box used = field.used_box(i);
      plan.add(survey.key(field, frame_key(field, i)), epsf_cost(used),
               std::to_string(field.first_frame + i));
    }
  }
  if (!plan.units.empty()) {
    require_images(survey);
  }
  return plan;
}

}  // namespace skyloom::photometry
