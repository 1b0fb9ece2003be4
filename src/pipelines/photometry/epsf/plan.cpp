#include "pipelines/photometry/epsf/stage.hpp"

namespace skyloom::photometry {

std::vector<std::size_t> frames_without_psf(const Field& field) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field.specs[i].psf.empty()) {
      out.push_back(i);
    }
  }
  return out;
}

std::vector<epsf::Cell> active_cells(const Config& config, const Field& field,
                                     const Table& sources) {
  const std::vector<std::uint8_t> active = active_sources(sources, field.box());
  const auto& x = sources.get<double>("x_pix_white");
  const auto& y = sources.get<double>("y_pix_white");
  const int n = config.epsf.epsf_ngrid;
  const std::vector<Box> boxes = grid_boxes(field.box(), n);
  std::vector<std::uint8_t> occupied(boxes.size(), config.epsf.skip_empty_epsf_patches ? 0 : 1);
  const int step_x = std::max(1, field.width / n);
  const int step_y = std::max(1, field.height / n);
  for (std::size_t i = 0; i < active.size(); ++i) {
    if (active[i] != 0) {
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
  if (config.epsf.use_gaiaxp && !config.inputs.gaiaxp_synphot_csv.empty()) {
    files.push_back(config.inputs.gaiaxp_synphot_csv);
  }
  return files;
}

engine::Plan EpsfStage::plan(const Config& config, const engine::Products& before) {
  const Field field = field_from_product(config, before);
  engine::Plan plan;
  plan.schema = epsf_schema(config);
  if (active_cells(config, field, before.table("frames", "sources")).empty()) {
    return plan;
  }
  for (const std::size_t frame : frames_without_psf(field)) {
    plan.add("epsf/" + field.infos[frame].band, static_cast<double>(field.width) * field.height);
  }
  return plan;
}

}  // namespace skyloom::photometry
