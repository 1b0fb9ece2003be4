#include "time_limit.hpp"

#include <chrono>
#include <cmath>
#include <cstdlib>

#include "skyloom/core/table.hpp"
#include "skyloom/engine/progress.hpp"

namespace skyloom::engine {
namespace {

constexpr double kSafety = 1.5;

double number_of(const char* text) {
  return text == nullptr ? std::nan("") : to_number(text);
}

}  // namespace

std::optional<double> job_time_left_s(const std::function<const char*(const char*)>& variable,
                                      double now_unix_s) {
  for (const char* name : {"SKYLOOM_JOB_END_TIME", "SLURM_JOB_END_TIME"}) {
    const double left = number_of(variable(name)) - now_unix_s;
    if (left > 0.0) {
      return left;
    }
  }
  const double walltime = number_of(variable("PBS_WALLTIME"));
  return walltime > 0.0 ? std::optional(walltime) : std::nullopt;
}

std::optional<double> time_allowed_s(const RunSettings& settings, double elapsed_s, Log& log) {
  if (settings.time_limit_s > 0.0) {
    return settings.time_limit_s - elapsed_s;
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::optional<double> left =
      job_time_left_s([](const char* name) { return std::getenv(name); },
                      std::chrono::duration<double>(now).count());
  if (!left) {
    return std::nullopt;
  }
  log.info("The job ends in {}; the run stops {:.0f} s earlier (job.signal_lead_s)",
           duration_text(*left), settings.job.signal_lead_s);
  return *left - settings.job.signal_lead_s;
}

void Pace::add(double cost, double seconds) {
  if (cost > 0.0) {
    cost_ += cost;
    seconds_ += seconds;
  }
}

double Pace::expected_s(double cost) const {
  return cost_ > 0.0 && cost > 0.0 ? kSafety * cost * seconds_ / cost_ : 0.0;
}

}  // namespace skyloom::engine
