#include "skyloom/engine/progress.hpp"

#include <filesystem>
#include <limits>

#include <catch2/catch.hpp>
#include <unistd.h>

using namespace skyloom;
using namespace skyloom::engine;

TEST_CASE("durations") {
  CHECK(duration_text(0) == "00:00");
  CHECK(duration_text(11.2) == "00:12");
  CHECK(duration_text(3599) == "59:59");
  CHECK(duration_text(3600) == "1:00:00");
  CHECK(duration_text(3600 * 27 + 61) == "27:01:01");
  CHECK(duration_text(-1) == "--:--");
  CHECK(duration_text(std::numeric_limits<double>::infinity()) == "--:--");
  CHECK(duration_text(std::numeric_limits<double>::quiet_NaN()) == "--:--");
}

TEST_CASE("the first ranks show what they do", "[progress]") {
  StageProgress progress{"epsf", 5, 1, 0, 0, 1.0, 2.0};
  CHECK(slot_lines(state_of(progress), 80).empty());
  progress.slots = {{"g/00000", 1}, {"", 0}};
  const std::vector<std::string> lines = slot_lines(state_of(progress), 80);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == "  rank 0: g/00000, 1 done");
  CHECK(lines[1] == "  rank 1: waiting, 0 done");
  CHECK(slot_lines(state_of(progress), 12)[0] == "  rank 0: g/");
}

TEST_CASE("the live line") {
  const StageProgress progress{"fit", 480, 120, 0, 20, 97.0 / 3.0, 100.0 / 3.0};
  const ProgressState state = state_of(progress);
  CHECK(state.rate_per_s == Approx(3.0));  // recovered units were not computed now
  CHECK(state.eta_s == Approx(120.0));
  CHECK(progress_line(state, 200) ==
        "fit [######------------------] 120/480 failed=0 rate=3.0/s eta=02:00 idle=3%");
  CHECK(progress_line(state, 20) == "fit [######---------");
  StageProgress cells = progress;
  cells.volume_mb = 48000.0;
  CHECK(progress_line(state_of(cells), 200) ==
        "fit [######------------------] 120/480 failed=0 rate=3.0/s 300 MB/s eta=02:00 idle=3%");
}

TEST_CASE("nothing known yet") {
  const ProgressState state = state_of({"fit", 10, 0, 0, 0, 0.0, 0.0});
  CHECK(progress_line(state, 200) ==
        "fit [------------------------] 0/10 failed=0 rate=0.0/s eta=--:-- idle=0%");
  CHECK(progress_line(state_of({"fit", 0, 0, 0, 0, 0.0, 0.0}), 200).find("eta=00:00") !=
        std::string::npos);
}

TEST_CASE("progress.json is read back") {
  const auto folder =
      std::filesystem::temp_directory_path() / ("skyloom-progress-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  CHECK_FALSE(read_progress(folder));
  {
    Log log(1);
    Progress progress(folder, log, false, 80);
    progress.update({"fit", 10, 4, 1, 2, 0.5, 1.0});
    progress.finish();
  }
  const auto state = read_progress(folder);
  REQUIRE(state);
  CHECK(state->stage == "fit");
  CHECK(state->done == 4);
  CHECK(state->failed == 1);
  CHECK(state->recovered == 2);
  CHECK(state->idle == Approx(0.5));
  std::filesystem::remove_all(folder);
}
