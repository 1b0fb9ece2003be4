#include "skyloom/engine/run.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/assemble.hpp"
#include "skyloom/engine/journal.hpp"
#include "skyloom/engine/schedule.hpp"
#include "skyloom/engine/slabs.hpp"
#include "skyloom/io/accident.hpp"

#include "journal_files.hpp"
#include "journalled_state.hpp"
#include "payload.hpp"
#include "recovery.hpp"
#include "time_limit.hpp"
#include "watch.hpp"

namespace skyloom::engine {
namespace {

constexpr std::size_t kDoneSlot = 1;
constexpr std::size_t kFailedSlot = 2;
// Then for each of the first ranks: number of its unit plus one, and units it has done.
constexpr std::size_t kFirstRankSlot = 3;
constexpr std::size_t kCounterSlots = kFirstRankSlot + 2 * kSlotsShown;
constexpr double kShareInterval_s = 0.2;
constexpr std::chrono::milliseconds kLookInterval{100};
constexpr std::size_t kMessageBytes = 400;

/// One line of at most kMessageBytes, cut between UTF-8 characters.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  std::size_t size = std::min(text.size(), kMessageBytes);
  while (size > 0 && size < text.size() &&
         (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) {
    --size;
  }
  text.resize(size);
  return text;
}

/// What run_stage() was asked to do.
struct Task {
  const parallel::Comm& comm;
  StageBase& stage;
  const Plan& plan;
  const Products& before;
  const StageSettings& settings;
  const ProgressObserver& observer;
  Log& log;
};

/// A signal said so, or the time has come.
bool is_over(const StageSettings& settings) {
  return parallel::stop_signalled() ||
         (settings.deadline_s > 0.0 && now_s() >= settings.deadline_s);
}

/// The independent part of a stage: between recovery and the last barrier no rank waits for
/// another.
class Loop {
 public:
  Loop(const Task& task, Journal& journal, SlabFile* slabs)
      : task_(task),
        journal_(journal),
        slabs_(slabs),
        counter_(task.comm, kCounterSlots),
        rows_(task.plan.schema) {
    progress_.stage = task.stage.name();
    progress_.units_total = task.plan.units.size();
    progress_.volume_mb = task.plan.volume_mb;
    rows_.set_sink([this](const SlabPart& part) { claims_.push_back(slabs_->write(part)); });
  }

  /// Collective. True when every unit of `todo` and `alone` was done by somebody.
  bool run(Remaining remaining, std::size_t failed_before);
  [[nodiscard]] double elapsed_s() const { return progress_.elapsed_s; }
  [[nodiscard]] double idle_fraction() const {
    return progress_.elapsed_s > 0.0 ? std::max(0.0, 1.0 - progress_.busy_s / progress_.elapsed_s)
                                     : 0.0;
  }

 private:
  void work(Schedule& schedule);
  void work_alone(const std::vector<UnitIndex>& units);
  bool open();
  void do_unit(const Unit& unit);
  [[nodiscard]] std::optional<Outcome> attempt(const Unit& unit);
  void finish(const Unit& unit, const std::optional<Outcome>& failure, double seconds);
  void note_failure(const Unit& unit, const Outcome& failure);
  [[nodiscard]] bool must_stop() const;
  [[nodiscard]] bool ends_in_time(const Unit& unit) const;
  void sync();
  void share(std::size_t number, double time);
  void share_counts();
  void look();
  void report();

