#include "pipelines/flares/rates/rows.hpp"
#include "pipelines/flares/sample/stage.hpp"

namespace skyloom::flares {

engine::Plan SampleStage::plan(const Config& /*config*/, const engine::Products& before) {
  engine::Plan plan;
  plan.schema.tables = {combined_schema("sample_rates", {"n_stars", Type::int32, "", "stars"}),
                        ffd_schema(), completeness_schema(), completeness_map_schema()};
  const std::size_t stars = before.table("rates", "star_rates").rows();
  if (stars > 0) {
    plan.add("sample", static_cast<double>(stars));
  }
  return plan;
}

}  // namespace skyloom::flares
