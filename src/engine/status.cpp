#include "skyloom/engine/status.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/job.hpp"
#include "skyloom/engine/journal.hpp"
#include "skyloom/engine/manifest.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/engine/progress.hpp"
#include "skyloom/engine/publish.hpp"

namespace skyloom::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFailuresShown = 10;
/// Older than this, progress.json no longer tells the present rate.
constexpr double kFresh_s = 60.0;

/// Beyond this a journal is not read while a run tells how far it is.
constexpr std::uint64_t kReadableBytes = std::uint64_t{64} << 20;

double age_s(const ProgressState& progress) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count() - progress.time_s;
}

StageStatus finished_stage(const StageRecord& record, const UnitCounts& counts) {
  StageStatus status;
  status.name = record.description.stage;
  status.state = "done";
  status.units = counts.units;
  status.done = counts.units;
  status.failed = counts.failed;
  // A process that died between the product and the manifest has left no timings.
  if (record.state == "done") {
    status.elapsed_s = record.elapsed_s;
    status.idle_mean = record.idle_mean;
    status.idle_max = record.idle_max;
  }
  return status;
}

/// An earlier stage was done again since.
bool is_outdated(const StageRecord& record, const Products& products) {
  const auto& needs = record.description.needs;
  return std::any_of(needs.begin(), needs.end(), [&](const auto& need) {
    return product_identity(products, need.first) != need.second;
  });
}

/// Whether a process is at work. Locks of another machine may not be seen from here.
bool is_running(const fs::path& directory, const Manifest& manifest,
                const std::optional<ProgressState>& progress) {
  if (RunLock::held(directory)) {
    return true;
  }
  const bool open = !manifest.attempts.empty() && manifest.attempts.back().exit_code < 0;
  return open && manifest.attempts.back().host != host_name() && progress &&
         age_s(*progress) < kFresh_s;
}

JournalCount count_of(const fs::path& folder, const ProgressState* telling) {
  std::uint64_t bytes = 0;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    bytes += entry.file_size(ignored);
  }
  if (telling == nullptr || bytes <= kReadableBytes) {
    return count_journal(folder);
  }
  JournalCount count;
  count.units = telling->total;
  count.done = telling->done;
  count.failed = telling->failed;
  return count;
}

void add_unfinished(const fs::path& directory, const std::string& name, const StageRecord* record,
                    const std::optional<ProgressState>& progress, RunStatus& status) {
  StageStatus& stage = status.stages.emplace_back();
  stage.name = name;
  stage.state = record == nullptr ? "not started" : "partial";
  if (record == nullptr) {
    return;
  }
  const bool running = status.state == "running";
  const bool known = progress && progress->stage == name;
  const bool telling = known && running && age_s(*progress) < kFresh_s;
  const JournalCount journal = count_of(directory / name, telling ? &*progress : nullptr);
  stage.units = journal.units;
  stage.done = journal.done;
  stage.failed = journal.failed;
  for (const std::string& failure : journal.failures) {
    status.failures.push_back(name + "/" + failure);
  }
  if (!running) {
    for (const std::string& suspect : journal.suspects) {
      status.suspects.push_back(name + "/" + suspect);
    }
  }
  if (known) {
    stage.idle_mean = progress->idle;
    status.rate_per_s = progress->rate_per_s;
    const std::size_t left = journal.units - std::min(journal.units, journal.done);
    status.eta_s =
        progress->rate_per_s > 0 ? static_cast<double>(left) / progress->rate_per_s : -1.0;
  }
}

/// The first `from` as `to`; both are parts of a command line.
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

/// The command of the last attempt; the run directory may have moved since.
std::string command_again(const Attempt& attempt, const Manifest& manifest,
                          const fs::path& run_directory) {
  const std::string here = fs::absolute(run_directory).lexically_normal().string();
  const std::string command = replaced(attempt.command, shell_word(manifest.config_file),
                                       shell_word(config_file_of(manifest, run_directory)));
  return replaced(command, "--out " + shell_word(manifest.directory), "--out " + shell_word(here));
}

std::string next_step(const RunStatus& status, const Manifest& manifest) {
  if (status.state == "running") {
    return "nothing to do: it is running";
  }
  if (status.state == "complete") {
    return status.failed > 0 ? "--retry-failed runs the failed units again; see " +
                                   (status.directory / "report.html").string()
                             : "see " + (status.directory / "report.html").string();
  }
  if (manifest.attempts.empty()) {
    return fmt::format("skyloom {} run {}", manifest.pipeline,
                       config_file_of(manifest, status.directory));
  }
  const Attempt& last = manifest.attempts.back();
  const std::string command = command_again(last, manifest, status.directory);
  return last.ranks > 1 ? fmt::format("mpirun -n {} {}", last.ranks, command) : command;
}

}  // namespace

