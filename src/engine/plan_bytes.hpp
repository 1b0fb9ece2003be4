#pragma once
// A plan as bytes, for the broadcast from rank 0.

#include <string>

#include "skyloom/engine/unit.hpp"

namespace skyloom::engine {

std::string plan_to_bytes(const Plan& plan);
Plan plan_from_bytes(const std::string& bytes);

}  // namespace skyloom::engine
