#pragma once
// The skycells pipeline: combine -> convolve.

#include <memory>

#include "skyloom/engine/pipeline.hpp"

namespace skyloom::skycells {

std::unique_ptr<engine::Pipeline> make_skycells();

}  // namespace skyloom::skycells
