#pragma once
// What the stages `background` and `objects` found in the image of a band, and the build from it.

#include <vector>

#include "pipelines/photometry/background/kernel.hpp"
#include "pipelines/photometry/epsf/kernel.hpp"
#include "pipelines/photometry/objects/kernel.hpp"

namespace skyloom::photometry::epsf {

struct Found {
  std::vector<background::Node> nodes;  ///< of all tiles
  objects::Objects objects;
};

/// Looks through the whole band, part by part, as these stages do.
/// @throws UnitError (no_good_data) when no pixel is good
[[nodiscard]] Found survey(const Input& input, const Options& options);

/// Builds the PSF of one band, with any method but anderson-king.
/// @throws UnitError as build() of the input alone
[[nodiscard]] Result build(const Input& input, const Options& options, const Found& found);

}  // namespace skyloom::photometry::epsf
