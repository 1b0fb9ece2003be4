#pragma once
// The arrays of the product that pictures are drawn from, and those of method "anderson-king" that
// the fit uses.

#include "pipelines/photometry/epsf/stage.hpp"

namespace skyloom::photometry {

/// Tables /psf_grids, /star_stamps and /cell_images, each only where the configuration asks for it.
void add_array_tables(const epsf::Options& options, Schema& schema);

void append_arrays(const epsf::Options& options, const EpsfStage::Result& result,
                   engine::Rows& rows);

}  // namespace skyloom::photometry
