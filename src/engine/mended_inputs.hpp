#pragma once
// Private to the engine: input files that were replaced because units failed over them. Rank 0
// only, but for take_over().

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "skyloom/core/log.hpp"
#include "skyloom/engine/manifest.hpp"
#include "skyloom/engine/stage.hpp"
#include "skyloom/parallel/comm.hpp"

namespace skyloom::engine {

/// What is left of a stage whose input files were replaced.
struct Mended {
  bool accepted = false;
  std::string old_key;              ///< of the journal that goes on; "" = it has gone on already
  std::string new_key;              ///< that it gets
  std::vector<std::uint8_t> again;  ///< units that read a replaced file
};

/// Accepts a description that differs from the recorded one in input files alone, each read by a
/// unit that failed or by none that is done, when the journal of the recorded one is there. A file
/// that units do not name as theirs is read by all.
/// @param plan of the stage with the present inputs
/// @param folder of the journal
Mended mended_inputs(StageBase& stage, const Plan& plan, const StageDescription& recorded,
                     const StageDescription& now, const std::filesystem::path& folder);

/// Collective: gives the journal its new key and drops the units that are computed again.
/// @param mended of rank 0
void take_over(const parallel::Comm& comm, const std::filesystem::path& folder,
               const Mended& mended, Log& log);

}  // namespace skyloom::engine
