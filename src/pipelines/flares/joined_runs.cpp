#include "pipelines/flares/joined_runs.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/manifest.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/engine/publish.hpp"

namespace skyloom::flares {
namespace {

constexpr std::array kJoined{"detect", "gp", "inject"};

engine::NamedTexts keys_of(const Config& config, const std::string& stage) {
  Config copy = config;
  ConfigSpec spec;
  declare(spec, copy);
  return spec.values_of(stage);
}

/// Every product is the one that the run recorded, and made from those that are there.
void require_whole(const std::string& run, const engine::StageRecord* record,
                   const std::string& stage, const engine::Products& products) {
  if (record == nullptr || engine::product_hash(products, stage) != record->description.hash()) {
    throw ConfigError(run, "its stage " + stage + " is not finished with its last settings",
                      "a run whose stages up to inject are finished (inputs.runs)");
  }
  for (const auto& [need, identity] : record->description.needs) {
    if (engine::product_identity(products, need) != identity) {
      throw ConfigError(run, "its stage " + need + " was redone after " + stage,
                        "a run whose stages up to inject are finished (inputs.runs)");
    }
  }
}

void require_same_keys(const std::string& run, const engine::StageDescription& theirs,
                       const engine::NamedTexts& ours) {
  for (const auto& [key, value] : ours) {
    const auto found = std::find_if(theirs.keys.begin(), theirs.keys.end(),
                                    [&key = key](const auto& known) { return known.first == key; });
    const std::string known = found == theirs.keys.end() ? "unset" : found->second;
    if (known != value) {
      throw ConfigError(run, "was made with " + key + " = " + known + " (inputs.runs)",
                        value + ", as in this run");
    }
  }
}

void require_same_networks(const std::string& run, const engine::Products& products,
                           const std::vector<std::string>& ours) {
  const Table& table = products.table("detect", "networks");
  const auto& theirs = table.get<std::string>("sha256");
  if (theirs == ours) {
    return;
  }
  const auto other = std::find_if(theirs.begin(), theirs.end(), [&](const std::string& sha256) {
    return std::find(ours.begin(), ours.end(), sha256) == ours.end();
  });
  const std::string what =
      other == theirs.end()
          ? std::to_string(theirs.size()) + " networks"
          : "the network " +
                table.get<std::string>(
                    "file")[static_cast<std::size_t>(std::distance(theirs.begin(), other))];
  throw ConfigError(run, "was made with " + what + " (inputs.runs)",
                    "the files of network.models of this run, by SHA-256 and in this order");
}

}  // namespace

void require_same_search(const Config& config, const std::vector<std::string>& networks) {
  for (const std::string& run : config.inputs.runs) {
    const std::optional<engine::Manifest> manifest = engine::read_manifest(run);
    if (!manifest || manifest->pipeline != "flares") {
      throw ConfigError(run, "is no run directory of flares",
                        "one with manifest.json (inputs.runs)");
    }
    const engine::Products products(run);
    for (const std::string stage : kJoined) {
      const engine::StageRecord* record = manifest->find(stage);
      require_whole(run, record, stage, products);
      require_same_keys(run, record->description, keys_of(config, stage));
    }
    require_same_networks(run, products, networks);
  }
}

}  // namespace skyloom::flares
