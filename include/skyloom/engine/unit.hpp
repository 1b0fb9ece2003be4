#pragma once
// A unit of work: dense index in its plan, stable key (of the science, not of a list or a block),
// estimated cost in arbitrary units of time, and where its data are when the key does not say it.
// And the plan of a stage.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "skyloom/core/table.hpp"
#include "skyloom/engine/file_content.hpp"

namespace skyloom::engine {

struct Unit {
  std::size_t index = 0;
  std::string key;
  double cost = 1.0;
  std::string source = {};  ///< such as a file that rank 0 found; no part of its identity
  /// Key of its random numbers; empty = that of the unit. Units that are pieces of one object share
  /// it, so that results do not depend on how the object was cut.
  std::string random_key = {};
  std::uint32_t items = 0;  ///< how many of Plan::items it does; 0 where they are not counted
};

/// The units of a stage in their fixed order (rows of the product follow it), and what they write.
struct Plan {
  std::vector<Unit> units;
  Schema schema;
  /// What `skyloom status --units` counts of units that are pieces of one object, in the plural,
  /// such as "injections"; empty = nothing but units.
  std::string items;
  /// Megabytes that all units together read or write, for the progress; 0 = not worth saying.
  double volume_mb = 0.0;
  /// Goes into the slab file beside its arrays, with the run's provenance; for slab files that are
  /// products in their own right.
  FileContent slab_content = {};

  /// Appends a unit with the next index.
  void add(std::string key, double cost, std::string source = {}) {
    units.push_back(Unit{units.size(), std::move(key), cost, std::move(source)});
  }
};

}  // namespace skyloom::engine
