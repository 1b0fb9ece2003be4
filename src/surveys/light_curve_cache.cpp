#include "skyloom/surveys/light_curve_cache.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <sstream>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/fits.hpp"
#include "skyloom/surveys/light_curve.hpp"
#include "skyloom/surveys/light_curve_list.hpp"

namespace skyloom::surveys {
namespace {

namespace fs = std::filesystem;
using State = io::DownloadOutcome::State;

constexpr const char* kRecord = "files.csv";
const std::vector<std::string> kColumns{"TIME", "CADENCENO", "PDCSAP_FLUX", "PDCSAP_FLUX_ERR",
                                        "QUALITY"};

void make_folder(const fs::path& folder) {
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) {
    throw ConfigError(folder.string(), "cannot be created", problem.message());
  }
}

std::string sector_folder(int sector) {
  const std::string digits = std::to_string(sector);
  return "s" + std::string(digits.size() < 4 ? 4 - digits.size() : 0, '0') + digits;
}

/// Path below the cache.
std::string place_of(const SpocName& file) {
  return sector_folder(file.sector) + "/" + file.name;
}

void tell(const FetchRequest& request, const std::string& line) {
  if (request.tell) {
    request.tell(line);
  }
}

/// Lists that are not there yet, as far as the server has them. @return those it has not
std::set<int> fetch_lists(const FetchRequest& request, const std::vector<int>& sectors) {
  const SpocArchive archive(request.base_url);
  const fs::path folder = request.folder / "lists";
  make_folder(folder);
  std::vector<io::Download> files;
  std::vector<int> asked;
  for (const int sector : sectors) {
    const fs::path list = folder / spoc_list_name(sector);
    if (!fs::exists(list)) {
      files.push_back({archive.list_url(sector), list.string() + ".part"});
      asked.push_back(sector);
    }
  }
  io::DownloadCalls calls;
  calls.stop = request.stop;
  calls.arrived = [&](std::size_t i) -> std::string {
    if (spoc_names(io::read_text(files[i].part)).empty()) {
      return "names no light curve";
    }
    fs::rename(files[i].part, folder / spoc_list_name(asked[i]));
    return "";
  };
  const auto outcomes = io::download(files, request.rule, calls);
  std::set<int> absent;
  for (std::size_t i = 0; i < files.size(); ++i) {
    constexpr int kNotFound = 404;
    if (outcomes[i].state == State::failed && outcomes[i].answer != kNotFound) {
      throw ConfigError(files[i].url, outcomes[i].reason, "the list of light curves of a sector");
    }
    if (outcomes[i].state != State::arrived) {
      absent.insert(asked[i]);
    }
  }
  return absent;
}

/// Sectors whose lists are in the cache now.
std::vector<int> listed_sectors(const FetchRequest& request) {
  const auto stopped = [&] { return request.stop && request.stop(); };
  if (!request.sectors.empty()) {
    const std::set<int> absent = fetch_lists(request, request.sectors);
    if (!absent.empty() && !stopped()) {
      throw ConfigError("fetch.sectors",
                        "the server has no list of sector " + std::to_string(*absent.begin()),
                        SpocArchive(request.base_url).list_url(*absent.begin()));
    }
    return request.sectors;
  }
  std::vector<int> out;
  constexpr int kAtOnce = 8;
  for (int first = 1; !stopped(); first += kAtOnce) {
    std::vector<int> some(kAtOnce);
    for (int i = 0; i < kAtOnce; ++i) {
      some[static_cast<std::size_t>(i)] = first + i;
    }
    const std::set<int> absent = fetch_lists(request, some);
    for (const int sector : some) {
      if (!absent.contains(sector)) {
        out.push_back(sector);
      }
    }
    if (!absent.empty()) {
      break;
    }
    tell(request, "lists of sectors 1 to " + std::to_string(first + kAtOnce - 1));
  }
  return out;
}

std::vector<SpocName> named_files(const std::string& targets) {
  std::vector<SpocName> out = spoc_names(io::read_text(targets));
  if (out.empty()) {
    throw ConfigError(targets, "names no star and no light curve",
                      "CSV with the column TICID, or names of SPOC light curves");
  }
  return out;
}

// What is known about every file of the cache, files.csv.
struct Entry {
  std::string state;   ///< fetched | failed
  std::string sha256;  ///< of the file in the cache
  std::string reason;
  std::int64_t bytes = 0;  ///< that were downloaded
};
using Record = std::map<std::string, Entry>;  // by place

Record read_record(const fs::path& folder) {
  Record out;
  if (!fs::exists(folder / kRecord)) {
    return out;
  }
  const Table table = io::read_csv(folder / kRecord, {"file", "state", "sha256", "reason"});
  const auto& file = table.get<std::string>("file");
  const auto& state = table.get<std::string>("state");
  const auto& sha256 = table.get<std::string>("sha256");
  const auto& reason = table.get<std::string>("reason");
  const std::vector<double> bytes = table.numbers("bytes");
  for (std::size_t i = 0; i < table.rows(); ++i) {
    out[file[i]] = {state[i], sha256[i], reason[i], static_cast<std::int64_t>(bytes[i])};
  }
  return out;
}

void write_record(const fs::path& folder, const Record& record) {
  Table table({"files",
               {{"file", Type::text, "", "below this folder"},
                {"state", Type::text, "", "fetched or failed"},
                {"bytes", Type::int64, "", "of the file on the server"},
                {"sha256", Type::text, "", "of the file here"},
                {"reason", Type::text, "", "why it failed"}}});
  for (const auto& [file, entry] : record) {
    const std::size_t row = table.add_row();
    table.set(row, "file", file);
    table.set(row, "state", entry.state);
    table.set(row, "bytes", entry.bytes);
    table.set(row, "sha256", entry.sha256);
    table.set(row, "reason", entry.reason);
  }
  io::write_atomically(folder / kRecord, io::csv_text(table));
}

/// Takes a downloaded file into the cache. @return why not, "" = it is there
std::string take(const fs::path& part, const fs::path& target, const SpocName& name) {
  try {
    io::check_fits_sums(part);
    const LightCurveHeader header = read_light_curve_header(part.string());
    if (header.tic != name.tic || header.sector != name.sector) {
      return "holds TIC " + std::to_string(header.tic) + ", sector " +
             std::to_string(header.sector);
    }
    io::copy_fits_columns(part, target, "LIGHTCURVE", kColumns);
  } catch (const ConfigError& error) {
    return error.what();
  }
  std::error_code ignored;
  fs::remove(part, ignored);
  return "";
}

/// One call of fetch_light_curves().
class Fetch {
 public:
  explicit Fetch(const FetchRequest& request)
      : request_(request), archive_(request.base_url), record_(read_record(request.folder)) {}

