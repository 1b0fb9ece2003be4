#pragma once
// Results as many small HDF5 or FITS files beside the products, such as one per star: written by
// all ranks when every stage is finished, each file whole or not at all.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "skyloom/core/log.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/engine/file_content.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/parallel/comm.hpp"

namespace skyloom::engine {

class Pipeline;

struct FileSet {
  std::string folder;              ///< in the run directory
  std::vector<std::string> names;  ///< of the files, in fixed order
  /// Content of the file names[i]; called by the rank that writes it. One of the two is set: HDF5
  /// or FITS (compressed where the name ends in .gz).
  std::function<FileContent(std::size_t i)> make = {};
  std::function<FitsContent(std::size_t i)> make_fits = {};
};

/// What every file carries beside its content. Of a FITS file: the cards CFGHASH, RUNSEED and
/// CREATOR of its primary HDU.
struct FileStamp {
  std::string hash;        ///< of everything the results depend on: root attribute `config_hash`
  std::uint64_t seed = 0;  ///< root attribute `seed`
  std::vector<std::pair<std::string, std::string>> provenance;  ///< attributes of /provenance
};

/// Removes the files of a folder that carry the stamp of a run, and what an interrupted call left
/// of them, in a folder that has this use alone; then the folder, when nothing else is in it.
void remove_stamped_files(const std::filesystem::path& folder);

/// Collective: files i, i + ranks, ... by rank i, under a temporary name, synced, renamed; those
/// that carry the same hash are left alone, so that an interrupted call goes on.
/// @return false when `must_stop` said so on the way, on every rank
bool write_file_sets(const parallel::Comm& comm, const Pipeline& pipeline, const Products& products,
                     const FileStamp& stamp, const std::function<bool()>& must_stop, Log& log);

}  // namespace skyloom::engine
