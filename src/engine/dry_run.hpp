#pragma once
// What a run would do, without doing it: units of every stage, estimated core time, memory, size of
// the products, and how many nodes are worth asking for. Rank 0 only.

#include <cstddef>
#include <optional>
#include <vector>

#include "skyloom/engine/pipeline.hpp"

#include "restart.hpp"

namespace skyloom::engine {

/// Core time of a stage, and of its longest unit, in seconds.
struct StageWork {
  double total_s = 0.0;
  double longest_s = 0.0;
};

/// Time of all stages, one after the other, on so many ranks: none is shorter than its longest
/// unit.
double wall_time_s(const std::vector<StageWork>& work, int ranks);

struct Geometry {
  int nodes = 1;
  int ranks_per_node = 1;
  double wall_s = 0.0;
  double busy = 1.0;  ///< fraction of the ranks' time inside units
};

/// Doubles the ranks, first up to a full node and then by nodes, until a run takes no longer than
/// `target_s`, and as long as the ranks remain busy for 70 % of the time.
Geometry suggest_geometry(const std::vector<StageWork>& work, int cores_per_node, double target_s);

/// @param first plan of the first stage; absent when that is not selected
/// @param manifest what the run directory holds, without what --fresh would remove
struct DryRun {
  const Pipeline& pipeline;
  const Stages& stages;
  const std::vector<std::size_t>& selected;
  const std::optional<Plan>& first;
  const RunOptions& options;
  const Products& products;
  const Manifest& manifest;
  Describer& describer;
};

void print_dry_run(const DryRun& run, Log& log);

}  // namespace skyloom::engine
