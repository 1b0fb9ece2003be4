#pragma once
// A unit of work: dense index in its plan, stable key (of the science, not of a list or a block),
// estimated cost in arbitrary units of time. And the plan of a stage.

#include <cstddef>
#include <string>
#include <vector>

#include "skyloom/core/table.hpp"

namespace skyloom::engine {

struct Unit {
  std::size_t index = 0;
  std::string key;
  double cost = 1.0;
};

/// The units of a stage in their fixed order (rows of the product follow it), and what they write.
struct Plan {
  std::vector<Unit> units;
  Schema schema;

  /// Appends a unit with the next index.
  void add(std::string key, double cost) {
    units.push_back(Unit{units.size(), std::move(key), cost});
  }
};

}  // namespace skyloom::engine
