#pragma once
// A plan, and named texts, as bytes for the broadcast from rank 0; and the list of its units for a
// file.

#include <string>
#include <utility>
#include <vector>

#include "skyloom/engine/unit.hpp"

namespace skyloom::engine {

std::string plan_to_bytes(const Plan& plan);
Plan plan_from_bytes(const std::string& bytes);

/// Keys and items of the units alone, for a file that tells them to `skyloom status`.
std::string unit_list_to_bytes(const Plan& plan);
Plan unit_list_from_bytes(const std::string& bytes);

std::string texts_to_bytes(const std::vector<std::pair<std::string, std::string>>& texts);
std::vector<std::pair<std::string, std::string>> texts_from_bytes(const std::string& bytes);

}  // namespace skyloom::engine
