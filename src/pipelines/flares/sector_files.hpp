#pragma once
// One file per sector: light curve with mask and Gaussian process, flares, injections, recoveries.

#include "pipelines/flares/config.hpp"
#include "skyloom/engine/file_sets.hpp"
#include "skyloom/engine/products.hpp"

namespace skyloom::flares {

inline constexpr const char* kSectorFolder = "sectors";

/// sectors/TIC_SECTOR.h5 of every searched sector (flares.md 9.2).
engine::FileSet sector_files(const Config& config, const engine::Products& products);

}  // namespace skyloom::flares
