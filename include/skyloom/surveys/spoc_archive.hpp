#pragma once
// Where the light curves of the SPOC pipeline are found on a server: names of files, lists of a
// sector's files, addresses. The lists are the download scripts that the Mikulski Archive (MAST)
// publishes for every sector, `tesscurl_sector_<N>_lc.sh`; whatever else stands in them, the names
// of the files count.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skyloom::surveys {

/// tess<13 digits>-s<sector, 4>-<TIC, 16>-<configuration, 4>-s_lc.fits, two-minute cadence.
struct SpocName {
  std::string name;
  std::int64_t tic = 0;
  int sector = 0;
};

/// nullopt for any other text
std::optional<SpocName> spoc_name(std::string_view name);

/// All names in a text, each once, in its order.
std::vector<SpocName> spoc_names(std::string_view text);

/// Addresses on a server.
class SpocArchive {
 public:
  /// @param base_url "" = MAST; otherwise what a file's name is appended to, or an address with
  ///   {file} and, if wanted, {sector} (4 digits) in it. Lists lie beside the files.
  /// @throws ConfigError when it is no address ("http://", "https://" or "file://")
  explicit SpocArchive(const std::string& base_url);

  [[nodiscard]] std::string file_url(const SpocName& file) const;
  [[nodiscard]] std::string list_url(int sector) const;

 private:
  std::string file_;
  std::string list_;
};

/// Name of the list of a sector.
std::string spoc_list_name(int sector);

}  // namespace skyloom::surveys
