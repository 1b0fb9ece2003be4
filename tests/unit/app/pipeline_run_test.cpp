#include "skyloom/engine/pipeline_run.hpp"

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"

#include "example.hpp"

using namespace skyloom;
using namespace skyloom::engine;

TEST_CASE("where a run keeps its files") {
  const auto pipeline = example::make_example();
  ConfigSpec spec;
  pipeline->declare(spec);
  CHECK(run_directory_of(*pipeline, "/a/b.toml", "") == "/a/b.run");
  CHECK(run_directory_of(*pipeline, "/a/b.toml", "/c/d/") == "/c/d");
  spec.apply(io::parse_toml("[output]\nwork_dir = \"../w\"\n", "t"), "t", "/a");
  CHECK(run_directory_of(*pipeline, "/a/b.toml", "") == "/w");
  CHECK(run_directory_of(*pipeline, "/a/b.toml", "/c") == "/c");
}

TEST_CASE("the [run] table is checked and its seed belongs to every stage") {
  ConfigSpec spec;
  RunSettings settings;
  const auto pipeline = example::make_example();
  declare_run(spec, settings, *pipeline);
  spec.apply(io::parse_toml("[run]\nseed = 7\ntime_limit_s = 1.5\n", "t"), "t", "/");
  CHECK(settings.seed == 7);
  CHECK(settings.time_limit_s == 1.5);
  for (const char* stage : {"cut", "join"}) {
    const auto values = spec.values_of(stage);
    REQUIRE(values.size() == 1);
    CHECK(values[0].first == "run.seed");
  }
  for (const char* text : {"seed = -1", "max_failed_fraction = 1.1", "time_limit_s = -1"}) {
    const auto document = io::parse_toml(std::string("[run]\n") + text + "\n", "t");
    CHECK_THROWS_AS(spec.apply(document, "t", "/"), ConfigError);
  }
}
