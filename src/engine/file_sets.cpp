#include "skyloom/engine/file_sets.hpp"

#include <filesystem>
#include <optional>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/pipeline.hpp"
#include "skyloom/io/accident.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/fits.hpp"
#include "skyloom/io/hdf5.hpp"
#include "skyloom/io/posix_file.hpp"

namespace skyloom::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHashName = "config_hash";
constexpr const char* kHashCard = "CFGHASH";
/// In the folder of a set: what ranks are writing, one file each. Half a file carries no stamp, so
/// that its place must tell whose it is.
constexpr const char* kUnfinished = ".skyloom-unfinished";

/// The hash in the stamp of a file; nullopt when it has none or cannot be read.
std::optional<std::string> stamp_of(const fs::path& path, bool is_fits) {
  if (!fs::is_regular_file(path)) {
    return std::nullopt;
  }
  try {
    return is_fits ? io::FitsFile(path, 0).text(kHashCard)
                   : io::Hdf5File(path).attribute("/", kHashName);
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
}

bool is_fits_name(const std::string& name) {
  return name.ends_with(".fits") || name.ends_with(".fits.gz");
}

void write_file(const fs::path& path, const FileContent& content, const FileStamp& stamp) {
  io::Hdf5Writer writer(path);
  write_content(writer, content);
  writer.attribute("/", kHashName, std::string_view(stamp.hash));
  writer.attribute("/", "seed", stamp.seed);
  writer.make_group("provenance");
  for (const auto& [name, text] : stamp.provenance) {
    if (name != "config") {  // it stands in the run directory, and may be longer than the content
      writer.attribute("provenance", name, std::string_view(text));
    }
  }
  writer.close();
}

void write_fits(const fs::path& path, FitsContent content, const FileStamp& stamp) {
  std::vector<io::FitsCard>& cards = content.images.at(0).cards;
  cards.emplace_back(kHashCard, stamp.hash);
  cards.emplace_back("RUNSEED", static_cast<std::int64_t>(stamp.seed));
  cards.emplace_back("CREATOR", std::string("skyloom ") + SKYLOOM_VERSION);
  write_fits_file(path, content);
}

// The others would wait for a rank that goes its own way.
template <class Make>
auto content_of(const FileSet& set, const Make& make, std::size_t i) {
  try {
    return make(i);
  } catch (const ConfigError& error) {
    throw FatalError(set.names[i] + ": " + error.what());
  }
}

/// Writes file i of a set. @param unfinished what this rank writes to, without the ending
void write_one(const FileSet& set, std::size_t i, const fs::path& path, const fs::path& unfinished,
               const FileStamp& stamp) {
  const bool is_gzip = path.extension() == ".gz";
  const fs::path temporary = unfinished.string() + (set.make  ? ".h5"
                                                    : is_gzip ? ".fits.gz"
                                                              : ".fits");
  if (set.make) {
    write_file(temporary, content_of(set, set.make, i), stamp);
  } else {
    write_fits(temporary, content_of(set, set.make_fits, i), stamp);
  }
  io::pass_point("file");
  io::rename_durably(temporary, path);
}

}  // namespace

void remove_stamped_files(const fs::path& folder) {
  std::error_code ignored;
  fs::remove_all(folder / kUnfinished, ignored);
  std::vector<fs::path> inside;
  for (const auto& entry : fs::recursive_directory_iterator(folder, ignored)) {
    inside.push_back(entry.path());
  }
  // What is in a folder before the folder.
  for (auto path = inside.rbegin(); path != inside.rend(); ++path) {
    const std::string name = path->filename().string();
    const bool is_ours = (is_fits_name(name) || name.ends_with(".h5")) &&
                         stamp_of(*path, is_fits_name(name)).has_value();
    if (is_ours || (fs::is_directory(*path, ignored) && fs::is_empty(*path, ignored))) {
      fs::remove(*path, ignored);
    }
  }
  fs::remove(folder, ignored);  // only when nothing is left in it
}

bool write_file_sets(const parallel::Comm& comm, const Pipeline& pipeline, const Products& products,
                     const FileStamp& stamp, const std::function<bool()>& must_stop, Log& log) {
  bool stopped = false;
  std::vector<FileSet> sets;
  std::string trouble;
  try {
    sets = pipeline.file_sets(products);
  } catch (const std::exception& error) {
    trouble = error.what();
  }
  parallel::agree(comm, trouble.empty(), trouble);
  for (const FileSet& set : sets) {
    const fs::path folder = products.directory() / set.folder;
    const fs::path unfinished = folder / kUnfinished;
    parallel::on_root(comm, [&] { io::create_folders(unfinished); });
    const auto step = static_cast<std::size_t>(comm.size());
    std::int64_t written = 0;
    for (auto i = static_cast<std::size_t>(comm.rank()); i < set.names.size() && !stopped;
         i += step) {
      const fs::path path = folder / set.names[i];
      if (stamp_of(path, static_cast<bool>(set.make_fits)) != stamp.hash) {
        write_one(set, i, path, unfinished / std::to_string(comm.rank()), stamp);
        ++written;
      }
      stopped = must_stop();
    }
    stopped = comm.any(stopped);
    parallel::on_root(comm, [&] {
      std::error_code ignored;
      fs::remove_all(unfinished, ignored);
    });
    log.info("{}: {} files, {} written now", set.folder, set.names.size(), comm.sum(written));
    if (stopped) {
      return false;
    }
  }
  return true;
}

}  // namespace skyloom::engine
