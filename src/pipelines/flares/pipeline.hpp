#pragma once
// The flares pipeline: from sector light curves to flares and their rates.

#include <memory>

#include "skyloom/engine/pipeline.hpp"

namespace skyloom::flares {

std::unique_ptr<engine::Pipeline> make_flares();

}  // namespace skyloom::flares
