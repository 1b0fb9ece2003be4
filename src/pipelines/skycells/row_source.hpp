#pragma once
// Rows of a skycell from its files, in all bands, with as many tries as the configuration allows.

#include <memory>
#include <vector>

#include "pipelines/skycells/combine/stage.hpp"
#include "pipelines/skycells/config.hpp"
#include "skyloom/surveys/skycell.hpp"

namespace skyloom::skycells {

/// A cell's files, opened.
struct OpenedCell {
  CellFiles files;
  std::vector<double> weights;  ///< of files.bands
  std::unique_ptr<RowSource> source;
};

/// Which files of a cell are opened besides its images.
struct OtherPlanes {
  bool masks = true;       ///< else the mask of all rows is empty
  bool variances = false;  ///< else the noise of all rows is empty
};

/// @throws UnitError for a missing band that bands.missing_band does not allow, a cell without any,
///   a missing variance, and images that are not as large as the list says; ConfigError naming the
///   file that cannot be read
OpenedCell open_cell(const Config& config, const surveys::Skycell& cell, OtherPlanes others = {});

}  // namespace skyloom::skycells
