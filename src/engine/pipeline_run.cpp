#include "skyloom/engine/pipeline_run.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/hash.hpp"
#include "skyloom/engine/file_sets.hpp"
#include "skyloom/engine/manifest.hpp"
#include "skyloom/engine/progress.hpp"
#include "skyloom/engine/publish.hpp"
#include "skyloom/engine/run.hpp"
#include "skyloom/io/accident.hpp"
#include "skyloom/io/files.hpp"

#include "dry_run.hpp"
#include "mended_inputs.hpp"
#include "plan_bytes.hpp"
#include "restart.hpp"
#include "run_folder.hpp"
#include "run_summary.hpp"
#include "time_limit.hpp"

namespace skyloom::engine {
namespace {

namespace fs = std::filesystem;

class PipelineRun {
 public:
  PipelineRun(const parallel::Comm& comm, Pipeline& pipeline, const ConfigSpec& spec,
              const RunOptions& options, Log& log)
      : comm_(comm),
        pipeline_(pipeline),
        spec_(spec),
        options_(options),
        log_(log),
        root_(comm.rank() == 0),
        start_s_(now_s()),
        products_(options.run_directory),
        describer_(spec, products_) {}

  int execute();

 private:
  void validate();
  void plan_first_stage();
  /// Of the manifest.
  void forget_selected();
  void dry_run();
  void open_directory();
  void set_deadline();
  int run_stages();
  /// False when the stage was finished earlier. Collective.
  bool prepare_stage(std::size_t i);
  bool finished_earlier(const StageDescription& description);
  StageEnd run_one(std::size_t i);
  void record_outcome(const std::string& stage, const StageOutcome& outcome);
  int finish();
  bool write_files(const std::string& hash);
  [[nodiscard]] NamedTexts provenance(const StageDescription* description) const;
  [[nodiscard]] bool is_finished(std::size_t i) const;
  [[nodiscard]] bool must_stop() const;
  void save_manifest() { write_manifest(options_.run_directory, manifest_); }

