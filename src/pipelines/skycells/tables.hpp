#pragma once
// Tables of skycells.h5 and of the exports, made from several products.

#include "pipelines/skycells/config.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/engine/products.hpp"

namespace skyloom::skycells {

/// A row per listed cell: where its images are, how it ended, what it was made of, statistics.
Table cell_table(const Config& config, const engine::Products& products);

/// The same with places in the assembled row, WCS and neighbours, for cell_metadata.json.
Table cell_metadata(const Config& config, const engine::Products& products);

}  // namespace skyloom::skycells
