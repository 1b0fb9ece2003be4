#include "pipelines/photometry/patches/stage.hpp"

namespace skyloom::photometry {

std::vector<std::pair<std::size_t, epsf::Cell>> cells_of_survey(
    const Config& config, const Survey& survey, const std::vector<ActivePositions>& active) {
  std::vector<std::pair<std::size_t, epsf::Cell>> cells;
  for (const Field& field : survey.fields) {
    const ActivePositions& positions = active[field.index];
    for (epsf::Cell& cell : active_cells(config, field.box(), positions.x, positions.y)) {
      cells.emplace_back(field.index, std::move(cell));
    }
  }
  return cells;
}

engine::Plan PatchesStage::plan(const Config& config, const engine::Products& before) {
  const Survey survey = survey_from_product(config, before);
  const Table& sources = before.table("frames", "sources");
  std::vector<ActivePositions> active;
  for (const Field& field : survey.fields) {
    active.push_back(active_positions(survey, field, sources));
  }
  engine::Plan plan;
  plan.schema.tables.push_back(
      {"patches",
       {{"epsf_r", Type::int32, "", "row of the cell"},
        {"epsf_c", Type::int32, "", "column of the cell"},
        {"patch_r", Type::int32, "", "row of the patch in its cell"},
        {"patch_c", Type::int32, "", "column of the patch in its cell"},
        {"epsf_tag", Type::text, "", "cell"},
        {"patch_tag", Type::text, "", "patch"},
        {"x0_base", Type::int32, "pix", "base box: its sources are reported"},
        {"x1_base", Type::int32, "pix", "end of the base box"},
        {"y0_base", Type::int32, "pix", "base box"},
        {"y1_base", Type::int32, "pix", "end of the base box"},
        {"x0_roi", Type::int32, "pix", "region of interest: its pixels are fitted"},
        {"x1_roi", Type::int32, "pix", "end of the region"},
        {"y0_roi", Type::int32, "pix", "region of interest"},
        {"y1_roi", Type::int32, "pix", "end of the region"},
        {"halo_pix", Type::int32, "pix", "width of the halo"},
        {"n_sources", Type::int64, "", "active sources in the base box"}}});
  add_field_column(plan.schema, survey);
  for (const auto& [field, cell] : cells_of_survey(config, survey, active)) {
    plan.add(survey.key(survey.fields[field], "cell/" + cell.tag), 1.0);
  }
  return plan;
}

}  // namespace skyloom::photometry
