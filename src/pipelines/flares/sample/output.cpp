#include "pipelines/flares/rates/rows.hpp"
#include "pipelines/flares/sample/stage.hpp"

namespace skyloom::flares {

SampleStage::Result SampleStage::compute(const Config& /*config*/, const Input& input,
                                         const Rng& /*rng*/) {
  return {input.completeness(), input.stars(), input.sectors(), input.finish()};
}

void SampleStage::append(const Config& /*config*/, const Result& result, engine::Rows& rows) {
  constexpr std::int64_t kSample = 0;
  Table& table = rows.table("sample_rates");
  const std::size_t row = table.add_row();
  table.set(row, "n_stars", static_cast<std::int64_t>(result.stars));
  set_combined(table, row, result.rates, result.sectors);
  append_points(rows.table("ffd"), kSample, result.rates.points);
  append_completeness(rows, kSample, result.completeness);
}

}  // namespace skyloom::flares