  const Task task_;
  Journal& journal_;
  SlabFile* slabs_;
  parallel::SharedCounter counter_;
  Rows rows_;
  std::vector<SlabClaim> claims_;  // of the unit in work
  StageProgress progress_;         // while the watch runs, its own
  Pace pace_;
  std::int64_t left_out_ = 0;
  bool opened_ = false;
  std::string config_error_;
  double begin_s_ = 0.0;
  std::int64_t done_ = 0;
  std::int64_t failed_ = 0;
  double shared_s_ = -1e9;  // what the others know of this rank:
  std::int64_t shared_done_ = 0;
  std::int64_t shared_failed_ = 0;
  std::int64_t shared_unit_ = 0;
  std::size_t failed_before_ = 0;
  std::size_t noted_ = 0;
  std::atomic<double> busy_s_ = 0.0;        // in finished units
  std::atomic<double> unit_begin_s_ = 0.0;  // of the unit in work; 0 = none
  std::vector<double> slot_since_s_;        // of the watch: since when a rank shows its unit
  Watch watch_;
};

bool Loop::run(Remaining remaining, std::size_t failed_before) {
  const std::size_t count = remaining.todo.size() + remaining.alone.size();
  progress_.units_recovered = task_.plan.units.size() - count;
  failed_before_ = failed_before;
  Schedule schedule(
      guided_chunks(task_.plan.units.costs(), std::move(remaining.todo), task_.comm.size()),
      counter_);
  begin_s_ = now_s();
  progress_.units_done = progress_.units_recovered;
  progress_.units_failed = failed_before_;
  report();
  if (task_.comm.rank() == 0 && task_.observer) {
    watch_.start(kLookInterval, [this] {
      look();
      report();
    });
  }
  work(schedule);
  work_alone(remaining.alone);
  sync();
  if (opened_) {
    task_.stage.close();
  }
  share(0, now_s());
  parallel::patient_barrier(task_.comm);
  watch_.stop();
  progress_.busy_s = busy_s_;
  share_counts();
  report();
  // A configuration that one rank found wrong is everybody's error.
  for (const std::string& text : task_.comm.gather_all(config_error_)) {
    if (!text.empty()) {
      throw ConfigError({}, text);
    }
  }
  const std::int64_t left_out = task_.comm.sum(left_out_);
  if (left_out > 0) {
    task_.log.info("{}: {} unit{} left for the next run: not expected to end before the time limit",
                   progress_.stage, left_out, left_out == 1 ? "" : "s");
  }
  return static_cast<std::size_t>(task_.comm.sum(done_)) == count;
}

void Loop::work(Schedule& schedule) {
  while (!must_stop()) {
    const std::optional<std::size_t> index = schedule.next();
    if (!index) {
      return;
    }
    if (!opened_ && !open()) {
      break;
    }
    const Unit unit = task_.plan.units[*index];
    if (!ends_in_time(unit)) {
      ++left_out_;  // smaller ones may follow
      continue;
    }
    do_unit(unit);
  }
  schedule.drain();
}

// Whoever dies now has died in the only unit that is being computed.
void Loop::work_alone(const std::vector<UnitIndex>& units) {
  for (std::size_t i = 0; i < units.size(); ++i) {
    parallel::patient_barrier(task_.comm);
    const bool mine = i % static_cast<std::size_t>(task_.comm.size()) ==
                      static_cast<std::size_t>(task_.comm.rank());
    const Unit unit = task_.plan.units[units[i]];
    if (!mine || must_stop()) {
      continue;
    }
    if (!ends_in_time(unit)) {
      ++left_out_;
    } else if (opened_ || open()) {
      do_unit(unit);
    }
  }
}

void Loop::do_unit(const Unit& unit) {
  const double begin = now_s();
  unit_begin_s_ = begin;
  if (begin - shared_s_ >= kShareInterval_s) {
    share(unit.index + 1, begin);
  }
  try {
    journal_.begin(unit.index, unit.key);
    io::pass_point("unit");
    const std::optional<Outcome> failure = attempt(unit);
    const double seconds = now_s() - begin;
    finish(unit, failure, seconds);
    pace_.add(unit.cost, seconds);
  } catch (const UnitInterrupted&) {
    // Its state is in the journal, and the stop is seen by the loop.
  } catch (const FatalError&) {
    journal_.withdraw();
    throw;
  }
  busy_s_ = busy_s_ + (now_s() - begin);
  unit_begin_s_ = 0.0;
  if (journal_.sync_due()) {
    sync();
  }
  watch_.check();
}

bool Loop::open() {
  try {
    task_.stage.open(task_.before, task_.log);
  } catch (const ConfigError& error) {
    config_error_ = error.what();
    return false;
  } catch (const FatalError&) {
    throw;
  } catch (const std::exception& error) {
    throw FatalError("stage " + progress_.stage + " cannot begin: " + error.what());
  }
  opened_ = true;
  return true;
}

// The one place that catches around a unit.
std::optional<Outcome> Loop::attempt(const Unit& unit) {
  rows_.clear();
  claims_.clear();
  try {
    JournalledState state(journal_, unit.index, [this] { return must_stop(); });
    task_.stage.process(unit, task_.settings.seed, rows_, state);
    return std::nullopt;
  } catch (const UnitError& error) {
    return Outcome{error.reason(), one_line(error.what())};
  } catch (const FatalError& error) {
    throw FatalError("unit " + unit.key + ": " + error.what());
  } catch (const ConfigError& error) {
    // A reader refuses a file of this unit.
    return Outcome{Reason::bad_input, one_line(error.what())};
  } catch (const std::exception& error) {
    return Outcome{Reason::internal, one_line(error.what())};
  }
}

void Loop::finish(const Unit& unit, const std::optional<Outcome>& failure, double seconds) {
  if (failure) {
    journal_.put(unit.index, RecordKind::failed, encode_failure(*failure, seconds));
    note_failure(unit, *failure);
    ++failed_;
  } else {
    io::pass_point("slabs");
    journal_.put(unit.index, RecordKind::result, encode_result(rows_, claims_, seconds));
  }
  ++done_;
}

void Loop::note_failure(const Unit& unit, const Outcome& failure) {
  // Beyond the first few they would bury the log; the product has them all.
  const LogLevel level = noted_ < kShownFailures ? LogLevel::warning : LogLevel::debug;
  task_.log.write(level, progress_.stage + ": unit " + describe(unit, failure));
  ++noted_;
}

bool Loop::must_stop() const {
  return is_over(task_.settings);
}

bool Loop::ends_in_time(const Unit& unit) const {
  return task_.settings.deadline_s <= 0.0 ||
         now_s() + pace_.expected_s(unit.cost) <= task_.settings.deadline_s;
}

// Slabs first: a record on disk must not claim bytes that are not.
void Loop::sync() {
  if (slabs_ != nullptr) {
    slabs_->sync();
  }
  journal_.sync();
}

/// Tells the others how far this rank is. @param number of its unit plus one, 0 = none
void Loop::share(std::size_t number, double time) {
  shared_s_ = time;
  const auto add = [this](std::size_t slot, std::int64_t amount) {
    if (amount != 0) {
      counter_.add(slot, amount);
    }
  };
  const auto unit = static_cast<std::int64_t>(number);
  const auto rank = static_cast<std::size_t>(task_.comm.rank());
  add(kDoneSlot, done_ - shared_done_);
  add(kFailedSlot, failed_ - shared_failed_);
  if (rank < kSlotsShown) {
    add(kFirstRankSlot + 2 * rank, unit - shared_unit_);
    add(kFirstRankSlot + 2 * rank + 1, done_ - shared_done_);
  }
  shared_done_ = done_;
  shared_failed_ = failed_;
  shared_unit_ = unit;
}

/// What everybody has shared, with the help of MPI.
void Loop::share_counts() {
  progress_.units_done =
      progress_.units_recovered + static_cast<std::size_t>(counter_.add(kDoneSlot, 0));
  progress_.units_failed = failed_before_ + static_cast<std::size_t>(counter_.add(kFailedSlot, 0));
}

/// The same from the memory of rank 0, by the watch.
void Loop::look() {
  const double time = now_s();
  const double begin = unit_begin_s_;
  progress_.busy_s = busy_s_ + (begin > 0.0 ? time - begin : 0.0);
  progress_.units_done =
      progress_.units_recovered + static_cast<std::size_t>(counter_.peek(kDoneSlot));
  progress_.units_failed = failed_before_ + static_cast<std::size_t>(counter_.peek(kFailedSlot));
  const std::size_t ranks = std::min(static_cast<std::size_t>(task_.comm.size()), kSlotsShown);
  progress_.slots.resize(ranks);
  slot_since_s_.resize(ranks, time);
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const std::int64_t unit = counter_.peek(kFirstRankSlot + 2 * rank);
    const auto done = static_cast<std::size_t>(counter_.peek(kFirstRankSlot + 2 * rank + 1));
    std::string key =
        unit > 0 ? task_.plan.units[static_cast<std::size_t>(unit - 1)].key : std::string();
    SlotProgress& slot = progress_.slots[rank];
    if (key != slot.unit || done != slot.done || key.empty()) {
      slot_since_s_[rank] = time;
    }
    slot = {std::move(key), done, time - slot_since_s_[rank]};
  }
}

void Loop::report() {
  progress_.elapsed_s = now_s() - begin_s_;
  if (task_.observer) {
    task_.observer(progress_);
  }
}

std::vector<double> gather_idle(const parallel::Comm& comm, double idle_fraction) {
  std::vector<double> out;
  for (const std::string& text : comm.gather(shortest(idle_fraction))) {
    out.push_back(to_number(text));
  }
  return out;
}

}  // namespace

