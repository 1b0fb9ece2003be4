#pragma once
// The photometry pipeline: frames -> epsf -> patches -> fit -> catalogue.

#include <memory>

#include "skyloom/engine/pipeline.hpp"

namespace skyloom::photometry {

std::unique_ptr<engine::Pipeline> make_photometry();

}  // namespace skyloom::photometry
