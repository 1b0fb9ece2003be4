#include "skyloom/engine/manifest.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <map>
#include <string_view>
#include <thread>
#include <unordered_map>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/hash.hpp"
#include "skyloom/io/files.hpp"

namespace skyloom::engine {
namespace {

// Ordered, so that the file reads in the order in which things were declared.
using Json = nlohmann::ordered_json;

constexpr const char* kFile = "manifest.json";

void add_texts(Hash& hash, const NamedTexts& texts) {
  hash.number(texts.size());
  for (const auto& [name, text] : texts) {
    hash.text(name).text(text);
  }
}

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

std::map<std::string_view, std::string_view> by_name(const NamedTexts& texts) {
  return {texts.begin(), texts.end()};
}

Json pairs(const NamedTexts& texts) {
  Json out = Json::array();
  for (const auto& [name, text] : texts) {
    out.push_back({name, text});
  }
  return out;
}

NamedTexts pairs_of(const Json& json) {
  NamedTexts out;
  for (const Json& pair : json) {
    out.emplace_back(pair.at(0).get<std::string>(), pair.at(1).get<std::string>());
  }
  return out;
}

Json to_json(const StageRecord& record) {
  return {{"stage", record.description.stage},
          {"state", record.state},
          {"hash", record.description.hash()},
          {"code_version", record.code_version},
          {"units", record.units},
          {"failed", record.failed},
          {"recovered", record.recovered},
          {"elapsed_s", record.elapsed_s},
          {"idle_mean", record.idle_mean},
          {"idle_max", record.idle_max},
          {"idle_of_rank", record.idle_of_rank},
          {"finished", record.finished},
          {"keys", pairs(record.description.keys)},
          {"inputs", pairs(record.description.inputs)},
          {"needs", pairs(record.description.needs)}};
}

StageRecord stage_of(const Json& json) {
  StageRecord record;
  record.description.stage = json.at("stage");
  record.description.keys = pairs_of(json.at("keys"));
  record.description.inputs = pairs_of(json.at("inputs"));
  record.description.needs = pairs_of(json.at("needs"));
  record.code_version = json.at("code_version");
  record.state = json.at("state");
  record.units = json.at("units");
  record.failed = json.at("failed");
  record.recovered = json.at("recovered");
  record.elapsed_s = json.at("elapsed_s");
  record.idle_mean = json.at("idle_mean");
  record.idle_max = json.at("idle_max");
  record.idle_of_rank = json.at("idle_of_rank").get<std::vector<double>>();
  record.finished = json.at("finished");
  return record;
}

Json to_json(const Attempt& attempt) {
  return {{"command", attempt.command},
          {"started", attempt.started},
          {"ended", attempt.ended},
          {"exit_code", attempt.exit_code},
          {"ranks", attempt.ranks},
          {"host", attempt.host},
          {"code_version", attempt.code_version},
          {"accepted_new_code", attempt.accepted_new_code}};
}

Attempt attempt_of(const Json& json) {
  Attempt attempt;
  attempt.command = json.at("command");
  attempt.started = json.at("started");
  attempt.ended = json.at("ended");
  attempt.exit_code = json.at("exit_code");
  attempt.ranks = json.at("ranks");
  attempt.host = json.at("host");
  attempt.code_version = json.at("code_version");
  attempt.accepted_new_code = json.at("accepted_new_code");
  return attempt;
}

Manifest manifest_of(const Json& json, const std::string& file) {
  const int format = json.at("format");
  if (format != kRunFormat) {
    throw ConfigError(file, "run directory has format " + std::to_string(format),
                      "this skyloom reads format " + std::to_string(kRunFormat));
  }
  Manifest manifest;
  manifest.pipeline = json.at("pipeline");
  manifest.config_file = json.at("config_file");
  manifest.directory = json.at("directory");
  manifest.seed = json.at("seed");
  manifest.stage_order = json.at("stage_order").get<std::vector<std::string>>();
  for (const Json& stage : json.at("stages")) {
    manifest.stages.push_back(stage_of(stage));
  }
  for (const Json& attempt : json.at("attempts")) {
    manifest.attempts.push_back(attempt_of(attempt));
  }
  return manifest;
}

std::string utc(const char* format) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

}  // namespace

std::string StageDescription::hash() const {
  Hash hash(static_cast<std::uint64_t>(kRunFormat));
  hash.text(stage);
  add_texts(hash, keys);
  hash.number(inputs.size());
  for (const auto& [path, fingerprint] : inputs) {
    hash.text(file_name(path)).text(fingerprint);
  }
  add_texts(hash, needs);
  return hash.hex();
}

std::vector<std::size_t> recorded_inputs(const NamedTexts& recorded,
                                         const std::vector<std::string>& present) {
  std::vector<std::size_t> found(present.size(), kNotRecorded);
  std::vector<std::uint8_t> taken(recorded.size(), 0);
  const auto match = [&](const auto& label) {
    // Positions of those that are not taken yet, the first one last.
    std::unordered_map<std::string, std::vector<std::size_t>> places;
    for (std::size_t i = recorded.size(); i-- > 0;) {
      if (taken[i] == 0) {
        places[label(recorded[i].first)].push_back(i);
      }
    }
    for (std::size_t i = 0; i < present.size(); ++i) {
      const auto at = found[i] == kNotRecorded ? places.find(label(present[i])) : places.end();
      if (at != places.end() && !at->second.empty()) {
        found[i] = at->second.back();
        at->second.pop_back();
        taken[found[i]] = 1;
      }
    }
  };
  match([](const std::string& path) { return path; });
  match(file_name);
  return found;
}

namespace {

void find_changed_inputs(const NamedTexts& before, const NamedTexts& now, StageChanges& changes) {
  std::vector<std::string> paths;
  for (const auto& [path, fingerprint] : now) {
    paths.push_back(path);
  }
  const std::vector<std::size_t> recorded = recorded_inputs(before, paths);
  std::vector<std::uint8_t> found(before.size(), 0);
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (recorded[i] == kNotRecorded) {
      changes.inputs.push_back("input " + paths[i] + " is new");
      changes.files.push_back(paths[i]);
      continue;
    }
    found[recorded[i]] = 1;
    if (before[recorded[i]].second != now[i].second) {
      changes.inputs.push_back("input " + paths[i] + " changed");
      changes.files.push_back(paths[i]);
    }
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (found[i] == 0) {
      changes.inputs.push_back("input " + before[i].first + " is gone");
    }
  }
  if (changes.inputs.empty() &&
      StageDescription{{}, {}, before, {}}.hash() != StageDescription{{}, {}, now, {}}.hash()) {
    changes.inputs.emplace_back("the order of the input files changed");
  }
}

}  // namespace

