#include "pipelines/skycells/downsample/detector.hpp"

#include <set>
#include <tuple>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/sky/wcs.hpp"

namespace skyloom::skycells {
namespace {

namespace fs = std::filesystem;

/// Names that a map may have, the usual one first.
std::vector<fs::path> candidates(const Config& config, const std::string& what) {
  auto places = config.mapping_places();
  if (const std::string& root = config.downsample.registration_root; !root.empty()) {
    places = {{root, places.front().second}, {root, ""}};
  }
  std::vector<fs::path> out;
  for (const auto& [folder, suffix] : places) {
    for (const char* type : {".fits.gz", ".fits", ".fits.fz"}) {
      out.push_back(folder / (config.mapping_stem() + what + suffix + type));
    }
  }
  return out;
}

std::optional<fs::path> first_file(const std::vector<fs::path>& paths) {
  for (const fs::path& path : paths) {
    if (fs::is_regular_file(path)) {
      return path;
    }
  }
  return std::nullopt;
}

}  // namespace

Detector read_detector(const Config& config) {
  const surveys::OffsetList list = surveys::read_offset_list(config.downsample.jobs);
  for (const auto& [key, said, expected] : {std::tuple{"sector", list.sector, config.inputs.sector},
                                            std::tuple{"camera", list.camera, config.inputs.camera},
                                            std::tuple{"ccd", list.ccd, config.inputs.ccd}}) {
    if (said.value_or(expected) != expected) {
      throw ConfigError(list.file, fmt::format("{} is {}", key, *said),
                        fmt::format("expected {} as in [inputs]", expected));
    }
  }
  const fs::path master = master_map_file(config);
  const surveys::RegistrationMap map(master);
  Detector out;
  out.oversample = config.downsample.oversample;
  if (map.width() % out.oversample != 0 || map.height() % out.oversample != 0) {
    throw ConfigError(
        master.string(), fmt::format("has {} x {} pixels", map.width(), map.height()),
        fmt::format("expected multiples of downsample.oversample, {}", out.oversample));
  }
  out.width = map.width() / out.oversample;
  out.height = map.height() / out.oversample;
  out.offsets = list.offsets;
  out.window = list.region({0, out.width, 0, out.height});
  out.cards = map.cards();
  (void)sky::Wcs(out.cards, master.string());  // complains where there is none
  return out;
}

std::optional<fs::path> cell_map_file(const Config& config, const surveys::SkycellId& id) {
  return first_file(candidates(config, id.name()));
}

fs::path expected_cell_map(const Config& config, const surveys::SkycellId& id) {
  return candidates(config, id.name()).front();
}

fs::path master_map_file(const Config& config) {
  const std::vector<fs::path> places = candidates(config, "master_pixels2skycells");
  const auto file = first_file(places);
  if (!file) {
    throw ConfigError(places.front().string(), "does not exist",
                      "expected the master map (downsample.registration_root)");
  }
  return *file;
}

std::vector<int> cells_in_window(const Config& config, const Detector& detector) {
  surveys::RegistrationMap map(master_map_file(config));
  const Box window = detector.fine_window();
  std::vector<std::int32_t> row(static_cast<std::size_t>(map.width()));
  std::set<int> lines;
  for (int y = 0; y < window.y1; ++y) {
    map.next(row);
    for (int x = window.x0; y >= window.y0 && x < window.x1; ++x) {
      const std::int32_t line = row[static_cast<std::size_t>(x)];
      if (line >= 0 && (x == window.x0 || line != row[static_cast<std::size_t>(x) - 1])) {
        lines.insert(line);
      }
    }
  }
  return {lines.begin(), lines.end()};
}

}  // namespace skyloom::skycells
