#include "skyloom/engine/progress.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"

namespace skyloom::engine {
namespace {

constexpr std::size_t kBarWidth = 24;
constexpr double kDrawEvery_s = 0.1;
constexpr double kSaveEvery_s = 2.0;
constexpr double kHeartbeat_s = 15.0;
constexpr double kLongUnit_s = 10.0;

std::string bar(const ProgressState& state) {
  const std::size_t filled = state.total == 0 ? kBarWidth : kBarWidth * state.done / state.total;
  return std::string(filled, '#') + std::string(kBarWidth - filled, '-');
}

std::string counts(const ProgressState& state) {
  const std::string volume =
      state.rate_mb_per_s > 0.0 ? fmt::format(" {:.0f} MB/s", state.rate_mb_per_s) : "";
  return fmt::format("{}/{} failed={} rate={:.1f}/s{} eta={} idle={:.0f}%", state.done, state.total,
                     state.failed, state.rate_per_s, volume, duration_text(state.eta_s),
                     100 * state.idle);
}

/// The unit that has been in work for longest, when that is long; "" otherwise.
std::string longest_unit(const ProgressState& state) {
  const auto slot = std::max_element(
      state.slots.begin(), state.slots.end(),
      [](const SlotProgress& a, const SlotProgress& b) { return a.unit_s < b.unit_s; });
  return slot == state.slots.end() || slot->unit_s < kLongUnit_s
             ? std::string()
             : fmt::format(" in {} for {}", slot->unit, duration_text(slot->unit_s));
}

}  // namespace

ProgressState state_of(const StageProgress& progress) {
  ProgressState state;
  state.stage = progress.stage;
  state.total = progress.units_total;
  state.done = std::min(progress.units_done, progress.units_total);
  state.failed = progress.units_failed;
  state.recovered = progress.units_recovered;
  const std::size_t fresh = state.done - std::min(state.done, state.recovered);
  if (progress.elapsed_s > 0) {
    state.rate_per_s = static_cast<double>(fresh) / progress.elapsed_s;
    state.rate_mb_per_s = state.rate_per_s * progress.volume_mb /
                          static_cast<double>(std::max<std::size_t>(1, state.total));
    state.idle = std::clamp(1.0 - progress.busy_s / progress.elapsed_s, 0.0, 1.0);
  }
  if (state.done == state.total) {
    state.eta_s = 0;
  } else if (state.rate_per_s > 0) {
    state.eta_s = static_cast<double>(state.total - state.done) / state.rate_per_s;
  }
  state.slots = progress.slots;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  state.time_s = std::chrono::duration<double>(now).count();
  return state;
}

std::optional<ProgressState> read_progress(const std::filesystem::path& run_directory) {
  try {
    const auto json = nlohmann::json::parse(io::read_text(run_directory / "progress.json"));
    ProgressState state;
    state.stage = json.at("stage");
    state.total = json.at("total");
    state.done = json.at("done");
    state.failed = json.at("failed");
    state.recovered = json.at("recovered");
    state.rate_per_s = json.at("rate_per_s");
    state.rate_mb_per_s = json.value("rate_mb_per_s", 0.0);
    state.eta_s = json.at("eta_s");
    state.idle = json.at("idle");
    state.time_s = json.at("time_s");
    return state;
  } catch (const ConfigError&) {
    return std::nullopt;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

std::string duration_text(double seconds) {
  if (!(seconds >= 0) || !std::isfinite(seconds) || seconds > 1e9) {
    return "--:--";
  }
  const auto total = static_cast<long long>(std::ceil(seconds));
  if (total < 3600) {
    return fmt::format("{:02d}:{:02d}", total / 60, total % 60);
  }
  return fmt::format("{}:{:02d}:{:02d}", total / 3600, total / 60 % 60, total % 60);
}

std::string progress_line(const ProgressState& state, std::size_t width) {
  std::string line = fmt::format("{} [{}] {}", state.stage, bar(state), counts(state));
  if (line.size() > width) {
    line.resize(width);
  }
  return line;
}

std::vector<std::string> slot_lines(const ProgressState& state, std::size_t width) {
  std::vector<std::string> lines;
  for (std::size_t rank = 0; state.slots.size() > 1 && rank < state.slots.size(); ++rank) {
    const SlotProgress& slot = state.slots[rank];
    lines.push_back(fmt::format(
        "  rank {}: {}{}, {} done", rank, slot.unit.empty() ? "waiting" : slot.unit,
        slot.unit_s < kLongUnit_s ? "" : " for " + duration_text(slot.unit_s), slot.done));
    if (lines.back().size() > width) {
      lines.back().resize(width);
    }
  }
  return lines;
}

Progress::Progress(std::filesystem::path run_directory, Log& log, bool live, std::size_t width)
    : directory_(std::move(run_directory)),
      log_(log),
      live_(live),
      width_(width),
      beat_s_(now_s()) {}

Progress::~Progress() {
  if (live_) {
    log_.show({});
  }
}

void Progress::update(const StageProgress& progress) {
  const double now = now_s();
  const bool due = live_ ? now - drawn_s_ >= kDrawEvery_s : now - beat_s_ >= kHeartbeat_s;
  const bool save_due = now - saved_s_ >= kSaveEvery_s;
  last_ = state_of(progress);
  if (due && live_) {
    draw(*last_);
    drawn_s_ = now;
  } else if (due) {
    log_.info("{} {}{}", last_->stage, counts(*last_), longest_unit(*last_));
    beat_s_ = now;
  }
  if (save_due) {
    save(*last_);
    saved_s_ = now;
  }
}

void Progress::finish() {
  if (live_) {
    log_.show({});
  }
  if (last_) {
    save(*last_);
  }
}

void Progress::draw(const ProgressState& state) {
  // One column stays free: a full line would wrap and could not be erased.
  const std::size_t width = width_ > 1 ? width_ - 1 : width_;
  std::vector<std::string> lines = slot_lines(state, width);
  lines.insert(lines.begin(), progress_line(state, width));
  log_.show(lines);
}

void Progress::save(const ProgressState& state) const {
  const nlohmann::ordered_json json = {{"stage", state.stage},
                                       {"total", state.total},
                                       {"done", state.done},
                                       {"failed", state.failed},
                                       {"recovered", state.recovered},
                                       {"rate_per_s", state.rate_per_s},
                                       {"rate_mb_per_s", state.rate_mb_per_s},
                                       {"eta_s", state.eta_s},
                                       {"idle", state.idle},
                                       {"time_s", state.time_s}};
  io::write_atomically(directory_ / "progress.json", json.dump() + "\n");
}

}  // namespace skyloom::engine
