#include <fmt/format.h>

#include "pipelines/photometry/background/stage.hpp"
#include "pipelines/photometry/epsf/stage.hpp"

namespace skyloom::photometry {

engine::Plan BackgroundStage::plan(const Config& config, const engine::Products& before) {
  const Survey survey = survey_from_product(config, before);
  const epsf::Options options = effective_options(config);
  engine::Plan plan;
  plan.schema = background_schema();
  if (options.method == "anderson-king") {
    return plan;  // its cells measure their own
  }
  for (const Field& field : survey.fields) {
    for (const std::size_t i : frames_to_measure(config, survey, before, field)) {
      const Box used = field.used_box(i);
      const std::vector<Box> tiles = background::tiles(used.width(), used.height(), options);
      for (std::size_t k = 0; k < tiles.size(); ++k) {
        plan.add(survey.key(field, fmt::format("{}/{:04d}", frame_key(field, i), k)),
                 static_cast<double>(tiles[k].width()) * tiles[k].height(),
                 fmt::format("{} {}", field.first_frame + i, k));
      }
    }
  }
  if (!plan.units.empty()) {
    require_images(survey);
  }
  return plan;
}

}  // namespace skyloom::photometry
