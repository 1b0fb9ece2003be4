#include "dry_run.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <thread>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/journal.hpp"
#include "skyloom/engine/manifest.hpp"
#include "skyloom/engine/progress.hpp"
#include "skyloom/engine/publish.hpp"

#include "journal_files.hpp"
#include "payload.hpp"

namespace skyloom::engine {
namespace {

/// More nodes are not suggested for runs that are shorter than this anyway.
constexpr double kTarget_s = 3600.0;
constexpr double kLeastBusy = 0.7;
constexpr int kMostNodes = 4096;

double total_s(const std::vector<StageWork>& work) {
  double total = 0.0;
  for (const StageWork& stage : work) {
    total += stage.total_s;
  }
  return total;
}

Geometry geometry_of(const std::vector<StageWork>& work, int nodes, int ranks_per_node) {
  const int ranks = nodes * ranks_per_node;
  const double wall_s = wall_time_s(work, ranks);
  return {nodes, ranks_per_node, wall_s, wall_s > 0.0 ? total_s(work) / (ranks * wall_s) : 1.0};
}

/// A stage as far as it is known: from its plan, or else as the pipeline foresees it.
struct Line {
  std::string stage;
  bool is_finished = false;
  bool is_planned = false;
  bool is_timed = false;    ///< the pipeline has figures for it
  std::size_t done = 0;     ///< units that an earlier command journalled
  std::size_t retried = 0;  ///< failed ones that --retry-failed runs again
  StageForecast forecast;
  [[nodiscard]] StageWork work() const {
    const double left = forecast.units > 0 ? 1.0 - static_cast<double>(done) / forecast.units : 1.0;
    return {std::max(left, 0.0) * forecast.cost * forecast.seconds_per_cost,
            forecast.largest_cost * forecast.seconds_per_cost};
  }
};

void take_plan(const Plan& plan, StageForecast& forecast) {
  forecast.units = static_cast<double>(plan.units.size());
  forecast.cost = 0.0;
  forecast.largest_cost = 0.0;
  for (const Unit& unit : plan.units) {
    forecast.cost += std::max(unit.cost, 0.0);
    forecast.largest_cost = std::max(forecast.largest_cost, unit.cost);
  }
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_selected(const DryRun& run, std::size_t i) {
  return std::find(run.selected.begin(), run.selected.end(), i) != run.selected.end();
}

/// Whether the product that is there is the one that the run would make, and stays.
bool is_finished(const DryRun& run, const StageDescription& now, std::size_t i) {
  const bool is_there =
      run.products.has(now.stage) && product_hash(run.products, now.stage) == now.hash();
  const bool is_mended = run.options.retry_failed && is_selected(run, i);
  return is_there && (!is_mended || unit_counts(run.products, now.stage).failed == 0);
}

/// What an earlier command with the same settings left of a stage. Input files that may have been
/// replaced make no difference.
void take_journal(const DryRun& run, const StageRecord& record, const StageDescription& now,
                  const Plan& plan, Line& line) {
  const std::filesystem::path folder = run.options.run_directory / line.stage;
  const std::string key = read_journal_info(folder).key;
  const bool is_mended = run.options.retry_failed &&
                         record.description.hash_of_settings() == now.hash_of_settings() &&
                         key == journal_key(record.description.hash(), plan);
  if (is_mended || key == journal_key(now.hash(), plan)) {
    const JournalCount count = count_journal(folder);
    line.retried = run.options.retry_failed ? count.failed : 0;
    line.done = count.done - line.retried;
  }
}

/// None, with a line that says why, when a run goes on without inputs that the estimates need.
std::vector<StageForecast> forecasts_of(const Pipeline& pipeline, Log& log) {
  try {
    return pipeline.forecast();
  } catch (const ConfigError& error) {
    log.info("no estimates: {}", error.what());
    return {};
  }
}

std::vector<Line> lines_of(const DryRun& run, Log& log) {
  const std::vector<StageForecast> forecasts = forecasts_of(run.pipeline, log);
  std::vector<std::string> finished;
  std::vector<Line> lines;
  for (std::size_t i = 0; i < run.stages.size(); ++i) {
    StageBase& stage = *run.stages[i];
    Line line;
    line.stage = stage.name();
    // Nothing of a stage without a record counts, and its inputs need not be read.
    const StageRecord* record = run.manifest.find(line.stage);
    std::optional<StageDescription> now;
    if (record != nullptr) {
      now = run.describer.describe(stage, finished, record);
      line.is_finished = is_finished(run, *now, i);
    }
    if (line.is_finished) {
      finished.push_back(line.stage);
    }
    if (!is_selected(run, i)) {
      continue;
    }
    const auto known = std::find_if(forecasts.begin(), forecasts.end(),
                                    [&](const auto& f) { return f.stage == line.stage; });
    line.is_timed = known != forecasts.end();
    if (line.is_timed) {
      line.forecast = *known;
    }
    const std::vector<std::string> needs = stage.needs();
    const bool has_all = std::all_of(needs.begin(), needs.end(),
                                     [&](const auto& need) { return contains(finished, need); });
    if (!line.is_finished && (has_all || (i == 0 && run.first))) {
      const Plan plan = i == 0 && run.first ? *run.first : stage.plan(run.products);
      take_plan(plan, line.forecast);
      if (now) {
        take_journal(run, *record, *now, plan, line);
      }
      line.is_planned = true;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string units_text(const Line& line) {
  if (line.is_finished) {
    return "finished earlier";
  }
  if (!line.is_planned) {
    return line.is_timed ? fmt::format("about {:.0f} units, planned after its predecessors",
                                       line.forecast.units)
                         : "planned after its predecessors";
  }
  std::string text = fmt::format("{:.0f} units", line.forecast.units);
  if (line.done > 0) {
    text += fmt::format(", {} of them done", line.done);
  }
  if (line.retried > 0) {
    text += fmt::format(", {} failed ones again", line.retried);
  }
  if (line.forecast.cost > 0.0 && line.forecast.units > 1.0) {
    text += fmt::format(", the largest {:.1f}% of the work",
                        100.0 * line.forecast.largest_cost / line.forecast.cost);
  }
  return text;
}

std::string size_text(double megabytes) {
  return megabytes < 1000.0 ? fmt::format("{:.1f} MB", megabytes)
                            : fmt::format("{:.1f} GB", megabytes / 1000.0);
}

std::string work_text(double core_seconds) {
  return core_seconds < 360.0 ? fmt::format("{:.1f} core-seconds", core_seconds)
                              : fmt::format("{:.1f} core-hours", core_seconds / 3600.0);
}

int cores_per_node(const JobSettings& job) {
  return job.ranks_per_node > 0
             ? job.ranks_per_node
             : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void print_geometry(const std::vector<StageWork>& work, const JobSettings& job, Log& log) {
  const std::optional<double> job_s = seconds_per_job(job);
  const Geometry best =
      suggest_geometry(work, cores_per_node(job), std::min(kTarget_s, job_s.value_or(kTarget_s)));
  log.info(
      "suggested: job.nodes = {}, job.ranks_per_node = {} ({}): about {}, ranks busy {:.0f}% of it",
      best.nodes, best.ranks_per_node,
      job.ranks_per_node > 0 ? "at most job.ranks_per_node" : "at most the cores of this machine",
      duration_text(best.wall_s), 100.0 * best.busy);
  if (!job_s) {
    log.info("job.walltime_h = {} leaves no time beside job.signal_lead_s = {}", job.walltime_h,
             job.signal_lead_s);
  } else if (best.wall_s > *job_s) {
    log.info("that is about {:.0f} jobs of job.walltime_h = {}, one after the other",
             std::ceil(best.wall_s / *job_s), job.walltime_h);
  }
}

}  // namespace

double wall_time_s(const std::vector<StageWork>& work, int ranks) {
  double total = 0.0;
  for (const StageWork& stage : work) {
    total += std::max(stage.total_s / ranks, std::min(stage.longest_s, stage.total_s));
  }
  return total;
}

Geometry suggest_geometry(const std::vector<StageWork>& work, int cores_per_node, double target_s) {
  Geometry best = geometry_of(work, 1, 1);
  while (best.wall_s > target_s || best.ranks_per_node < cores_per_node) {
    const bool is_full = best.ranks_per_node == cores_per_node;
    const Geometry next =
        is_full ? geometry_of(work, 2 * best.nodes, cores_per_node)
                : geometry_of(work, 1, std::min(2 * best.ranks_per_node, cores_per_node));
    if (next.busy < kLeastBusy || next.nodes > kMostNodes) {
      break;
    }
    best = next;
  }
  return best;
}

void print_dry_run(const DryRun& run, Log& log) {
  log.info("run directory: {}{}", run.options.run_directory.string(),
           RunLock::held(run.options.run_directory) ? ", which another run uses" : "");
  std::vector<StageWork> work;
  double memory_mb = 0.0;
  double output_mb = 0.0;
  bool is_timed = true;
  for (const Line& line : lines_of(run, log)) {
    std::string text = units_text(line);
    is_timed = is_timed && (line.is_finished || line.is_timed);
    if (!line.is_finished && line.is_timed) {
      work.push_back(line.work());
      memory_mb = std::max(memory_mb, line.forecast.memory_mb);
      output_mb += line.forecast.output_mb;
      text += fmt::format("; estimated {}, {} per rank, {} written", work_text(work.back().total_s),
                          size_text(line.forecast.memory_mb), size_text(line.forecast.output_mb));
    }
    log.info("stage {}: {}", line.stage, text);
  }
  if (is_timed) {
    log.info("all: estimated {}, {} per rank, {} written", work_text(total_s(work)),
             size_text(memory_mb), size_text(output_mb));
    print_geometry(work, run.options.settings.job, log);
    log.info("these are estimates from measured costs; another machine or sky may differ twofold");
  } else {
    log.info("no estimate of time: {} has no measured costs of every stage", run.pipeline.name());
  }
  log.info("dry run: everything was checked, nothing was written");
}

}  // namespace skyloom::engine