  FetchResult run(const std::vector<SpocName>& files) {
    result_.wanted = files.size();
    for (const SpocName& file : files) {
      if (is_present(file)) {
        result_.present += 1;
      } else {
        make_folder(request_.folder / sector_folder(file.sector));
        names_.push_back(file);
        downloads_.push_back(
            {archive_.file_url(file), (request_.folder / (place_of(file) + ".part")).string()});
      }
    }
    io::DownloadCalls calls;
    calls.stop = request_.stop;
    sizes_.resize(downloads_.size());
    calls.arrived = [this](std::size_t i) {
      sizes_[i] = static_cast<std::int64_t>(fs::file_size(downloads_[i].part));
      return take(downloads_[i].part, request_.folder / place_of(names_[i]), names_[i]);
    };
    calls.ended = [this](std::size_t i, const io::DownloadOutcome& outcome) { note(i, outcome); };
    try {
      io::download(downloads_, request_.rule, calls);
    } catch (...) {
      write_record(request_.folder, record_);
      throw;
    }
    write_record(request_.folder, record_);
    result_.stopped = result_.present + result_.fetched + result_.failed < result_.wanted;
    return result_;
  }

 private:
  [[nodiscard]] bool is_present(const SpocName& file) const {
    const auto known = record_.find(place_of(file));
    const fs::path path = request_.folder / place_of(file);
    return known != record_.end() && known->second.state == "fetched" && fs::exists(path) &&
           io::sha256(path) == known->second.sha256;
  }

