#include "pipelines/flares/sectors.hpp"

#include "skyloom/core/errors.hpp"

namespace skyloom::flares {

const surveys::FoundSectors& found_sectors(const Config& config) {
  if (!config.found) {
    const Config::Inputs& in = config.inputs;
    config.found = std::make_shared<const surveys::FoundSectors>(
        surveys::find_sectors({in.light_curves, in.cache_dir, in.targets}));
  }
  return *config.found;
}

void take_share_of_sectors(Config& config, std::size_t index, std::size_t count) {
  const std::vector<surveys::SectorFile> files = found_sectors(config).files;
  std::vector<std::string> share;
  for (std::size_t i = index; i < files.size(); i += count) {
    share.push_back(files[i].path);
  }
  if (share.empty()) {
    throw ConfigError("run.shard",
                      "this share of " + std::to_string(files.size()) + " light curves is empty",
                      "at most as many shares as light curves");
  }
  config.inputs.light_curves = share;
  config.inputs.targets.clear();
  config.inputs.cache_dir.clear();
  config.found.reset();
}

}  // namespace skyloom::flares
