#include "skyloom/io/download.hpp"

#include <map>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"

#include "unit/io/scratch.hpp"

// Over file: URLs, which libcurl treats as it does a server that can continue files. What servers
// do wrong is in tests/pipelines/flares/fetch.py.

using namespace skyloom;
using State = io::DownloadOutcome::State;

namespace {

std::string url_of(const std::filesystem::path& path) {
  return "file://" + path.string();
}

io::DownloadRule quick() {
  io::DownloadRule rule;
  rule.tries = 3;
  rule.first_wait_s = 0.01;
  return rule;
}

io::DownloadCalls accepting() {
  io::DownloadCalls calls;
  calls.arrived = [](std::size_t) { return std::string(); };
  return calls;
}

}  // namespace

TEST_CASE("files arrive whole, more of them than at a time") {
  const Scratch scratch;
  std::vector<io::Download> files;
  for (int i = 0; i < 9; ++i) {
    const std::string name = std::to_string(i);
    files.push_back({url_of(scratch.file(name, std::string(1000, 'a' + static_cast<char>(i)))),
                     scratch / (name + ".part")});
  }
  std::map<std::size_t, int> ended;
  io::DownloadCalls calls = accepting();
  calls.ended = [&](std::size_t i, const io::DownloadOutcome& outcome) {
    ended[i] += outcome.state == State::arrived ? 1 : 100;
  };
  const auto outcomes = io::download(files, quick(), calls);
  for (std::size_t i = 0; i < files.size(); ++i) {
    CHECK(io::read_text(files[i].part) == std::string(1000, static_cast<char>('a' + i)));
    CHECK(outcomes[i].state == State::arrived);
    CHECK(outcomes[i].bytes == 1000);
    CHECK(ended[i] == 1);
  }
}

TEST_CASE("a part is continued where it ends") {
  const Scratch scratch;
  const auto whole = scratch.file("whole", "0123456789");
  const auto part = scratch.file("part", "0123");
  const auto outcomes = io::download({{url_of(whole), part}}, quick(), accepting());
  CHECK(outcomes[0].resumed == 4);
  CHECK(outcomes[0].bytes == 6);
  CHECK(io::read_text(part) == "0123456789");
}

TEST_CASE("a refused file is fetched again from its beginning, and given up in the end") {
  const Scratch scratch;
  const auto whole = scratch.file("whole", "right");
  const auto part = scratch.file("part", "wr");
  std::vector<std::string> seen;
  io::DownloadCalls calls;
  calls.arrived = [&](std::size_t) {
    seen.push_back(io::read_text(part));
    return seen.back() == "right" ? "" : "damaged";
  };
  const auto good = io::download({{url_of(whole), part}}, quick(), calls);
  CHECK(good[0].state == State::arrived);
  CHECK(seen == std::vector<std::string>{"wrght", "right"});

  calls.arrived = [](std::size_t) { return std::string("damaged"); };
  const auto bad = io::download({{url_of(whole), scratch / "other"}}, quick(), calls);
  CHECK(bad[0].state == State::failed);
  CHECK(bad[0].tries == 3);
  CHECK(bad[0].reason == "damaged");
  CHECK_FALSE(std::filesystem::exists(scratch / "other"));
}

TEST_CASE("a file that is not there fails at once, the others go on") {
  const Scratch scratch;
  const auto whole = scratch.file("whole", "x");
  const auto outcomes =
      io::download({{url_of(scratch / "nothing"), scratch / "a"}, {url_of(whole), scratch / "b"}},
                   quick(), accepting());
  CHECK(outcomes[0].state == State::failed);
  CHECK(outcomes[0].tries == 1);
  CHECK_FALSE(outcomes[0].reason.empty());
  CHECK(outcomes[1].state == State::arrived);
  CHECK_FALSE(std::filesystem::exists(scratch / "a"));
}

TEST_CASE("being stopped leaves files open") {
  const Scratch scratch;
  io::DownloadCalls calls = accepting();
  calls.stop = [] { return true; };
  const auto outcomes =
      io::download({{url_of(scratch.file("whole", "x")), scratch / "a"}}, quick(), calls);
  CHECK(outcomes[0].state == State::open);
}

TEST_CASE("a part that cannot be written ends all") {
  const Scratch scratch;
  const auto whole = scratch.file("whole", "x");
  CHECK_THROWS_AS(io::download({{url_of(whole), scratch / "no folder/part"}}, quick(), accepting()),
                  FatalError);
}
