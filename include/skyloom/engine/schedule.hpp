#pragma once
// Who computes what next: units by about decreasing cost, cut into guided chunks, handed out by one
// shared counter. No master, no messages, and nothing in a result depends on it.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "skyloom/parallel/comm.hpp"

namespace skyloom::engine {

/// Every rank holds one of every unit.
using UnitIndex = std::uint32_t;

/// Unit indices in the order of work, and where the chunks begin (one more entry than chunks).
struct Chunks {
  std::vector<UnitIndex> order;
  std::vector<std::size_t> begin;

  [[nodiscard]] std::size_t count() const { return begin.size() - 1; }
};

/// Guided self-scheduling on cost: sorted by decreasing classes of cost (an eighth of a power of
/// two wide; a cost that is not positive counts as zero) and within a class by index, so that
/// neighbours, which share files, mostly stay together. Each chunk takes remaining cost /
/// (8 * ranks), at least one unit.
/// docs/scaling.md says why 8.
inline constexpr double kChunksPerRank = 8.0;
/// @param costs of all units
Chunks guided_chunks(std::span<const float> costs, std::vector<UnitIndex> todo, int ranks,
                     double chunks_per_rank = kChunksPerRank);

/// Borders of contiguous shares of all units, one for every rank, about equal in number and in
/// cost; ranks + 1 values.
std::vector<std::size_t> contiguous_shares(std::span<const float> costs, int ranks);

/// The chunks of one stage behind slot 0 of a shared counter.
class Schedule {
 public:
  Schedule(Chunks chunks, parallel::SharedCounter& counter)
      : chunks_(std::move(chunks)), counter_(counter) {}

  /// The next unit for this rank, or nothing when all are handed out.
  [[nodiscard]] std::optional<std::size_t> next();
  /// Nobody gets another chunk (one rank has found a reason to end the run).
  void drain();

 private:
  Chunks chunks_;
  parallel::SharedCounter& counter_;
  std::size_t at_ = 0;
  std::size_t end_ = 0;
};

}  // namespace skyloom::engine
