#pragma once
// Which light curves there are, and which of them are asked for.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace skyloom::surveys {

/// Stars of a CSV with the column TICID; nullopt when the file is no such table (a list of files).
/// @throws ConfigError for a table without stars
std::optional<std::set<std::int64_t>> target_stars(const std::string& targets);

/// Where light curves are looked for.
struct LightCurveSelection {
  /// Files, patterns with * ? [], text files (.txt, .lst, .list) with one path per line, and
  /// folders, of which files that end in _lc.fits (also gz), and those in .csv and .npy whose names
  /// tell star and sector, are taken at any depth.
  std::vector<std::string> light_curves;
  std::string cache_dir;  ///< one more folder, which need not exist; "" = none
  std::string targets;    ///< CSV with the column TICID, or a list of paths; "" = all
};

/// One sector of one star, and its file.
struct SectorFile {
  std::int64_t tic = 0;  ///< 0 = the file does not tell, and fails when it is read
  int sector = 0;
  std::string path;

  /// "TIC/SECTOR", or "file/NAME" for a file that does not tell.
  [[nodiscard]] std::string key() const;
};

struct FoundSectors {
  std::vector<SectorFile> files;  ///< by star and sector
  std::size_t targets = 0;        ///< stars that the selection names, 0 = all
  std::size_t without = 0;        ///< those among them without any light curve
};

/// Looks through folders and lists; opens a file only when its name does not tell star and sector.
/// @throws ConfigError when there is none, for a path that is not there, for files of another
///   cadence that are named, and when two files are of the same sector
FoundSectors find_sectors(const LightCurveSelection& selection);

}  // namespace skyloom::surveys
