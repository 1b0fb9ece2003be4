#include "skyloom/engine/schedule.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace skyloom::engine {
namespace {

// NaN would break the ordering, and a negative cost the sizes of the chunks.
double usable(double cost) {
  return cost > 0.0 ? cost : 0.0;
}

/// Increases with the cost: its exponent and three bits of its mantissa.
std::size_t class_of(double cost) {
  constexpr int kMantissaBits = 52;
  constexpr int kKept = 3;
  return static_cast<std::size_t>(std::bit_cast<std::uint64_t>(usable(cost)) >>
                                  (kMantissaBits - kKept));
}

/// In linear time: every rank does this for all units.
std::vector<UnitIndex> by_decreasing_class(std::span<const float> costs,
                                           std::vector<UnitIndex> todo) {
  if (!std::is_sorted(todo.begin(), todo.end())) {
    std::sort(todo.begin(), todo.end());
  }
  constexpr std::size_t kClasses = std::size_t{1} << 14;
  std::vector<std::size_t> next(kClasses + 1, 0);  // of a class, the largest class first
  for (const UnitIndex unit : todo) {
    ++next[kClasses - class_of(costs[unit])];
  }
  std::partial_sum(next.begin(), next.end(), next.begin());
  std::vector<UnitIndex> order(todo.size());
  for (auto unit = todo.rbegin(); unit != todo.rend(); ++unit) {
    order[--next[kClasses - class_of(costs[*unit])]] = *unit;
  }
  return order;
}

}  // namespace

Chunks guided_chunks(std::span<const float> costs, std::vector<UnitIndex> todo, int ranks,
                     double chunks_per_rank) {
  todo = by_decreasing_class(costs, std::move(todo));
  Chunks chunks;
  double remaining = 0.0;
  for (const UnitIndex unit : todo) {
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

std::vector<std::size_t> contiguous_shares(std::span<const float> costs, int ranks) {
  double total = 0.0;
  for (const float cost : costs) {
    total += usable(cost);
  }
  const double per_cost = total > 0.0 ? 0.5 / total : 0.0;
  const double per_unit = (total > 0.0 ? 0.5 : 1.0) / static_cast<double>(costs.size());
  std::vector<std::size_t> shares{0};
  double before = 0.0;
  for (std::size_t unit = 0; unit < costs.size(); ++unit) {
    before += per_unit + per_cost * usable(costs[unit]);
    while (shares.size() < static_cast<std::size_t>(ranks) &&
           before * ranks >= static_cast<double>(shares.size())) {
      shares.push_back(unit + 1);
    }
  }
  shares.resize(static_cast<std::size_t>(ranks) + 1, costs.size());
  return shares;
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
