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
  const fs::path temporary = path.string() + ".tmp";
  io::Hdf5Writer writer(temporary);
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
  io::pass_point("file");
  io::rename_durably(temporary, path);
}

void write_fits(const fs::path& path, FitsContent content, const FileStamp& stamp) {
  std::vector<io::FitsCard>& cards = content.images.at(0).cards;
  cards.emplace_back(kHashCard, stamp.hash);
  cards.emplace_back("RUNSEED", static_cast<std::int64_t>(stamp.seed));
  cards.emplace_back("CREATOR", std::string("skyloom ") + SKYLOOM_VERSION);
  io::pass_point("file");
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

}  // namespace

void remove_stamped_files(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> inside;
  for (const auto& entry : fs::recursive_directory_iterator(folder, ignored)) {
    inside.push_back(entry.path());
  }
  // What is in a folder before the folder.
  for (auto path = inside.rbegin(); path != inside.rend(); ++path) {
    std::string name = path->filename().string();
    const bool unfinished = name.ends_with(".tmp");
    name = unfinished ? path->stem().string() : name;
    const bool is_ours = (is_fits_name(name) || name.ends_with(".h5")) &&
                         (unfinished || stamp_of(*path, is_fits_name(name)));
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
    parallel::on_root(comm, [&] { io::create_folders(folder); });
    const auto step = static_cast<std::size_t>(comm.size());
    std::int64_t written = 0;
    for (auto i = static_cast<std::size_t>(comm.rank()); i < set.names.size() && !stopped;
         i += step) {
      const fs::path path = folder / set.names[i];
      const bool is_fits = static_cast<bool>(set.make_fits);
      if (stamp_of(path, is_fits) != stamp.hash) {
        if (is_fits) {
          write_fits(path, content_of(set, set.make_fits, i), stamp);
        } else {
          write_file(path, content_of(set, set.make, i), stamp);
        }
        ++written;
      }
      stopped = must_stop();
    }
    stopped = comm.any(stopped);
    log.info("{}: {} files, {} written now", set.folder, set.names.size(), comm.sum(written));
    if (stopped) {
      return false;
    }
  }
  return true;
}

}  // namespace skyloom::engine
