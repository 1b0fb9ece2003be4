#pragma once
// Method "anderson-king": every cell chooses its stars and builds an array of its own
// (photometry.md 6.2-6.10).

#include "pipelines/photometry/epsf/kernel.hpp"

namespace skyloom::photometry::epsf {

/// A cell that cannot be done has its reason in CellResult::error. Result::psf stays empty: the
/// arrays are CellResult::samples.
[[nodiscard]] Result build_classic(const Input& input, const Options& options);

}  // namespace skyloom::photometry::epsf