  void note(std::size_t i, const io::DownloadOutcome& outcome) {
    const std::string place = place_of(names_[i]);
    Entry& entry = record_[place];
    entry = {};
    if (outcome.state == State::arrived) {
      result_.fetched += 1;
      entry.state = "fetched";
      entry.bytes = sizes_[i];
      entry.sha256 = io::sha256(request_.folder / place);
    } else {
      result_.failed += 1;
      entry.state = "failed";
      entry.reason = outcome.reason + " (" + std::to_string(outcome.tries) + " tries)";
      if (result_.first_failure.empty()) {
        result_.first_failure = names_[i].name + ": " + entry.reason;
      }
    }
    const auto now = std::chrono::steady_clock::now();
    if (now - told_ > std::chrono::seconds(10)) {
      told_ = now;
      write_record(request_.folder, record_);
      tell(request_, std::to_string(result_.present + result_.fetched) + " of " +
                         std::to_string(result_.wanted) + " light curves, " +
                         std::to_string(result_.failed) + " failed");
    }
  }

  const FetchRequest& request_;
  SpocArchive archive_;
  Record record_;
  std::vector<SpocName> names_;
  std::vector<io::Download> downloads_;
  std::vector<std::int64_t> sizes_;
  FetchResult result_;
  std::chrono::steady_clock::time_point told_ = std::chrono::steady_clock::now();
};

}  // namespace

std::vector<SpocName> wanted_light_curves(const FetchRequest& request) {
  const auto stars = target_stars(request.targets);
  if (!stars) {
    return named_files(request.targets);
  }
  std::vector<SpocName> out;
  for (const int sector : listed_sectors(request)) {
    const fs::path list = request.folder / "lists" / spoc_list_name(sector);
    if (!fs::exists(list)) {
      continue;  // stopped before it came
    }
    for (SpocName& name : spoc_names(io::read_text(list))) {
      if (stars->contains(name.tic)) {
        out.push_back(std::move(name));
      }
    }
  }
  return out;
}

std::string download_script(const std::vector<SpocName>& files, const std::string& base_url) {
  const SpocArchive archive(base_url);
  std::ostringstream out;
  out << "#!/bin/sh\n# Downloads " << files.size()
      << " light curves below the current folder. Run it again to go on after an interruption.\n"
         "failed=0\n"
         "get() {\n"
         "  [ -f \"$1\" ] && return\n"
         "  mkdir -p \"${1%/*}\"\n"
         "  if curl --fail --silent --show-error --location --retry 5 --continue-at - \\\n"
         "      --output \"$1.part\" \"$2\"; then\n"
         "    mv \"$1.part\" \"$1\"\n"
         "  else\n"
         "    echo \"failed: $2\" >&2\n"
         "    failed=$((failed + 1))\n"
         "  fi\n"
         "}\n";
  for (const SpocName& file : files) {
    out << "get " << place_of(file) << " '" << archive.file_url(file) << "'\n";
  }
  out << "[ \"$failed\" = 0 ] || { echo \"$failed files failed\" >&2; exit 1; }\n";
  return out.str();
}

void write_script(const fs::path& path, const std::string& script) {
  io::write_atomically(path, script);
  fs::permissions(path, fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec,
                  fs::perm_options::add);
}

FetchResult fetch_light_curves(const FetchRequest& request) {
  make_folder(request.folder);
  const std::vector<SpocName> files = wanted_light_curves(request);
  if (request.stop && request.stop()) {
    FetchResult stopped;
    stopped.stopped = true;
    return stopped;
  }
  return Fetch(request).run(files);
}

}  // namespace skyloom::surveys
