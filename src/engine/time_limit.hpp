#pragma once
// When a run has to stop, and which units still end before that.

#include <functional>
#include <optional>

#include "skyloom/core/log.hpp"
#include "skyloom/engine/pipeline_run.hpp"

namespace skyloom::engine {

/// Seconds until the batch system ends this job; nullopt outside jobs. Reads SKYLOOM_JOB_END_TIME
/// (set by our job scripts) and SLURM_JOB_END_TIME (Slurm since 23.02), both in seconds since 1970,
/// and PBS_WALLTIME (Torque), in seconds, as if the job began now. An end that has passed is of
/// another job, whose environment was inherited.
/// @param variable value of an environment variable, nullptr when not set
std::optional<double> job_time_left_s(const std::function<const char*(const char*)>& variable,
                                      double now_unix_s);

/// Seconds from now until a run must stop: what is left of run.time_limit_s, else until
/// job.signal_lead_s before the end of the job; nullopt when there is no limit. Negative: too late.
std::optional<double> time_allowed_s(const RunSettings& settings, double elapsed_s, Log& log);

/// How long units of a stage take on this rank, from those it has done.
class Pace {
 public:
  void add(double cost, double seconds);
  /// Longest time that a unit is expected to take: its cost times the mean time per cost so far,
  /// and half as much again. 0 while nothing is known: a rank always begins its first unit, or
  /// runs that are too short would never get on.
  [[nodiscard]] double expected_s(double cost) const;

 private:
  double cost_ = 0.0;
  double seconds_ = 0.0;
};

}  // namespace skyloom::engine
