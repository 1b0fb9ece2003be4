#include "pipelines/flares/sectors.hpp"

#include "skyloom/core/hash.hpp"

namespace skyloom::flares {
namespace {

/// A run that makes rates from other runs: nothing names light curves, though stars may be named.
bool only_joins(const Config::Inputs& in) {
  return !in.runs.empty() && in.light_curves.empty() && in.cache_dir.empty() &&
         (in.targets.empty() || surveys::target_stars(in.targets));
}

}  // namespace

bool is_in_share(const surveys::SectorFile& file, const Config::Share& share) {
  return Hash().text(file.key()).value() % share.count == share.index;
}

const surveys::FoundSectors& found_sectors(const Config& config) {
  if (!config.found) {
    const Config::Inputs& in = config.inputs;
    auto found = std::make_shared<surveys::FoundSectors>();
    if (!only_joins(in)) {
      *found = surveys::find_sectors({in.light_curves, in.cache_dir, in.targets});
    }
    std::erase_if(found->files, [&](const surveys::SectorFile& file) {
      return !is_in_share(file, config.share);
    });
    config.found = std::move(found);
  }
  return *config.found;
}

}  // namespace skyloom::flares
