#include "restart.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>
#include <string_view>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/publish.hpp"
#include "skyloom/io/files.hpp"

#include "mended_inputs.hpp"

namespace skyloom::engine {
namespace {

bool contains(const std::vector<std::string>& texts, std::string_view text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

std::string joined(const std::vector<std::string>& texts, const char* separator) {
  std::string out;
  for (const std::string& text : texts) {
    out += (out.empty() ? "" : separator) + text;
  }
  return out;
}

/// The stage and everything it builds upon.
std::vector<std::string> needed_by(const Stages& stages, const std::string& name) {
  std::vector<std::string> out{name};
  for (auto stage = stages.rbegin(); stage != stages.rend(); ++stage) {
    if (contains(out, (*stage)->name())) {
      for (const std::string& need : (*stage)->needs()) {
        if (!contains(out, need)) {
          out.push_back(need);
        }
      }
    }
  }
  return out;
}

/// Collects what is wrong over all stages, so that one message names everything.
struct Findings {
  std::vector<std::string> changes;   // keys and inputs
  std::vector<std::string> stages;    // concerned by these
  bool mendable = true;               // the changes: with --retry-failed they would be accepted
  std::vector<std::string> outdated;  // stages whose earlier products changed
  std::vector<std::string> old_code;  // "stage (version)"
  std::vector<std::string> missing;   // earlier stages that this command needs and does not run
};

void add_once(std::vector<std::string>& texts, const std::string& text) {
  if (!contains(texts, text)) {
    texts.push_back(text);
  }
}

/// @param plan of the stage, where it was made
bool is_mended(StageBase& stage, const std::optional<Plan>& plan, const StageRecord& record,
               const StageDescription& now, const Products& products) {
  const std::filesystem::path folder = products.directory() / now.stage;
  try {
    return mended_inputs(stage, plan ? *plan : stage.plan(products), record.description, now,
                         folder)
        .accepted;
  } catch (const ConfigError&) {
    return false;  // what is wrong with the inputs shows when the stage is planned
  }
}

void refuse(const Findings& findings, const Pipeline& pipeline, const RunOptions& options) {
  const std::string where = options.run_directory.string();
  if (!findings.changes.empty()) {
    throw ConfigError(
        where,
        "made with other settings: " + joined(findings.changes, "; ") + " (stage" +
            (findings.stages.size() > 1 ? "s " : " ") + joined(findings.stages, ", ") + ")",
        std::string("undo the change, ") +
            (findings.mendable ? "use --retry-failed to compute what reads these files again, "
                               : "") +
            "use --fresh to start again, or choose a new run directory with --out");
  }
  if (!findings.missing.empty()) {
    throw ConfigError(where, "stage " + findings.missing.front() + " is not finished",
                      "run '" + findings.missing.front() + "' first");
  }
  if (!findings.outdated.empty()) {
    throw ConfigError(where, "stages before " + joined(findings.outdated, ", ") + " were redone",
                      "run 'skyloom " + std::string(pipeline.name()) + " " +
                          findings.outdated.front() + " " + options.config_file.string() +
                          "', or use --fresh");
  }
  if (!findings.old_code.empty()) {
    throw ConfigError(where,
                      "computed by another version of skyloom: " + joined(findings.old_code, ", "),
                      std::string("this is ") + SKYLOOM_VERSION +
                          "; use --accept-new-code, --fresh, or a new run directory");
  }
}

}  // namespace

namespace {

// Before a fingerprint of size and ends alone.
constexpr std::string_view kQuick = "ends-";

/// An input file with the fingerprint that the manifest has of it, "" when it has none.
struct InputFile {
  std::string path;
  std::string recorded;
};

std::uintmax_t bytes_of(const std::vector<InputFile>& files) {
  std::uintmax_t bytes = 0;
  for (const InputFile& file : files) {
    std::error_code unknown;
    const std::uintmax_t size = std::filesystem::file_size(file.path, unknown);
    bytes += unknown ? 0 : size;
  }
  return bytes;
}

/// The folders that a file moved between, from its old and its new path.
struct Move {
  std::string from;
  std::string to;