RunStatus read_status(const fs::path& run_directory) {
  const std::optional<Manifest> manifest = read_manifest(run_directory);
  if (!manifest) {
    throw ConfigError(run_directory.string(), "no run directory",
                      "expected a folder with manifest.json");
  }
  RunStatus status;
  status.directory = run_directory;
  status.pipeline = manifest->pipeline;
  const std::optional<ProgressState> progress = read_progress(run_directory);
  const bool running = is_running(run_directory, *manifest, progress);
  status.state = running ? "running" : "stopped";
  const Products products(run_directory);
  bool complete = fs::exists(run_directory / (manifest->pipeline + ".h5"));
  for (const std::string& name : manifest->stage_order) {
    const StageRecord* record = manifest->find(name);
    if (record != nullptr && product_hash(products, name) == record->description.hash()) {
      const UnitCounts counts = unit_counts(products, name);
      status.stages.push_back(finished_stage(*record, counts));
      if (is_outdated(*record, products)) {
        status.stages.back().state = "outdated";
        complete = false;
      }
      status.failures.insert(status.failures.end(), counts.failures.begin(), counts.failures.end());
    } else {
      complete = false;
      add_unfinished(run_directory, name, record, progress, status);
    }
    status.failed += status.stages.back().failed;
  }
  status.failures.resize(std::min(status.failures.size(), kFailuresShown));
  if (!manifest->attempts.empty()) {
    status.last_exit = manifest->attempts.back().exit_code;
  }
  status.state = running ? "running" : complete ? "complete" : "stopped";
  status.next = next_step(status, *manifest);
  return status;
}

std::string status_text(const RunStatus& status) {
  std::string out =
      fmt::format("{} in {}: {}\n", status.pipeline, status.directory.string(), status.state);
  for (const StageStatus& stage : status.stages) {
    out += fmt::format("  {:<12} {:<12}", stage.name, stage.state);
    if (stage.state == "done" || stage.state == "outdated") {
      out += fmt::format(" {} units, {} failed", stage.units, stage.failed);
    } else if (stage.units > 0) {
      out += fmt::format(" {:.1f}%, {} of {} units, {} failed",
                         100.0 * static_cast<double>(stage.done) / static_cast<double>(stage.units),
                         stage.done, stage.units, stage.failed);
    }
    if (stage.elapsed_s > 0) {
      out += fmt::format(", {:.1f} s", stage.elapsed_s);
    }
    if (stage.idle_max >= 0) {
      out +=
          fmt::format(", idle {:.1f}% (max {:.1f}%)", 100 * stage.idle_mean, 100 * stage.idle_max);
    } else if (stage.idle_mean >= 0) {
      out += fmt::format(", idle {:.1f}%", 100 * stage.idle_mean);
    }
    out += "\n";
  }
  if (status.rate_per_s > 0) {
    out +=
        fmt::format("rate {:.1f} units/s{}, remaining {}\n", status.rate_per_s,
                    status.state == "running" ? "" : " when it ran", duration_text(status.eta_s));
  }
  if (!status.failures.empty()) {
    out += fmt::format("{} failed unit{}:\n", status.failed, status.failed == 1 ? "" : "s");
    for (const std::string& failure : status.failures) {
      out += "  " + failure + "\n";
    }
  }
  if (!status.suspects.empty()) {
    out += "units in which processes ended (how often); three times make a failed unit:\n";
    for (const std::string& suspect : status.suspects) {
      out += "  " + suspect + "\n";
    }
  }
  if (status.state != "complete" || status.failed > 0) {
    out += "what is done of every object: --units [PATTERN]\n";
  }
  return out + "next: " + status.next + "\n";
}

std::string status_json(const RunStatus& status) {
  using Json = nlohmann::ordered_json;
  const auto known = [](double value) { return value >= 0 ? Json(value) : Json(nullptr); };
  Json json = {{"directory", status.directory.string()},
               {"pipeline", status.pipeline},
               {"state", status.state},
               {"stages", Json::array()},
               {"failed", status.failed},
               {"failures", status.failures},
               {"suspects", status.suspects},
               {"rate_per_s", status.rate_per_s},
               {"eta_s", known(status.eta_s)},
               {"last_exit", status.last_exit >= 0 ? Json(status.last_exit) : Json(nullptr)},
               {"next", status.next}};
  for (const StageStatus& stage : status.stages) {
    json["stages"].push_back({{"name", stage.name},
                              {"state", stage.state},
                              {"units", stage.units},
                              {"done", stage.done},
                              {"failed", stage.failed},
                              {"fraction", stage.units > 0 ? Json(static_cast<double>(stage.done) /
                                                                  static_cast<double>(stage.units))
                                                           : Json(nullptr)},
                              {"elapsed_s", stage.elapsed_s},
                              {"idle_mean", known(stage.idle_mean)},
                              {"idle_max", known(stage.idle_max)}});
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace skyloom::engine
