#include "skyloom/engine/unit_status.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>

#include <fmt/format.h>
#include <fnmatch.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/journal.hpp"
#include "skyloom/engine/manifest.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/engine/publish.hpp"

#include "journal_files.hpp"

namespace skyloom::engine {
namespace {

namespace fs = std::filesystem;

/// Units of a finished stage. Its journal is there only when some failed, and tells what they
/// count.
JournalUnits product_units(const Products& products, const std::string& stage) {
  const Table& table = products.table(stage, "units");
  const auto& keys = table.get<std::string>("key");
  const auto& outcomes = table.get<std::string>("outcome");
  const auto& reasons = table.get<std::string>("reason");
  const auto& texts = table.get<std::string>("message");
  const fs::path folder = products.directory() / stage;
  Plan plan = read_journal_units(folder, read_journal_info(folder).key);
  JournalUnits list;
  list.items = std::move(plan.items);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const bool failed = outcomes[i] == "failed";
    list.units.push_back(
        {keys[i], 0, true, failed, failed ? reasons[i] + ": " + texts[i] : std::string()});
  }
  for (const Unit& unit : plan.units) {
    if (unit.index < list.units.size() && unit.key == keys[unit.index]) {
      list.units[unit.index].items = unit.items;
    }
  }
  return list;
}

class Objects {
 public:
  void add(std::size_t stage, const JournalUnits& list) {
    const std::size_t earlier = lines_.size();
    for (const JournalUnit& unit : list.units) {
      const std::size_t at = object_of(unit.key, earlier);
      add(stage, unit, lines_[at]);
    }
  }
  std::vector<ObjectLine> take() { return std::move(lines_); }

 private:
  /// @param earlier objects of the stages before
  std::size_t object_of(const std::string& key, std::size_t earlier) {
    const auto same = index_.find(key);
    if (same != index_.end()) {
      return same->second;
    }
    for (std::size_t end = key.rfind('/'); end != std::string::npos && end > 0;
         end = key.rfind('/', end - 1)) {
      const auto found = index_.find(key.substr(0, end));
      if (found != index_.end() && found->second < earlier) {
        return found->second;
      }
    }
    index_.emplace(key, lines_.size());
    lines_.push_back({key, {}});
    return lines_.size() - 1;
  }

  static void add(std::size_t stage, const JournalUnit& unit, ObjectLine& line) {
    if (line.stages.empty() || line.stages.back().stage != stage) {
      line.stages.emplace_back().stage = stage;
    }
    ObjectStage& part = line.stages.back();
    ++part.units;
    part.done += unit.done ? 1 : 0;
    part.items += unit.items;
    part.items_remaining += unit.done && !unit.failed ? 0 : unit.items;
    if (unit.failed && ++part.failed == 1) {
      const bool piece = unit.key.size() > line.key.size();
      part.failure = (piece ? unit.key.substr(line.key.size() + 1) + ": " : "") + unit.failure;
    }
  }

  std::unordered_map<std::string, std::size_t> index_;
  std::vector<ObjectLine> lines_;
};

std::string stage_text(const ObjectStage& part, const std::string& name, const std::string& items) {
  std::string out = name;
  if (part.units == 1) {
    out += part.failed > 0 ? " failed" : part.done > 0 ? " done" : " open";
  } else if (part.done == part.units && part.failed == 0) {
    out += " done";
  } else {
    out += fmt::format(" {} of {} done", part.done - part.failed, part.units);
    out += part.failed > 0 ? fmt::format(", {} failed", part.failed) : "";
  }
  if (part.failed > 0) {
    out += " (" + part.failure + ")";
  }
  if (part.items_remaining > 0) {
    out += fmt::format(", {} {} remaining", part.items_remaining, items);
  }
  return out;
}

}  // namespace

bool ObjectLine::open() const {
  return std::any_of(stages.begin(), stages.end(),
                     [](const ObjectStage& part) { return part.done < part.units; });
}

bool ObjectLine::failed() const {
  return std::any_of(stages.begin(), stages.end(),
                     [](const ObjectStage& part) { return part.failed > 0; });
}

ObjectStatus read_object_status(const fs::path& run_directory) {
  const std::optional<Manifest> manifest = read_manifest(run_directory);
  if (!manifest) {
    throw ConfigError(run_directory.string(), "no run directory",
                      "expected a folder with manifest.json");
  }
  ObjectStatus status;
  status.directory = run_directory;
  status.pipeline = manifest->pipeline;
  const Products products(run_directory);
  Objects objects;
  for (const std::string& name : manifest->stage_order) {
    const StageRecord* record = manifest->find(name);
    const auto finished = [&] {
      return record != nullptr && product_hash(products, name) == record->description.hash();
    };
    bool done = finished();
    JournalUnits list;
    if (!done && record != nullptr) {
      list = list_journal(run_directory / name);
      done = finished();  // in the meantime, and its journal may have been removed
    }
    if (done) {
      list = product_units(products, name);
    } else if (list.units.empty()) {
      status.not_started.push_back(name);
    }
    objects.add(status.stages.size(), list);
    status.stages.emplace_back(name, list.items);
  }
  status.objects = objects.take();
  return status;
}

std::string object_status_text(const ObjectStatus& status, const std::string& pattern) {
  std::string out = fmt::format("{} in {}\n", status.pipeline, status.directory.string());
  std::size_t shown = 0;
  std::size_t open = 0;
  std::size_t failed = 0;
  for (const ObjectLine& line : status.objects) {
    if (::fnmatch(pattern.c_str(), line.key.c_str(), 0) != 0) {
      continue;
    }
    ++shown;
    open += line.open() ? 1 : 0;
    failed += line.failed() ? 1 : 0;
    out += line.key + ": ";
    for (std::size_t i = 0; i < line.stages.size(); ++i) {
      const auto& [name, items] = status.stages[line.stages[i].stage];
      out += (i > 0 ? "; " : "") + stage_text(line.stages[i], name, items);
    }
    out += '\n';
  }
  if (shown == 0) {
    throw ConfigError(status.directory.string(), "has no units that fit " + pattern,
                      "a pattern such as '*', for keys as 'skyloom status --units' shows them");
  }
  out += fmt::format("{} of {} shown: {} with open units, {} with failed ones\n", shown,
                     status.objects.size(), open, failed);
  if (!status.not_started.empty()) {
    out += fmt::format("not started, all of it remains: {}\n", fmt::join(status.not_started, ", "));
  }
  return out;
}

}  // namespace skyloom::engine
