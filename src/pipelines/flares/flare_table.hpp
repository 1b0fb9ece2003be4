#pragma once
// The table of flares: written by `detect` with the median flux as the quiet level, and by `gp`
// with the Gaussian process.

#include <cstdint>
#include <span>

#include "pipelines/flares/detect/kernel_mask.hpp"
#include "skyloom/core/table.hpp"

namespace skyloom::flares {

/// @param level of the quiet star, as it stands in descriptions
TableSchema flare_schema(const char* level);

/// Which star a flare is of.
struct FlareStar {
  std::int64_t tic = 0;
  int sector = 0;
  double teff_k = 0.0;
};

void append_flares(const FlareStar& star, std::span<const Flare> flares, Table& table);

}  // namespace skyloom::flares