StageOutcome run_stage(const parallel::Comm& comm, StageBase& stage, const Plan& plan,
                       const Products& before, const StageSettings& settings,
                       const ProgressObserver& observer, Log& log) {
  const std::string name(stage.name());
  const std::size_t units = plan.units.size();
  const std::string key = journal_key(settings.stage_hash, plan);
  parallel::on_root(comm, [&] { drop_other_journal(settings.directory / name, key, log); });
  Journal journal(comm, settings.directory / name, key, units,
                  contiguous_shares(plan.units.costs(), comm.size()));
  parallel::on_root(comm, [&] { write_journal_units(settings.directory / name, key, plan); });
  report_damage(name, plan, journal, log);
  std::unique_ptr<SlabFile> slabs;
  if (!plan.schema.slabs.empty()) {
    const std::string slab_key =
        settings.slab_hash.empty() ? key : journal_key(settings.slab_hash, plan);
    slabs = std::make_unique<SlabFile>(comm, SlabPlace{settings.directory, name, stage.slab_file()},
                                       slab_key, plan.schema,
                                       SlabExtras{plan.slab_content, settings.provenance});
    forget_unsound(comm, journal, *slabs, plan, log);
  }
  const Task task{comm, stage, plan, before, settings, observer, log};
  Remaining left = remaining(journal, units, settings.retry_failed);
  give_up(comm, name, plan, left.crashed, journal, log);
  io::pass_point("recovered");
  StageOutcome outcome;
  outcome.units = units;
  outcome.recovered = units - left.todo.size() - left.alone.size();
  bool complete = false;
  {
    Loop loop(task, journal, slabs.get());
    const std::size_t failed_before =
        settings.retry_failed ? left.crashed.size() : journal.count_failed();
    complete = loop.run(std::move(left), failed_before);
    outcome.elapsed_s = loop.elapsed_s();
    outcome.idle_fraction = gather_idle(comm, loop.idle_fraction());
  }
  // Assembly takes its time too. Units are all there: the next attempt begins with it.
  complete = complete && !comm.any(is_over(settings));
  journal.merge(complete);
  outcome.failed = journal.count_failed();
  if (!complete) {
    outcome.end = StageEnd::stopped;
    return outcome;
  }
  assemble(comm, plan, journal, slabs.get(), settings.directory / (name + ".h5"),
           {name, settings.stage_hash, settings.provenance});
  io::pass_point("assembled");
  if (outcome.failed == 0) {
    // Kept otherwise, so that a retry of the failed units finds the others done.
    journal.remove();
  }
  return outcome;
}

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace skyloom::engine
