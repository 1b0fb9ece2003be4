#include "skyloom/engine/manifest.hpp"

#include <filesystem>
#include <memory>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/status.hpp"
#include "skyloom/io/files.hpp"

using namespace skyloom;
using namespace skyloom::engine;

namespace {

struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("skyloom-manifest-" + std::to_string(::getpid()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
};

StageDescription sample() {
  return {"fit", {{"fit.a", "1"}, {"fit.b", "\"x\""}}, {{"/d/f.fits", "aa"}}, {{"frames", "bb"}}};
}

}  // namespace

TEST_CASE("a manifest survives writing and reading") {
  const Folder folder;
  CHECK_FALSE(read_manifest(folder.path));
  Manifest manifest;
  manifest.pipeline = "example";
  manifest.config_file = "/a/b.toml";
  manifest.directory = "/a/b.run";
  manifest.seed = 18446744073709551615ULL;
  manifest.stage_order = {"frames", "fit"};
  StageRecord& record = manifest.record("fit");
  record.description = sample();
  record.state = "done";
  record.units = 7;
  record.idle_max = 0.125;
  record.idle_of_rank = {0.0, 0.125};
  manifest.attempts.push_back({"skyloom x", "t0", "", 4, -1, "h", "0.1.0", true});
  write_manifest(folder.path, manifest);
  const auto back = read_manifest(folder.path);
  REQUIRE(back);
  CHECK(back->directory == "/a/b.run");
  CHECK(back->seed == manifest.seed);
  CHECK(back->stage_order == manifest.stage_order);
  REQUIRE(back->find("fit") != nullptr);
  CHECK(back->find("fit")->description == sample());
  CHECK(back->find("fit")->units == 7);
  CHECK(back->find("fit")->idle_max == 0.125);
  CHECK(back->find("fit")->idle_of_rank == std::vector<double>{0.0, 0.125});
  CHECK(back->find("frames") == nullptr);
  REQUIRE(back->attempts.size() == 1);
  CHECK(back->attempts[0].exit_code == -1);
  CHECK(back->attempts[0].accepted_new_code);
}

TEST_CASE("a manifest that cannot be understood is an error of its file") {
  const Folder folder;
  for (const char* text : {"{", "{}", "{\"format\": 99}", "[]"}) {
    io::write_atomically(folder.path / "manifest.json", text);
    CHECK_THROWS_AS(read_manifest(folder.path), ConfigError);
  }
}

TEST_CASE("the hash covers every part of a description") {
  const StageDescription base = sample();
  CHECK(base.hash().size() == 16);
  CHECK(base.hash() == sample().hash());
  StageDescription other = base;
  other.keys[0].second = "2";
  CHECK(other.hash() != base.hash());
  other = base;
  other.inputs[0].second = "ab";
  CHECK(other.hash() != base.hash());
  other = base;
  other.needs[0].second = "cc";
  CHECK(other.hash() != base.hash());
  other = base;
  other.keys = {{"fit.a", "1"}};
  other.inputs = {{"fit.b", "\"x\""}, {"/d/f.fits", "aa"}};
  CHECK(other.hash() != base.hash());
}

TEST_CASE("changes are named with old and new value") {
  StageDescription now = sample();
  CHECK(changes_between(sample(), now).none());
  now.keys[0].second = "2";
  now.keys.pop_back();
  now.keys.emplace_back("fit.c", "3");
  now.inputs = {{"/d/f.fits", "ab"}, {"/d/g.fits", "cc"}};
  now.needs[0].second = "other";
  const StageChanges changes = changes_between(sample(), now);
  CHECK(changes.keys ==
        std::vector<std::string>{"fit.a 1 -> 2", "fit.c (absent) -> 3", "fit.b \"x\" -> (absent)"});
  CHECK(changes.inputs ==
        std::vector<std::string>{"input /d/f.fits changed", "input /d/g.fits is new"});
  CHECK(changes.needs == std::vector<std::string>{"the product of stage frames changed"});
}

TEST_CASE("inputs may move, but neither change nor trade places") {
  StageDescription before = sample();
  before.inputs = {{"/d/g/image.fits", "aa"}, {"/d/r/image.fits", "bb"}, {"/d/list.csv", "cc"}};
  StageDescription now = before;
  now.inputs = {{"/e/g/image.fits", "aa"}, {"/e/r/image.fits", "bb"}, {"/e/list.csv", "cc"}};
  CHECK(now.hash() == before.hash());
  CHECK(changes_between(before, now).none());
  now.inputs[1].second = "dd";
  CHECK(now.hash() != before.hash());
  CHECK(changes_between(before, now).inputs ==
        std::vector<std::string>{"input /e/r/image.fits changed"});
  now.inputs = {before.inputs[1], before.inputs[0], before.inputs[2]};
  CHECK(now.hash() != before.hash());
  CHECK(changes_between(before, now).inputs ==
        std::vector<std::string>{"the order of the input files changed"});
  now.inputs = {{"/e/g/image.fits", "aa"}, {"/e/other.csv", "cc"}};
  CHECK(changes_between(before, now).inputs ==
        std::vector<std::string>{"input /e/other.csv is new", "input /d/r/image.fits is gone",
                                 "input /d/list.csv is gone"});
  const NamedTexts twice{{"/d/a", "1"}, {"/d/b", "2"}, {"/d/a", "1"}};
  CHECK(recorded_inputs(twice, {"/d/a", "/e/a", "/e/a", "/d/b"}) ==
        std::vector<std::size_t>{0, 2, kNotRecorded, 1});
}

TEST_CASE("a configuration file is found beside a run directory that moved") {
  const Folder folder;
  Manifest manifest;
  manifest.config_file = "/gone/survey.toml";
  manifest.directory = "/gone/survey.run";
  CHECK(config_file_of(manifest, folder.path / "survey.run") == "/gone/survey.toml");
  io::write_atomically(folder.path / "survey.toml", "");
  CHECK(config_file_of(manifest, folder.path / "survey.run") ==
        (folder.path / "survey.toml").string());
}

TEST_CASE("a run lock keeps others out and dies with its owner") {
  const Folder folder;
  CHECK_FALSE(RunLock::held(folder.path));
  auto lock = std::make_unique<RunLock>(folder.path);
  CHECK(RunLock::held(folder.path));
  CHECK_THROWS_AS(RunLock(folder.path), ConfigError);
  lock.reset();
  CHECK_FALSE(RunLock::held(folder.path));
}

TEST_CASE("status of an incomplete directory") {
  const Folder folder;
  CHECK_THROWS_AS(read_status(folder.path), ConfigError);
  Manifest manifest;
  manifest.pipeline = "example";
  manifest.stage_order = {"cut", "join"};
  manifest.record("cut").state = "started";
  manifest.config_file = "/old/c.toml";
  manifest.directory = "/old/c.run";
  manifest.attempts.push_back(
      {"skyloom example run /old/c.toml --out /old/c.run", "t", "", 2, -1, "h", "0", false});
  write_manifest(folder.path, manifest);
  io::write_atomically(folder.path / "cut.h5", "no HDF5");
  const RunStatus status = read_status(folder.path);
  CHECK(status.state == "stopped");
  CHECK(status.stages.at(0).state == "partial");
  CHECK(status.stages.at(1).state == "not started");
  CHECK(status.next == "mpirun -n 2 skyloom example run /old/c.toml --out " + folder.path.string());
  CHECK(status_text(status).find("partial") != std::string::npos);
}
