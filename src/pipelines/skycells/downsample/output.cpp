#include <algorithm>

#include <fmt/format.h>

#include "pipelines/skycells/downsample/stage.hpp"

namespace skyloom::skycells {

DownsampleStage::Result DownsampleStage::compute(const Config& /*config*/, const Input& input,
                                                 const Rng& /*rng*/) {
  return {input.cell, input.shifts, downsample(input.sums)};
}

void DownsampleStage::append(const Config& /*config*/, const Result& result, engine::Rows& rows) {
  Table& cells = rows.table("cells");
  const std::size_t row = cells.add_row();
  cells.set(row, "name", result.cell);
  cells.set(row, "pixels", static_cast<std::int64_t>(result.sums.x.size()));
  const std::size_t offsets = result.shifts.size();
  for (std::size_t k = 0; k < offsets; ++k) {
    cells.get<double>("shift_x")[row * offsets + k] = result.shifts[k].x;
    cells.get<double>("shift_y")[row * offsets + k] = result.shifts[k].y;
  }
  Table& sums = rows.table("sums");
  sums.add_rows(result.sums.x.size());
  sums.get<std::int32_t>("x") = result.sums.x;
  sums.get<std::int32_t>("y") = result.sums.y;
  sums.get<std::int32_t>("count") = result.sums.count;
  for (std::size_t k = 0; k < offsets; ++k) {
    sums.get<double>(fmt::format("flux_{}", k)) = result.sums.flux[k];
    sums.get<std::int32_t>(fmt::format("masked_{}", k)) = result.sums.masked[k];
  }
}

}  // namespace skyloom::skycells
