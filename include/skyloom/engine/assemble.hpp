#pragma once
// From the journal of a finished stage to its product: rows in unit order, written collectively,
// tables of the schema, /units, /provenance, links to the slabs. Values do not depend on the ranks.

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "skyloom/engine/journal.hpp"
#include "skyloom/engine/slabs.hpp"
#include "skyloom/engine/unit.hpp"
#include "skyloom/parallel/comm.hpp"

namespace skyloom::engine {

inline constexpr std::int64_t kProductFormatVersion = 1;
/// Dataset in /provenance: the wall seconds of every unit, in the order of /units.
inline constexpr const char* kUnitSecondsName = "unit_seconds";

struct ProductAttributes {
  std::string stage;
  std::string stage_hash;
  std::vector<std::pair<std::string, std::string>> provenance;
};

/// Collective: writes `product` (temporary name, fsync, rename). Ranks read contiguous blocks of
/// units of about equal size back from the journal, so no rows travel between ranks.
/// @param slabs null when the schema has no slab arrays; it gets its final name
void assemble(const parallel::Comm& comm, const Plan& plan, const Journal& journal, SlabFile* slabs,
              const std::filesystem::path& product, const ProductAttributes& attributes);

}  // namespace skyloom::engine
