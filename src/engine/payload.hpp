#pragma once
// Private to the engine: what a journal record holds, as bytes (Boost.Serialization, binary, no
// header). A result has the rows of all tables and the claims on slabs; a failure its reason; both
// end with the seconds they took, which records of older programs lack.

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/engine/rows.hpp"
#include "skyloom/engine/slabs.hpp"
#include "skyloom/engine/unit.hpp"
#include "skyloom/parallel/comm.hpp"

namespace skyloom::engine {

struct Outcome {
  Reason reason = Reason::none;
  std::string text;
};

/// A record read back: `tables` has the schema's tables; all are empty for a failure.
struct Payload {
  Outcome outcome;
  std::vector<SlabClaim> claims;
  std::vector<Table> tables;
  double seconds = std::numeric_limits<double>::quiet_NaN();  ///< wall time; NaN when unknown
};

std::string encode_result(const Rows& rows, const std::vector<SlabClaim>& claims, double seconds);
std::string encode_failure(const Outcome& outcome, double seconds);
/// @throws FatalError when the bytes do not match the schema
Payload decode_payload(const std::string& bytes, const Schema& schema);
/// Only outcome and claims, which stand first; no seconds.
Payload decode_head(const std::string& bytes);

/// Named texts as bytes and back.
std::string encode_texts(const std::vector<std::pair<std::string, std::string>>& texts);
std::vector<std::pair<std::string, std::string>> decode_texts(const std::string& bytes);

/// Collective: those of rank 0. Times and host names differ between ranks, and a collective file
/// must not.
std::vector<std::pair<std::string, std::string>> of_root(
    const parallel::Comm& comm, const std::vector<std::pair<std::string, std::string>>& texts);

/// Names a set-up of a stage: its hash, the schema and the units, so that rows of another schema
/// and records of units that were cut in another way never match.
std::string journal_key(const std::string& stage_hash, const Plan& plan);

}  // namespace skyloom::engine
