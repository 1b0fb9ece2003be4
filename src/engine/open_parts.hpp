#pragma once
// Private to the engine: the parts of slab arrays that no unit wrote.

#include <cstddef>
#include <vector>

#include "skyloom/engine/slabs.hpp"
#include "skyloom/parallel/comm.hpp"

namespace skyloom::engine {

/// Collective: what no claim of any rank covers of this rank's share of an array. The shares are
/// slices of one axis; claims go to the ranks whose shares they are in, so that nobody needs all of
/// them.
/// @param claims of this rank; those of other arrays than `slab` do not count
std::vector<SlabBox> uncovered_share(const parallel::Comm& comm,
                                     const std::vector<SlabClaim>& claims, std::size_t slab,
                                     const std::vector<std::size_t>& shape);

}  // namespace skyloom::engine