  const parallel::Comm& comm_;
  Pipeline& pipeline_;
  const ConfigSpec& spec_;
  const RunOptions& options_;
  Log& log_;
  bool root_;
  double start_s_;
  double deadline_s_ = 0.0;  // of the steady clock; 0 = none
  Products products_;
  Describer describer_;
  Stages stages_;
  std::vector<std::size_t> selected_;
  std::optional<Plan> first_plan_;     // rank 0: made while validating
  Plan plan_;                          // of the present stage, on every rank
  std::string hash_;                   // of the present stage, on every rank
  std::string slab_hash_;              // the same
  std::string provenance_;             // the same; as bytes
  std::vector<std::string> finished_;  // rank 0
  std::unique_ptr<RunLock> lock_;      // rank 0
  Manifest manifest_;                  // rank 0
};

int PipelineRun::execute() {
  validate();
  log_.set_level(log_level_of(options_.settings));
  if (options_.dry_run) {
    parallel::on_root(comm_, [&] { dry_run(); });
    return kExitComplete;
  }
  parallel::on_root(comm_, [&] { open_directory(); });
  io::pass_point("opened");
  log_.open_folder((options_.run_directory / "logs").string());
  set_deadline();
  int status = kExitUsage;
  try {
    status = run_stages();
    if (status == kExitComplete) {
      status = finish();
    }
  } catch (const ConfigError&) {
    if (root_) {
      manifest_.attempts.back().ended = utc_now();
      manifest_.attempts.back().exit_code = kExitUsage;
      save_manifest();
    }
    throw;
  }
  if (root_) {
    manifest_.attempts.back().ended = utc_now();
    manifest_.attempts.back().exit_code = status;
    save_manifest();
  }
  return status;
}

// A finished first stage needs its input no more: what is wrong with it shows when it must be
// planned again.
void PipelineRun::plan_first_stage() {
  try {
    first_plan_ = stages_.front()->plan(products_);
  } catch (const ConfigError&) {
    if (!products_.has(stages_.front()->name())) {
      throw;
    }
  }
}

void PipelineRun::validate() {
  parallel::on_root(comm_, [&] { pipeline_.check(); });
  // What only another rank sees, such as a folder that its node does not mount.
  std::string trouble;
  if (!root_) {
    try {
      pipeline_.check();
    } catch (const std::exception& error) {
      trouble = error.what();
    }
  }
  parallel::agree(comm_, trouble.empty(), trouble);
  stages_ = pipeline_.stages();
  std::string chosen;
  parallel::on_root(comm_, [&] {
    selected_ = selected_stages(stages_, options_, products_);
    if (selected_.front() == 0) {
      plan_first_stage();
    }
    for (const std::size_t i : selected_) {
      chosen.push_back(static_cast<char>(i));
    }
  });
  comm_.broadcast(chosen);
  selected_.assign(chosen.begin(), chosen.end());
}

void PipelineRun::forget_selected() {
  for (const std::size_t i : selected_) {
    manifest_.erase(stages_[i]->name());
  }
}

/// Refuses what a run would refuse.
void PipelineRun::dry_run() {
  if (std::optional<Manifest> known = read_manifest(options_.run_directory)) {
    manifest_ = *std::move(known);
    if (options_.fresh && manifest_.pipeline == pipeline_.name()) {
      forget_selected();
    }
  } else {
    refuse_foreign_files(pipeline_, stages_, options_.run_directory);
    manifest_.pipeline = pipeline_.name();
  }
  check_restart(pipeline_, stages_, selected_, options_, manifest_, products_, describer_,
                first_plan_);
  print_dry_run(
      {pipeline_, stages_, selected_, first_plan_, options_, products_, manifest_, describer_},
      log_);
}

void PipelineRun::open_directory() {
  const fs::path& directory = options_.run_directory;
  std::error_code problem;
  fs::create_directories(directory, problem);
  if (problem) {
    throw FatalError(directory.string() + ": cannot be created: " + problem.message());
  }
  lock_ = std::make_unique<RunLock>(directory);
  if (std::optional<Manifest> known = read_manifest(directory)) {
    manifest_ = *std::move(known);
  } else {
    refuse_foreign_files(pipeline_, stages_, options_.run_directory);
    manifest_.pipeline = pipeline_.name();
  }
  const bool is_fresh = options_.fresh && manifest_.pipeline == pipeline_.name();
  if (is_fresh) {
    forget_selected();
  }
  check_restart(pipeline_, stages_, selected_, options_, manifest_, products_, describer_,
                first_plan_);
  if (is_fresh) {
    remove_stages(pipeline_, stages_, selected_, directory);
  }
  manifest_.config_file = options_.config_file.string();
  manifest_.directory = directory.string();
  manifest_.seed = static_cast<std::uint64_t>(options_.settings.seed);
  manifest_.stage_order.clear();
  for (const auto& stage : stages_) {
    manifest_.stage_order.emplace_back(stage->name());
  }
  manifest_.attempts.push_back(attempt_of(options_, comm_.size()));
  save_manifest();
  write_config_copies(spec_, options_);
  const std::string command = options_.stage.empty() ? "run" : options_.stage;
  const fs::path log = command_log_of(options_.settings, directory, command);
  if (!log.empty()) {
    fs::create_directories(log.parent_path(), problem);
    log_.open_command_log(log.string(), options_.settings.log_format);
  }
  for (const std::string& warning : spec_.warnings()) {
    log_.warning("{}", warning);
  }
}

// What the environment of rank 0 says counts: it is that of the job.
void PipelineRun::set_deadline() {
  std::string seconds;
  parallel::on_root(comm_, [&] {
    if (const auto left = time_allowed_s(options_.settings, now_s() - start_s_, log_)) {
      seconds = shortest(*left);
    }
  });
  comm_.broadcast(seconds);
  if (!seconds.empty()) {
    deadline_s_ = now_s() + to_number(seconds);
  }
}

bool PipelineRun::must_stop() const {
  return comm_.any(parallel::stop_signalled() || (deadline_s_ > 0 && now_s() >= deadline_s_));
}

int PipelineRun::run_stages() {
  // What earlier commands finished is found in order, since a stage is described by its
  // predecessors.
  std::size_t next = 0;
  for (std::size_t i = 0; i < stages_.size() && next < selected_.size(); ++i) {
    if (i != selected_[next]) {
      if (root_ && is_finished(i)) {
        finished_.emplace_back(stages_[i]->name());
      }
      continue;
    }
    ++next;
    if (prepare_stage(i) && (must_stop() || run_one(i) == StageEnd::stopped)) {
      log_.info("Stopped early; the same command goes on from here");
      return kExitStopped;
    }
    if (root_) {
      finished_.emplace_back(stages_[i]->name());
    }
  }
  return kExitComplete;
}

bool PipelineRun::is_finished(std::size_t i) const {
  const std::string name(stages_[i]->name());
  const StageRecord* record = manifest_.find(name);
  return record != nullptr && product_hash(products_, name) == record->description.hash();
}

/// Rank 0: whether a stage is finished. What is left over of it is removed.
bool PipelineRun::finished_earlier(const StageDescription& description) {
  const std::string& name = description.stage;
  StageRecord* known = manifest_.find(name);
  bool done = known != nullptr && product_hash(products_, name) == hash_;
  const bool whole = done && unit_counts(products_, name).failed == 0;
  if (options_.retry_failed) {
    done = whole;
  }
  if (whole) {
    // There when a process died between the product and the end of its journal.
    remove_journal(options_.run_directory / name);
  }
  if (done) {
    known->description = description;  // inputs may have moved
    log_.info("Stage {}: finished earlier", name);
  }
  return done;
}

bool PipelineRun::prepare_stage(std::size_t i) {
  StageBase& stage = *stages_[i];
  const std::string name(stage.name());
  const fs::path folder = options_.run_directory / name;
  StageDescription description;
  Mended mended;
  std::string bytes;
  parallel::on_root(comm_, [&] {
    const StageRecord* known = manifest_.find(name);
    description = describer_.describe(stage, finished_, known);
    hash_ = description.hash();
    slab_hash_ = description.hash_of_settings();
    if (finished_earlier(description)) {
      return;
    }
    const Plan plan = i == 0 && first_plan_ ? *first_plan_ : stage.plan(products_);
    bytes = plan_to_bytes(plan);
    if (options_.retry_failed && known != nullptr) {
      mended = mended_inputs(stage, plan, known->description, description, folder);
      if (!mended.accepted) {
        mended = {};
      }
    }
    provenance_ = texts_to_bytes(provenance(&description));
  });
  comm_.broadcast(bytes);
  comm_.broadcast(hash_);
  comm_.broadcast(slab_hash_);
  comm_.broadcast(provenance_);
  if (bytes.empty()) {
    return false;
  }
  take_over(comm_, folder, mended, log_);
  parallel::on_root(comm_, [&] {
    StageRecord record;
    record.description = description;
    record.code_version = SKYLOOM_VERSION;
    record.state = "started";
    manifest_.record(name) = record;
    save_manifest();
  });
  plan_ = plan_from_bytes(bytes);
  io::pass_point("planned");
  return true;
}

StageEnd PipelineRun::run_one(std::size_t i) {
  StageBase& stage = *stages_[i];
  const std::string name(stage.name());
  StageSettings settings;
  settings.directory = options_.run_directory;
  settings.stage_hash = hash_;
  settings.slab_hash = slab_hash_;
  settings.seed = static_cast<std::uint64_t>(options_.settings.seed);
  settings.retry_failed = options_.retry_failed;
  settings.deadline_s = deadline_s_;
  std::optional<Progress> progress;
  settings.provenance = texts_from_bytes(provenance_);
  if (root_) {
    progress.emplace(options_.run_directory, log_, options_.live_progress, options_.terminal_width);
  }
  bool announced = false;
  const auto announce = [&](std::size_t recovered) {
    if (root_ && !announced) {
      log_.info("Starting stage {}: {} units ({} recovered) on {} rank{}", name, plan_.units.size(),
                recovered, comm_.size(), comm_.size() == 1 ? "" : "s");
      announced = true;
    }
  };
  const ProgressObserver observer = [&](const StageProgress& state) {
    announce(state.units_recovered);
    if (progress) {
      progress->update(state);
    }
  };
  const StageOutcome outcome = run_stage(comm_, stage, plan_, products_, settings, observer, log_);
  announce(outcome.recovered);
  if (progress) {
    progress->finish();
  }
  progress.reset();
  products_.forget(name);
  io::pass_point("staged");
  if (root_) {
    record_outcome(name, outcome);
  }
  io::pass_point("between");
  return outcome.end;
}

void PipelineRun::record_outcome(const std::string& stage, const StageOutcome& outcome) {
  StageRecord& record = manifest_.record(stage);
  take_outcome(outcome, record);
  if (outcome.end == StageEnd::complete) {
    record.state = "done";
    record.finished = utc_now();
    log_.info(
        "Finished stage {} in {:.1f} s: {} units, {} failed, idle fraction mean {:.1f}% "
        "max {:.1f}%",
        stage, outcome.elapsed_s, outcome.units, outcome.failed, 100 * record.idle_mean,
        100 * record.idle_max);
  }
  save_manifest();
}

NamedTexts PipelineRun::provenance(const StageDescription* description) const {
  return provenance_of(pipeline_, spec_, options_, comm_.size(), description);
}

/// Files beside the products, by all ranks. False when it was stopped on the way.
bool PipelineRun::write_files(const std::string& hash) {
  std::string facts;
  parallel::on_root(comm_, [&] { facts = texts_to_bytes(provenance(nullptr)); });
  comm_.broadcast(facts);
  const FileStamp stamp{hash, static_cast<std::uint64_t>(options_.settings.seed),
                        texts_from_bytes(facts)};
  const auto stop = [this] {
    return parallel::stop_signalled() || (deadline_s_ > 0 && now_s() >= deadline_s_);
  };
  return write_file_sets(comm_, pipeline_, products_, stamp, stop, log_);
}

int PipelineRun::finish() {
  int status = kExitComplete;
  std::vector<std::string> names;
  std::string hash;  // of all products; empty as long as one is missing
  parallel::on_root(comm_, [&] {
    // Against the present description: a stage whose predecessors were redone is not finished.
    Hash all;
    for (const auto& stage : stages_) {
      const std::string name(stage->name());
      if (product_hash(products_, name) ==
          describer_.describe(*stage, names, manifest_.find(name)).hash()) {
        names.push_back(name);
        all.text(product_identity(products_, name));
      }
    }
    hash = names.size() == stages_.size() ? all.hex() : "";
  });
  comm_.broadcast(hash);
  if (!hash.empty() && !write_files(hash)) {
    log_.info("Stopped early; the same command goes on from here");
    return kExitStopped;
  }
  parallel::on_root(comm_, [&] {
    if (!hash.empty()) {
      publish_run(pipeline_, products_, manifest_, provenance(nullptr), log_);
    } else {
      log_.info("{} of {} stages are finished; 'skyloom {} run' does the others", names.size(),
                stages_.size(), pipeline_.name());
    }
    status = report_failures(products_, names, options_.settings.max_failed_fraction, log_);
  });
  std::string text = std::to_string(status);
  comm_.broadcast(text);
  return std::stoi(text);
}

}  // namespace

int run_pipeline(const parallel::Comm& comm, Pipeline& pipeline, const ConfigSpec& spec,
                 const RunOptions& options, Log& log) {
  return PipelineRun(comm, pipeline, spec, options, log).execute();
}

}  // namespace skyloom::engine
