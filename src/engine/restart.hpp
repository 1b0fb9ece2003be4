#pragma once
// What a run directory already holds, set against what this command asks for. Rank 0 only.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "skyloom/core/config.hpp"
#include "skyloom/engine/manifest.hpp"
#include "skyloom/engine/pipeline_run.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::engine {

using Stages = std::vector<std::unique_ptr<StageBase>>;

/// Describes stages; each input file is read once. Of a stage with more than kManyInputs files, or
/// kManyBytes in them, only size and ends are looked at: reading them all would take longer than
/// the stage. What was recorded of a stage decides for later attempts.
class Describer {
 public:
  static constexpr std::size_t kManyInputs = 1000;
  static constexpr std::uintmax_t kManyBytes = std::uintmax_t{1} << 30;

  Describer(const ConfigSpec& spec, const Products& products) : spec_(spec), products_(products) {}

  /// @param finished stages whose present product counts; the needs of others stay out
  /// @param record what the manifest says of the stage, or null; when its product is there, inputs
  ///   that are gone keep their recorded fingerprint
  [[nodiscard]] StageDescription describe(StageBase& stage,
                                          const std::vector<std::string>& finished,
                                          const StageRecord* record);

 private:
  [[nodiscard]] std::string fingerprint(const std::string& file, bool many);

  const ConfigSpec& spec_;
  const Products& products_;
  std::map<std::pair<std::string, bool>, std::string> fingerprints_;  // of a file, quick or not
};

/// Positions of the stages that a command runs, in order.
/// @throws ConfigError for an unknown stage
std::vector<std::size_t> selected_stages(const Stages& stages, const RunOptions& options,
                                         const Products& products);

/// Refuses to mix results: names the keys and files that changed and the stages concerned, a
/// missing or outdated earlier product, another code version. With --retry-failed input files may
/// have been replaced that units failed over.
/// @param first_plan of the first stage, where it was made
/// @throws ConfigError
void check_restart(const Pipeline& pipeline, const Stages& stages,
                   const std::vector<std::size_t>& selected, const RunOptions& options,
                   const Manifest& manifest, const Products& products, Describer& describer,
                   const std::optional<Plan>& first_plan);

}  // namespace skyloom::engine
