#include "engine/time_limit.hpp"

#include <map>
#include <string>

#include <catch2/catch.hpp>

using namespace skyloom::engine;

namespace {

std::optional<double> left(const std::map<std::string, std::string>& environment) {
  return job_time_left_s(
      [&](const char* name) {
        const auto found = environment.find(name);
        return found == environment.end() ? nullptr : found->second.c_str();
      },
      1000.0);
}

}  // namespace

TEST_CASE("the end of the job comes from its environment") {
  CHECK_FALSE(left({}));
  CHECK(left({{"SLURM_JOB_END_TIME", "1500"}}) == 500.0);
  CHECK(left({{"SKYLOOM_JOB_END_TIME", "1300"}, {"SLURM_JOB_END_TIME", "1500"}}) == 300.0);
  CHECK(left({{"PBS_WALLTIME", "3600"}}) == 3600.0);
}

TEST_CASE("an end that has passed or is no number is none") {
  CHECK_FALSE(left({{"SLURM_JOB_END_TIME", "900"}}));
  CHECK_FALSE(left({{"SKYLOOM_JOB_END_TIME", ""}, {"PBS_WALLTIME", "soon"}}));
  CHECK(left({{"SKYLOOM_JOB_END_TIME", "900"}, {"SLURM_JOB_END_TIME", "1500"}}) == 500.0);
}

TEST_CASE("a unit is expected to take half as much again as units took so far") {
  Pace pace;
  CHECK(pace.expected_s(5.0) == 0.0);
  pace.add(10.0, 2.0);
  CHECK(pace.expected_s(10.0) == Approx(3.0));
  pace.add(30.0, 2.0);
  CHECK(pace.expected_s(20.0) == Approx(3.0));
  CHECK(pace.expected_s(0.0) == 0.0);
  pace.add(0.0, 100.0);  // without cost there is no rate
  CHECK(pace.expected_s(20.0) == Approx(3.0));
}
