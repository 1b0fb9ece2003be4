#pragma once
// The light curves of a run: which files there are, and which of them are asked for.

#include <cstdint>
#include <string>
#include <vector>

#include "pipelines/flares/config.hpp"

namespace skyloom::flares {

/// One sector of one star, and its file.
struct SectorFile {
  std::int64_t tic = 0;  ///< 0 = the file does not tell, and fails when it is read
  int sector = 0;
  std::string path;
};

/// "TIC/SECTOR", or "file/NAME" for a file that cannot be read.
std::string sector_key(const SectorFile& file);

struct FoundSectors {
  std::vector<SectorFile> files;  ///< by star and sector
  std::size_t targets = 0;        ///< stars that inputs.targets names, 0 = no selection
  std::size_t without = 0;        ///< those among them without any light curve
};

/// Looks through folders and lists; opens a file only when its name does not tell star and sector.
/// @throws ConfigError when there is none, for a path that is not there, for files of another
///   cadence that are named, and when two files are of the same sector
FoundSectors find_sectors(const Config& config);
/// The same, looked for once per configuration.
const FoundSectors& found_sectors(const Config& config);

/// Leaves of the configured light curves the ones numbered index, index + count, ...
/// @throws ConfigError when that is none
void take_share_of_sectors(Config& config, std::size_t index, std::size_t count);

}  // namespace skyloom::flares
