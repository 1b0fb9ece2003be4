#include "skyloom/surveys/network_ensemble.hpp"

#include <filesystem>

#include "skyloom/core/config.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"

namespace skyloom::surveys {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDescription = "ensemble.toml";
constexpr const char* kShipped = "flares/ensemble-1";

/// A value of a table, or a missing one.
template <class T>
const T* value_of(const ConfigValue::TableMap& table, const char* key) {
  const auto found = table.find(key);
  return found == table.end() ? nullptr : std::get_if<T>(&found->second.value);
}

NetworkEnsemble described(const fs::path& folder) {
  NetworkEnsemble out;
  out.description = (folder / kDescription).string();
  const ConfigValue document = io::read_toml(out.description);
  const auto& top = std::get<ConfigValue::TableMap>(document.value);
  const auto* recipe = value_of<std::string>(top, "recipe");
  const auto* threshold = value_of<double>(top, "threshold");
  const auto* networks = value_of<ConfigValue::Array>(top, "networks");
  if (recipe == nullptr || threshold == nullptr || networks == nullptr || networks->empty()) {
    throw ConfigError(out.description, "lacks a part",
                      "recipe (text), threshold (number) and [[networks]]");
  }
  out.recipe = *recipe;
  out.threshold = *threshold;
  for (const ConfigValue& entry : *networks) {
    const auto* network = std::get_if<ConfigValue::TableMap>(&entry.value);
    const auto* file = network == nullptr ? nullptr : value_of<std::string>(*network, "file");
    const auto* sha256 = network == nullptr ? nullptr : value_of<std::string>(*network, "sha256");
    if (file == nullptr || sha256 == nullptr) {
      throw ConfigError(out.description, "one of [[networks]] lacks a part", "file and sha256");
    }
    out.files.push_back((folder / *file).string());
    out.sha256.push_back(*sha256);
  }
  return out;
}

}  // namespace

NetworkEnsemble find_ensemble(const std::vector<std::string>& paths) {
  NetworkEnsemble out;
  if (paths.empty()) {
    out = described(io::shipped(kShipped));
  } else if (paths.size() == 1 && fs::exists(fs::path(paths.front()) / kDescription)) {
    out = described(paths.front());
  } else {
    out.files = network_files(paths);
  }
  for (const std::string& file : out.files) {
    if (!fs::is_regular_file(file)) {
      throw ConfigError(file, "is no file", "a network (network.models)");
    }
  }
  return out;
}

std::vector<NetworkFile> read_ensemble(const NetworkEnsemble& ensemble) {
  std::vector<NetworkFile> out;
  for (std::size_t i = 0; i < ensemble.files.size(); ++i) {
    out.push_back(read_keras_network(ensemble.files[i]));
    if (!ensemble.sha256.empty() && out.back().sha256 != ensemble.sha256[i]) {
      throw ConfigError(ensemble.files[i],
                        "is not the file that " + ensemble.description + " lists",
                        "SHA-256 " + ensemble.sha256[i]);
    }
  }
  return out;
}

}  // namespace skyloom::surveys
