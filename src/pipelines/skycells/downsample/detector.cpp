#include "pipelines/skycells/downsample/detector.hpp"

#include <cmath>
#include <cstdlib>
#include <set>
#include <variant>

#include <fmt/format.h>

#include "skyloom/core/config.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/sky/wcs.hpp"

namespace skyloom::skycells {
namespace {

namespace fs = std::filesystem;

/// HDU of the maps.
constexpr int kMapHdu = 1;

fs::path registration_folder(const Config& config) {
  const Config::Downsample& down = config.downsample;
  if (!down.registration_root.empty()) {
    return down.registration_root;
  }
  const fs::path root = fs::path(config.inputs.data_root) / "skycell_pixel_mapping";
  const fs::path fine =
      root / fmt::format("oversampling_{}", down.oversample) / config.detector_folder();
  return down.oversample > 1 && fs::is_directory(fine) ? fine : root / config.detector_folder();
}

/// Names that a map may have, the usual one first.
std::vector<fs::path> candidates(const Config& config, const std::string& what) {
  const Config::Inputs& in = config.inputs;
  const int oversample = config.downsample.oversample;
  const std::string fine = oversample > 1 ? fmt::format("_os{}", oversample) : std::string();
  std::vector<fs::path> out;
  for (const std::string& ending :
       fine.empty() ? std::vector<std::string>{""} : std::vector<std::string>{fine, ""}) {
    for (const char* type : {".fits.gz", ".fits", ".fits.fz"}) {
      out.push_back(registration_folder(config) / fmt::format("tess_s{:04}_{}_{}_{}{}{}", in.sector,
                                                              in.camera, in.ccd, what, ending,
                                                              type));
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

/// The file of offsets.
class JobFile {
 public:
  explicit JobFile(const std::string& file)
      : file_(file), content_(io::parse_json(io::read_text(file), file)) {
    if (!std::holds_alternative<ConfigValue::TableMap>(content_.value)) {
      throw ConfigError(file_, "is no object", R"(expected {"groups": [...], ...})");
    }
  }

  [[nodiscard]] std::optional<int> integer(const char* key) const {
    const ConfigValue* value = find(content_, key);
    if (value == nullptr) {
      return std::nullopt;
    }
    const auto* number = std::get_if<std::int64_t>(&value->value);
    constexpr std::int64_t kMost = 1000000;
    if (number == nullptr || std::abs(*number) > kMost) {
      throw ConfigError(file_, std::string(key) + " is no such number", "expected an integer");
    }
    return static_cast<int>(*number);
  }

  void require(const char* key, int expected) const {
    const auto value = integer(key);
    if (value && *value != expected) {
      throw ConfigError(file_, fmt::format("{} is {}", key, *value),
                        fmt::format("expected {} as in [inputs]", expected));
    }
  }

  [[nodiscard]] std::vector<DetectorOffset> offsets() const {
    const ConfigValue* groups = find(content_, "groups");
    const auto* array =
        groups == nullptr ? nullptr : std::get_if<ConfigValue::Array>(&groups->value);
    if (array == nullptr || array->empty()) {
      throw ConfigError(file_, "has no groups",
                        R"(expected "groups": [{"group_dx": 0.0, "group_dy": 0.0}, ...])");
    }
    std::vector<DetectorOffset> out;
    std::set<std::string> names;
    for (std::size_t i = 0; i < array->size(); ++i) {
      const DetectorOffset offset{number((*array)[i], "group_dx", i),
                                  number((*array)[i], "group_dy", i)};
      if (!names.insert(fmt::format("{:.3f} {:.3f}", offset.dx, offset.dy)).second) {
        throw ConfigError(file_, fmt::format("groups[{}] is there twice", i),
                          "expected offsets that differ in their first three decimals");
      }
      out.push_back(offset);
    }
    return out;
  }

 private:
  static const ConfigValue* find(const ConfigValue& value, const std::string& key) {
    const auto* table = std::get_if<ConfigValue::TableMap>(&value.value);
    if (table == nullptr) {
      return nullptr;
    }
    const auto found = table->find(key);
    return found == table->end() ? nullptr : &found->second;
  }

  [[nodiscard]] double number(const ConfigValue& group, const char* key, std::size_t i) const {
    const ConfigValue* value = find(group, key);
    const auto* real = value == nullptr ? nullptr : std::get_if<double>(&value->value);
    const auto* integer = value == nullptr ? nullptr : std::get_if<std::int64_t>(&value->value);
    constexpr double kMost = 1000.0;
    const double out = real != nullptr      ? *real
                       : integer != nullptr ? static_cast<double>(*integer)
                                            : 2.0 * kMost;
    if (!(std::abs(out) <= kMost)) {
      throw ConfigError(file_, fmt::format("groups[{}].{} is missing or no such number", i, key),
                        "expected detector pixels, at most 1000");
    }
    return out;
  }

  std::string file_;
  ConfigValue content_;
};

Box window_of(const JobFile& job, const std::string& file, const Detector& detector) {
  const Box whole{0, detector.width, 0, detector.height};
  const Box window{job.integer("x_min").value_or(whole.x0), job.integer("x_max").value_or(whole.x1),
                   job.integer("y_min").value_or(whole.y0),
                   job.integer("y_max").value_or(whole.y1)};
  if (window.empty() || window.intersect(whole) != window) {
    throw ConfigError(
        file,
        fmt::format("its region x {} to {}, y {} to {} is empty or leaves the detector", window.x0,
                    window.x1, window.y0, window.y1),
        fmt::format("expected pixels of 0 to {} and 0 to {}", whole.x1, whole.y1));
  }
  return window;
}

}  // namespace

Detector read_detector(const Config& config) {
  const std::string& file = config.downsample.jobs;
  const JobFile job(file);
  job.require("sector", config.inputs.sector);
  job.require("camera", config.inputs.camera);
  job.require("ccd", config.inputs.ccd);
  const fs::path master = master_map_file(config);
  const io::FitsRows map(master, kMapHdu);
  Detector out;
  out.oversample = config.downsample.oversample;
  if (map.width() % out.oversample != 0 || map.height() % out.oversample != 0) {
    throw ConfigError(
        master.string(), fmt::format("has {} x {} pixels", map.width(), map.height()),
        fmt::format("expected multiples of downsample.oversample, {}", out.oversample));
  }
  out.width = map.width() / out.oversample;
  out.height = map.height() / out.oversample;
  out.offsets = job.offsets();
  out.window = window_of(job, file, out);
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
  io::FitsRows map(master_map_file(config), kMapHdu);
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
