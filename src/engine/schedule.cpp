#include "skyloom/engine/schedule.hpp"

#include <algorithm>

namespace skyloom::engine {
namespace {

// NaN would break the ordering, and a negative cost the sizes of the chunks.
double usable(double cost) {
  return cost > 0.0 ? cost : 0.0;
}

}  // namespace

Chunks chunks_of_costs(std::span<const double> costs, std::vector<std::size_t> todo, int ranks,
                       double chunks_per_rank) {
  std::sort(todo.begin(), todo.end(), [costs](std::size_t a, std::size_t b) {
    const double cost_a = usable(costs[a]);
    const double cost_b = usable(costs[b]);
    return cost_a != cost_b ? cost_a > cost_b : a < b;
  });
  Chunks chunks;
  double remaining = 0.0;
  for (const std::size_t unit : todo) {
    remaining += usable(costs[unit]);
  }
  std::size_t at = 0;
  chunks.begin.push_back(0);
  while (at < todo.size()) {
    const double share = remaining / (chunks_per_rank * ranks);
    double taken = 0.0;
    do {
      taken += usable(costs[todo[at]]);
      ++at;
    } while (at < todo.size() && taken > 0.0 && taken + usable(costs[todo[at]]) <= share);
    remaining -= taken;
    chunks.begin.push_back(at);
  }
  chunks.order = std::move(todo);
  return chunks;
}

Chunks guided_chunks(std::span<const Unit> units, std::vector<std::size_t> todo, int ranks) {
  std::vector<double> costs;
  costs.reserve(units.size());
  for (const Unit& unit : units) {
    costs.push_back(unit.cost);
  }
  return chunks_of_costs(costs, std::move(todo), ranks);
}

std::optional<std::size_t> Schedule::next() {
  if (at_ == end_) {
    const auto chunk = static_cast<std::size_t>(counter_.next());
    if (chunk >= chunks_.count()) {
      return std::nullopt;
    }
    at_ = chunks_.begin[chunk];
    end_ = chunks_.begin[chunk + 1];
  }
  return chunks_.order[at_++];
}

void Schedule::drain() {
  counter_.add(0, static_cast<std::int64_t>(chunks_.count()));
  at_ = end_;
}

}  // namespace skyloom::engine