  [[nodiscard]] std::string applied(const std::string& path) const {
    return path.starts_with(from) ? to + path.substr(from.size()) : path;
  }
};

Move move_between(const std::string& old_path, const std::string& new_path) {
  const auto ends =
      std::mismatch(old_path.rbegin(), old_path.rend(), new_path.rbegin(), new_path.rend());
  // Whole names only.
  const auto common = std::find(ends.first.base(), old_path.end(), '/');
  const auto length = static_cast<std::size_t>(old_path.end() - common);
  return {old_path.substr(0, old_path.size() - length),
          new_path.substr(0, new_path.size() - length)};
}

// What a finished stage read may be gone: its product stands for it. Files that its inputs no
// longer lead to count as recorded, in their place, when they are not there any more.
std::vector<InputFile> finished_inputs(StageBase& stage, const NamedTexts& recorded) {
  std::vector<std::string> now;
  try {
    now = stage.inputs();
  } catch (const ConfigError&) {
    for (const auto& input : recorded) {
      now.push_back(input.first);
    }
  }
  const std::vector<std::size_t> match = recorded_inputs(recorded, now);
  const std::set<std::size_t> found(match.begin(), match.end());
  Move move;
  for (std::size_t i = 0; i < now.size() && move.from == move.to; ++i) {
    if (match[i] != kNotRecorded) {
      move = move_between(recorded[match[i]].first, now[i]);
    }
  }
  std::vector<InputFile> out;
  std::size_t next = 0;
  const auto add_gone_before = [&](std::size_t end) {
    for (; next < end; ++next) {
      const auto& [path, fingerprint] = recorded[next];
      if (!found.contains(next) && !std::filesystem::exists(path) &&
          !std::filesystem::exists(move.applied(path))) {
        out.push_back({path, fingerprint});
      }
    }
  };
  for (std::size_t i = 0; i < now.size(); ++i) {
    const bool is_known = match[i] != kNotRecorded;
    add_gone_before(is_known ? match[i] : 0);
    out.push_back({now[i], is_known ? recorded[match[i]].second : std::string()});
  }
  add_gone_before(recorded.size());
  return out;
}

}  // namespace

std::string Describer::fingerprint(const std::string& file, bool many) {
  const auto [at, is_new] = fingerprints_.try_emplace({file, many});
  if (is_new) {
    at->second = many ? std::string(kQuick) + io::quick_fingerprint(file) : io::fingerprint(file);
  }
  return at->second;
}

StageDescription Describer::describe(StageBase& stage, const std::vector<std::string>& finished,
                                     const StageRecord* record) {
  StageDescription description;
  description.stage = stage.name();
  const bool done =
      record != nullptr && product_hash(products_, description.stage) == record->description.hash();
  description.keys = spec_.values_of(stage.name());
  std::vector<InputFile> files;
  if (done) {
    files = finished_inputs(stage, record->description.inputs);
  } else {
    for (std::string& file : stage.inputs()) {
      files.push_back({std::move(file), {}});
    }
  }
  const bool many = record != nullptr && !record->description.inputs.empty()
                        ? record->description.inputs.front().second.starts_with(kQuick)
                        : files.size() > kManyInputs || bytes_of(files) > kManyBytes;
  for (const InputFile& file : files) {
    const bool is_gone = !file.recorded.empty() && !std::filesystem::exists(file.path);
    description.inputs.emplace_back(file.path,
                                    is_gone ? file.recorded : fingerprint(file.path, many));
  }
  for (const std::string& need : stage.needs()) {
    if (contains(finished, need)) {
      description.needs.emplace_back(need, product_identity(products_, need));
    }
  }
  return description;
}

namespace {

/// A stage and those it needs that only prepare for it.
std::vector<std::string> with_preparation(const Stages& stages, const std::string& name) {
  std::vector<std::string> out{name};
  for (auto stage = stages.rbegin(); stage != stages.rend(); ++stage) {
    const std::vector<std::string> needs = (*stage)->needs();
    for (const auto& other : stages) {
      const std::string need(other->name());
      if (contains(out, (*stage)->name()) && contains(needs, need) && other->prepares() &&
          !contains(out, need)) {
        out.push_back(need);
      }
    }
  }
  return out;
}

}  // namespace

std::vector<std::size_t> selected_stages(const Stages& stages, const RunOptions& options,
                                         const Products& products) {
  const std::vector<std::string> asked = with_preparation(stages, options.stage);
  std::vector<std::size_t> out;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    names.emplace_back(stages[i]->name());
    if (options.stage.empty() || contains(asked, stages[i]->name())) {
      out.push_back(i);
    }
  }
  if (out.empty()) {
    throw ConfigError(options.stage, "no such stage", "one of " + joined(names, ", "));
  }
  // The first stage looks at the input only; a stage command does it on the way.
  if (out.front() != 0 && !products.has(names.front()) &&
      contains(needed_by(stages, options.stage), names.front())) {
    out.insert(out.begin(), 0);
  }
  return out;
}

void check_restart(const Pipeline& pipeline, const Stages& stages,
                   const std::vector<std::size_t>& selected, const RunOptions& options,
                   const Manifest& manifest, const Products& products, Describer& describer,
                   const std::optional<Plan>& first_plan) {
  if (manifest.pipeline != pipeline.name()) {
    throw ConfigError(options.run_directory.string(),
                      "run directory of the pipeline " + manifest.pipeline,
                      "choose another directory with --out");
  }
  const std::vector<std::string> concerned =
      options.stage.empty() ? std::vector<std::string>{} : needed_by(stages, options.stage);
  Findings findings;
  std::vector<std::string> finished;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const std::string name(stages[i]->name());
    if (!concerned.empty() && !contains(concerned, name)) {
      continue;
    }
    const bool runs = std::find(selected.begin(), selected.end(), i) != selected.end();
    const StageRecord* record = manifest.find(name);
    if (record == nullptr) {
      if (!runs) {
        findings.missing.push_back(name);
      }
      continue;
    }
    const StageDescription now = describer.describe(*stages[i], finished, record);
    const StageChanges changes = changes_between(record->description, now);
    const bool asked = !options.stage.empty() && runs && i != 0;
    const bool redo = (name == options.stage || asked) && !changes.none();
    if (redo) {
      continue;
    }
    const std::vector<std::string> needs = stages[i]->needs();
    const bool is_mendable =
        changes.keys.empty() && !changes.inputs.empty() &&
        std::all_of(needs.begin(), needs.end(),
                    [&](const std::string& need) { return contains(finished, need); }) &&
        is_mended(*stages[i], i == 0 ? first_plan : std::nullopt, *record, now, products);
    const bool is_changed = !changes.keys.empty() || !changes.inputs.empty();
    findings.mendable = findings.mendable && (is_mendable || !is_changed);
    for (const auto& list : {changes.keys, changes.inputs}) {
      if (is_mendable && options.retry_failed) {
        break;
      }
      for (const std::string& change : list) {
        add_once(findings.changes, change);
        add_once(findings.stages, name);
      }
    }
    if (!changes.needs.empty() && !options.retry_failed) {
      findings.outdated.push_back(name);
    }
    if (record->code_version != SKYLOOM_VERSION && !options.accept_new_code) {
      findings.old_code.push_back(name + " (" + record->code_version + ")");
    }
    const bool done = product_hash(products, name) == now.hash();
    if (done) {
      finished.push_back(name);
    } else if (!runs) {
      findings.missing.push_back(name);
    }
  }
  refuse(findings, pipeline, options);
}

}  // namespace skyloom::engine