std::string StageDescription::hash_of_settings() const {
  return StageDescription{stage, keys, {}, needs}.hash();
}

StageChanges changes_between(const StageDescription& before, const StageDescription& now) {
  StageChanges changes;
  const auto old_keys = by_name(before.keys);
  for (const auto& [name, value] : now.keys) {
    const auto old = old_keys.find(name);
    if (old == old_keys.end() || old->second != value) {
      changes.keys.push_back(name + " " +
                             std::string(old == old_keys.end() ? "(absent)" : old->second) +
                             " -> " + value);
    }
  }
  const auto new_keys = by_name(now.keys);
  for (const auto& [name, value] : before.keys) {
    if (!new_keys.contains(name)) {
      changes.keys.push_back(name + " " + value + " -> (absent)");
    }
  }
  find_changed_inputs(before.inputs, now.inputs, changes);
  const auto old_needs = by_name(before.needs);
  for (const auto& [stage, identity] : now.needs) {
    const auto old = old_needs.find(stage);
    if (old == old_needs.end() || old->second != identity) {
      changes.needs.push_back("the product of stage " + stage + " changed");
    }
  }
  return changes;
}

StageRecord* Manifest::find(std::string_view stage) {
  const auto it = std::find_if(stages.begin(), stages.end(), [&](const StageRecord& record) {
    return record.description.stage == stage;
  });
  return it == stages.end() ? nullptr : &*it;
}

const StageRecord* Manifest::find(std::string_view stage) const {
  return const_cast<Manifest*>(this)->find(stage);
}

StageRecord& Manifest::record(const std::string& stage) {
  if (StageRecord* found = find(stage)) {
    return *found;
  }
  stages.emplace_back().description.stage = stage;
  return stages.back();
}

void Manifest::erase(std::string_view stage) {
  std::erase_if(stages,
                [&](const StageRecord& record) { return record.description.stage == stage; });
}

std::optional<Manifest> read_manifest(const std::filesystem::path& run_directory) {
  const std::filesystem::path path = run_directory / kFile;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return std::nullopt;
  }
  const std::string text = io::read_text(path);
  try {
    return manifest_of(Json::parse(text), path.string());
  } catch (const nlohmann::json::exception& error) {
    throw ConfigError(path.string(), "cannot be understood", error.what());
  }
}

void write_manifest(const std::filesystem::path& run_directory, const Manifest& manifest) {
  Json json = {{"format", kRunFormat},
               {"pipeline", manifest.pipeline},
               {"config_file", manifest.config_file},
               {"directory", manifest.directory},
               {"seed", manifest.seed},
               {"stage_order", manifest.stage_order},
               {"stages", Json::array()},
               {"attempts", Json::array()}};
  for (const StageRecord& record : manifest.stages) {
    json["stages"].push_back(to_json(record));
  }
  for (const Attempt& attempt : manifest.attempts) {
    json["attempts"].push_back(to_json(attempt));
  }
  // File names need not be UTF-8; a replaced byte in a message beats a run that cannot be saved.
  const std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace);
  io::write_atomically(run_directory / kFile, text + "\n");
}

std::string config_file_of(const Manifest& manifest, const std::filesystem::path& run_directory) {
  namespace fs = std::filesystem;
  const fs::path there = (fs::absolute(run_directory) /
                          fs::path(manifest.config_file).lexically_relative(manifest.directory))
                             .lexically_normal();
  std::error_code ignored;
  return fs::is_regular_file(there, ignored) ? there.string() : manifest.config_file;
}

std::string utc_now() {
  return utc("%Y-%m-%dT%H:%M:%SZ");
}

std::string utc_stamp() {
  return utc("%Y%m%d_%H%M%S");
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

RunLock::RunLock(const std::filesystem::path& run_directory) {
  const std::string file = (run_directory / "run.lock").string();
  descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) {
    throw FatalError(file + ": cannot be opened: " + std::strerror(errno));
  }
  // A file system without locks (some network mounts) must not forbid running at all.
  // `skyloom status` holds it for a moment, to see whether a run does.
  constexpr int kTries = 20;
  bool is_held = false;
  for (int i = 0; i < kTries && (i == 0 || is_held); ++i) {
    if (i > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    is_held = ::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  }
  if (is_held) {
    ::close(descriptor_);
    descriptor_ = -1;
    throw ConfigError(run_directory.string(), "another run is using this run directory",
                      "wait for it to end, or choose another directory with --out");
  }
}

RunLock::~RunLock() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

bool RunLock::held(const std::filesystem::path& run_directory) {
  const int descriptor = ::open((run_directory / "run.lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return false;
  }
  const bool held = ::flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(descriptor);
  return held;
}

}  // namespace skyloom::engine
