#include "skyloom/surveys/light_curve_list.hpp"

#include <algorithm>
#include <filesystem>
#include <set>
#include <tuple>

#include <glob.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/surveys/light_curve.hpp"

namespace skyloom::surveys {
namespace {

namespace fs = std::filesystem;

bool ends_with_any(const std::string& name, std::initializer_list<const char*> ends) {
  return std::any_of(ends.begin(), ends.end(),
                     [&](const char* end) { return name.ends_with(end); });
}

/// 20-second light curves; the networks know only two minutes.
bool is_fast(const std::string& name) {
  return ends_with_any(name, {"fast-lc.fits", "fast-lc.fits.gz"});
}

bool is_list(const std::string& name) {
  return ends_with_any(name, {".txt", ".lst", ".list"});
}

std::vector<std::string> matches(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> out;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    out.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  ::globfree(&found);
  return out;
}

/// The lines of a list without comments, relative to its folder.
std::vector<std::string> listed(const std::string& list) {
  std::vector<std::string> out;
  const std::string text = io::read_text(list);
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = trimmed(text.substr(begin, end - begin));
    if (!line.empty() && line.front() != '#') {
      out.push_back((fs::path(list).parent_path() / line).lexically_normal().string());
    }
    begin = end + 1;
  }
  return out;
}

/// Others of a folder may be anything: tables of targets, notes, arrays of another kind.
bool belongs_in_folder(const std::string& name) {
  return ends_with_any(name, {"_lc.fits", "_lc.fits.gz"}) ||
         (ends_with_any(name, {".csv", ".npy"}) && sector_of_name(name));
}

void add_folder(const std::string& folder, std::vector<std::string>& out) {
  constexpr auto kFollow = fs::directory_options::follow_directory_symlink;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder, kFollow)) {
    const std::string name = entry.path().filename().string();
    if (belongs_in_folder(name) && entry.is_regular_file()) {
      out.push_back(entry.path().string());
    }
  }
}

void add_path(const std::string& path, std::vector<std::string>& out) {
  if (fs::is_directory(path)) {
    add_folder(path, out);
    return;
  }
  if (!fs::exists(path)) {
    const std::vector<std::string> found =
        path.find_first_of("*?[") == std::string::npos ? std::vector<std::string>{} : matches(path);
    if (found.empty()) {
      throw ConfigError(path, "is not there (inputs.light_curves)",
                        "a file, a folder, or a pattern that fits one");
    }
    for (const std::string& one : found) {
      if (fs::is_directory(one)) {
        add_folder(one, out);
      } else if (!is_fast(one)) {
        out.push_back(one);
      }
    }
    return;
  }
  if (is_fast(path)) {
    throw ConfigError(path, "has cadences of 20 s", "120 s, which the networks were trained on");
  }
  if (is_list(path)) {
    for (const std::string& line : listed(path)) {
      add_path(line, out);
    }
  } else {
    out.push_back(path);
  }
}

std::vector<std::string> all_paths(const LightCurveSelection& selection, bool with_targets) {
  std::vector<std::string> paths;
  for (const std::string& path : selection.light_curves) {
    add_path(path, paths);
  }
  if (!selection.cache_dir.empty() && fs::is_directory(selection.cache_dir)) {
    add_folder(selection.cache_dir, paths);
  }
  if (with_targets) {
    for (const std::string& path : listed(selection.targets)) {
      add_path(path, paths);
    }
  }
  for (std::string& path : paths) {
    path = fs::path(path).lexically_normal().string();
  }
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  return paths;
}

SectorFile identified(const std::string& path) {
  if (const auto name = sector_of_name(path)) {
    return {name->tic, name->sector, path};
  }
  try {
    const LightCurveHeader header = read_light_curve_header(path);
    return {header.tic, header.sector, path};
  } catch (const ConfigError&) {
    return {0, 0, path};  // its unit will fail with what is wrong
  }
}

void require_different(const std::vector<SectorFile>& files) {
  for (std::size_t i = 1; i < files.size(); ++i) {
    if (files[i].key() == files[i - 1].key()) {
      throw ConfigError(files[i].path, "is of the same star and sector as " + files[i - 1].path,
                        "one light curve per sector");
    }
  }
}

}  // namespace

std::optional<std::set<std::int64_t>> target_stars(const std::string& targets) {
  const std::string text = io::read_text(targets);
  if (upper(text.substr(0, text.find('\n'))).find("TICID") == std::string::npos) {
    return std::nullopt;
  }
  const Table table = io::parse_csv(text, targets);
  const std::size_t at = table.find_ignoring_case("TICID");
  const auto* numbers =
      at == Table::npos ? nullptr : std::get_if<std::vector<std::int64_t>>(&table.data(at));
  if (numbers == nullptr || numbers->empty()) {
    throw ConfigError(targets, "column TICID does not hold integers", "one star per line");
  }
  return std::set<std::int64_t>{numbers->begin(), numbers->end()};
}

std::string SectorFile::key() const {
  return tic > 0 ? std::to_string(tic) + "/" + std::to_string(sector)
                 : "file/" + fs::path(path).filename().string();
}

FoundSectors find_sectors(const LightCurveSelection& selection) {
  const auto wanted = selection.targets.empty() ? std::nullopt : target_stars(selection.targets);
  const bool lists = !selection.targets.empty() && !wanted;
  FoundSectors out;
  for (const std::string& path : all_paths(selection, lists)) {
    out.files.push_back(identified(path));
  }
  if (wanted) {
    std::set<std::int64_t> stars = *wanted;
    out.targets = stars.size();
    // One that tells no star stays: its unit says what is wrong with it.
    std::erase_if(out.files, [&](const SectorFile& file) {
      return file.tic != 0 && !stars.contains(file.tic);
    });
    for (const SectorFile& file : out.files) {
      stars.erase(file.tic);
    }
    out.without = stars.size();
  }
  if (out.files.empty()) {
    throw ConfigError(
        "inputs.light_curves",
        wanted ? "hold no light curve of a star that inputs.targets names" : "hold no light curve",
        "files that end in _lc.fits, CSV, or NumPy arrays");
  }
  std::sort(out.files.begin(), out.files.end(), [](const SectorFile& a, const SectorFile& b) {
    return std::tie(a.tic, a.sector, a.path) < std::tie(b.tic, b.sector, b.path);
  });
  require_different(out.files);
  return out;
}

}  // namespace skyloom::surveys
