#pragma once
// The skycells of a run.

#include <cstddef>
#include <string>
#include <vector>

#include "pipelines/skycells/config.hpp"
#include "skyloom/surveys/skycell.hpp"
#include "skyloom/surveys/skycell_rows.hpp"

namespace skyloom::skycells {

struct Survey {
  surveys::SkycellList list;
  std::vector<surveys::ProjectionRows> projections;

  /// Grid of a projection's cells. @throws FatalError when the survey lacks it
  [[nodiscard]] const surveys::ProjectionRows& projection(int number) const;
};

/// The cells that the configuration selects, looked for once per process.
/// @throws ConfigError as the readers of lists, and for cells that the lengths of [geometry] do not
///   fit
const Survey& found_survey(const Config& config);

/// Image, mask and, where they are used, variance of a cell in all bands, those that are there.
std::vector<std::string> image_files(const Config& config, const surveys::SkycellId& id);

/// Image files of all cells and of those that fill their sides, which are there.
std::vector<std::string> image_files(const Config& config);

/// Leaves of the configured cells those of the projections numbered index, index + count, ...:
/// rows need their neighbours, projections do not. @throws ConfigError when that is none
void take_share_of_projections(Config& config, std::size_t index, std::size_t count);

}  // namespace skyloom::skycells
