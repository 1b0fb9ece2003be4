#pragma once
// One HDF5 file per star, stars/TIC_final.h5: its flares, their frequency, completeness and rates
// of its sectors, and the outcomes of all injections.

#include "pipelines/flares/config.hpp"
#include "skyloom/engine/file_sets.hpp"

namespace skyloom::flares {

inline constexpr const char* kStarFolder = "stars";

/// Groups `flares` (all sectors one after the other; metrics/sector_offset is the first of each),
/// `FFD`, `metrics` (a row per sector) and `injection_recovery/sector_<S>`. Corrected rates are -99
/// where there is no correction. Of the stars that `rates` has, those of inputs.runs included.
engine::FileSet star_files(const Config& config, const engine::Products& products);

}  // namespace skyloom::flares
