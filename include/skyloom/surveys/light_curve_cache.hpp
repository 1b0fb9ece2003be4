#pragma once
// A folder of SPOC light curves fetched from a server: what is wanted, what is there, and fetching
// the rest. Files keep their names and headers, in folders s0001, s0002, ..., but only the columns
// that light curves are read with. files.csv says of every file how it went.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "skyloom/io/download.hpp"
#include "skyloom/surveys/spoc_archive.hpp"

namespace skyloom::surveys {

struct FetchRequest {
  std::string base_url;          ///< see SpocArchive
  std::filesystem::path folder;  ///< the cache
  /// CSV with the column TICID, or a list of file names or paths, one per line.
  std::string targets;
  std::vector<int> sectors;  ///< empty = all that the server lists, from 1 up
  io::DownloadRule rule;
  std::function<bool()> stop;                    ///< asked often: true ends it
  std::function<void(const std::string&)> tell;  ///< progress, one line
};

/// The files of the targets. Where targets are stars, the lists of the sectors are downloaded into
/// the folder `lists` of the cache and kept. @throws ConfigError for targets that cannot be read or
/// are of no file, and for a list that cannot be had
std::vector<SpocName> wanted_light_curves(const FetchRequest& request);

/// Shell script that downloads files with curl, whole and resumable, into folders of sectors below
/// the one it runs in.
std::string download_script(const std::vector<SpocName>& files, const std::string& base_url);

/// Writes it as a file that can be run.
void write_script(const std::filesystem::path& path, const std::string& script);

struct FetchResult {
  std::size_t wanted = 0;
  std::size_t present = 0;  ///< were there already, with the checksum of files.csv
  std::size_t fetched = 0;
  std::size_t failed = 0;
  bool stopped = false;
  std::string first_failure;  ///< file and reason
};

/// Fills the cache. A downloaded file is taken when it has the checksums of its own header and
/// holds the light curve its name tells; otherwise it is fetched again, `rule.tries` times in all.
/// Failed ones are tried again by the next call. @throws ConfigError, FatalError for a disk that is
/// full
FetchResult fetch_light_curves(const FetchRequest& request);

}  // namespace skyloom::surveys
