#include "command_line.hpp"

#include <array>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"

#include "example.hpp"
#include "names.hpp"

using namespace skyloom;
using namespace skyloom::app;

namespace {

constexpr std::array kPipelines{PipelineEntry{"example", "for tests", &example::make_example}};

Parsed parse(const std::vector<std::string>& arguments) {
  return parse_command_line(arguments, kPipelines);
}

std::string refusal(const std::vector<std::string>& arguments) {
  try {
    parse(arguments);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("a run takes its options in any order") {
  const auto line = parse({"example", "run", "a.toml", "--set", "x.y=1", "z=2", "--out", "d",
                           "--fresh", "--retry-failed", "--accept-new-code", "--dry-run"})
                        .command;
  REQUIRE(line);
  CHECK(line->action == Action::run);
  CHECK(line->pipeline == "example");
  CHECK(line->stage.empty());
  CHECK(line->target == "a.toml");
  CHECK(line->out == "d");
  CHECK(line->assignments == std::vector<std::string>{"x.y=1", "z=2"});
  CHECK((line->fresh && line->retry_failed && line->accept_new_code && line->dry_run));
  const auto other = parse({"example", "run", "--set", "x=[1, 2]", "--set", "s=a b", "a.toml"});
  CHECK(other.command->target == "a.toml");
  CHECK(other.command->assignments == std::vector<std::string>{"x=[1, 2]", "s=a b"});
}

TEST_CASE("every stage is a command") {
  const auto line = parse({"example", "join", "a.toml"}).command;
  REQUIRE(line);
  CHECK(line->stage == "join");
  CHECK_FALSE(line->fresh);
}

TEST_CASE("a tool of a pipeline is a command with its configuration") {
  const auto line =
      parse({"example", "describe", "a.toml", "--set", "x.y=1", "--out", "b"}).command;
  REQUIRE(line);
  CHECK(line->action == Action::tool);
  CHECK(line->pipeline == "example");
  CHECK(line->tool == "describe");
  CHECK(line->target == "a.toml");
  CHECK(line->out == "b");
  CHECK(line->assignments == std::vector<std::string>{"x.y=1"});
  CHECK(refusal({"example", "describ", "a.toml"}).find("did you mean describe?") !=
        std::string::npos);
}

TEST_CASE("a job names its batch system and its configuration") {
  const auto line =
      parse({"job", "slurm", "a.toml", "--set", "job.nodes=2", "--out", "a.job"}).command;
  REQUIRE(line);
  CHECK(line->action == Action::job);
  CHECK(line->batch == "slurm");
  CHECK(line->target == "a.toml");
  CHECK(line->out == "a.job");
  CHECK(line->assignments == std::vector<std::string>{"job.nodes=2"});
  CHECK_THAT(refusal({"job", "lsf", "a.toml"}), Catch::Contains("slurm"));
  CHECK_FALSE(refusal({"job", "pbs"}).empty());
}

TEST_CASE("commands about directories and files") {
  CHECK(parse({"status", "d", "--json"}).command->json);
  const auto report = parse({"report", "d", "--cutouts", "7,gaia_8"}).command;
  CHECK(report->action == Action::report);
  CHECK(report->target == "d");
  CHECK(report->cutouts == std::vector<std::string>{"7", "gaia_8"});
  CHECK(parse({"report", "--cutouts", "7", "d"}).command->target == "d");
  CHECK(
      parse({"simulate", "example", "--out", "d", "--size", "tiny", "--seed", "5"}).command->seed ==
      5);
  CHECK(parse({"config", "example", "--markdown"}).command->markdown);
  const auto line =
      parse({"export", "d", "--format", "fits", "--table", "t", "--out", "f"}).command;
  CHECK(line->format == "fits");
  CHECK(line->table == "t");
}

TEST_CASE("wrong usage names what was meant") {
  CHECK(refusal({"exampel", "run"}) ==
        "exampel: no such command or pipeline: did you mean example?");
  CHECK(refusal({"example", "rnu"}) == "rnu: no such command of example: did you mean run?");
  CHECK(refusal({"xyzzyplugh"}).find("one of simulate config") != std::string::npos);
  CHECK(refusal({"example", "run"}).find("CONFIG") != std::string::npos);
  CHECK(refusal({"example", "run", "a", "--frsh"}).find("--frsh") != std::string::npos);
  // Which sizes there are is the pipeline's to say.
  CHECK(parse({"simulate", "example", "--out", "d", "--size", "big"}).command->size == "big");
  CHECK_FALSE(refusal({}).empty());
}

TEST_CASE("help and version are texts") {
  CHECK_FALSE(parse({"--help"}).command);
  CHECK(parse({"--version"}).text.find("skyloom ") == 0);
  CHECK(parse({"example", "run", "--help"}).text.find("--retry-failed") != std::string::npos);
}

TEST_CASE("the command to type again is quoted for the shell") {
  CommandLine line;
  line.pipeline = "example";
  line.assignments = {"s=it's"};
  CHECK(spelled(line, "/a b/c.toml", "/d.run") ==
        "skyloom example run '/a b/c.toml' --out /d.run --set 's=it'\\''s'");
}

TEST_CASE("nearest name") {
  CHECK(nearest_name("fitt", {"frames", "fit", "epsf"}) == "fit");
  CHECK(nearest_name("zzzz", {"frames", "fit"}).empty());
  CHECK(nearest_name("", {"frames"}).empty());
}

TEST_CASE("the status of units takes a pattern, and nothing else does") {
  CHECK_FALSE(parse({"status", "a.run"}).command->units);
  const auto all = parse({"status", "a.run", "--units"}).command;
  CHECK((all->units && all->target == "a.run" && all->pattern == "*"));
  const auto one = parse({"status", "--units", "a.run", "12/*"}).command;
  CHECK((one->units && one->target == "a.run" && one->pattern == "12/*"));
  CHECK(refusal({"status", "a.run", "12/*"}).find("--units") != std::string::npos);
  CHECK(refusal({"status", "a.run", "--units", "--json"}).find("--json") != std::string::npos);
}
